-- Events that clients are told of beyond the limits of a timeline, until their time is up.
CREATE TABLE sticky_events (
    stream_position INTEGER PRIMARY KEY,          -- of the event
    room_nid INTEGER NOT NULL,
    expires_ts INTEGER NOT NULL
);
CREATE INDEX sticky_events_by_expiry ON sticky_events (expires_ts);
