-- What users reported, for the server's administrators to look into.
CREATE TABLE reports (
    report_nid INTEGER PRIMARY KEY,
    reporter TEXT NOT NULL,
    room_id TEXT,                                 -- NULL: a user was reported
    event_id TEXT,                                -- NULL: a whole room, or a user
    user_id TEXT,                                 -- the reported user, or the event's sender; NULL: a whole room
    reason TEXT NOT NULL,
    received_ts INTEGER NOT NULL
);
