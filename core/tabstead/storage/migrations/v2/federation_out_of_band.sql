-- Memberships of this server's users in rooms that it is not in: invites, knocks, and what became of them. Their events
-- are no part of their rooms' graphs here, since what they refer to isn't; a later one of a user replaces the one before.
CREATE TABLE out_of_band_events (
    event_nid INTEGER PRIMARY KEY,                -- below 0: the stream position, negated
    room_nid INTEGER NOT NULL,
    user_nid INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    pdu TEXT NOT NULL,
    shown_state TEXT NOT NULL,                    -- JSON: stripped state that came with the event
    servers TEXT NOT NULL                         -- JSON: servers that are likely in the room
);
CREATE UNIQUE INDEX out_of_band_events_by_member ON out_of_band_events (room_nid, user_nid);
