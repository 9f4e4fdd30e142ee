-- Strings that many rows repeat: event types, relation types, signing keys ("server_name key_id").
CREATE TABLE names (
    name_nid INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- Events in few bytes. What is in the table of the first version is moved over in slices (migrations/compact_rows.py).
-- A user's number is the tuple_nid of ('m.room.member', user id), here and everywhere.
DROP INDEX events_by_position;
DROP INDEX events_in_stream;
ALTER TABLE events RENAME TO old_events;
CREATE TABLE events (
    event_nid INTEGER PRIMARY KEY,
    room_nid INTEGER NOT NULL,
    stream_position INTEGER,                      -- NULL: an outlier, known but not in the timeline
    depth INTEGER NOT NULL,
    type INTEGER NOT NULL,                        -- name_nid
    tuple_nid INTEGER,                            -- NULL: not a state event
    sender INTEGER NOT NULL,                      -- the user's number
    origin_server_ts INTEGER NOT NULL,
    standing INTEGER NOT NULL DEFAULT 0,          -- 0 accepted, 1 soft-failed, 2 rejected
    state_before INTEGER NOT NULL DEFAULT 0,      -- snapshot
    redacted_by INTEGER,                          -- event_nid of the redaction that was applied
    device_id TEXT,                               -- the device that sent it under a transaction id
    transaction_id TEXT,
    has_url INTEGER NOT NULL,                     -- its content has a `url`
    id_key INTEGER NOT NULL,                      -- six bytes of the id, or of its hash (storage/event_ids.py)
    id_rest BLOB NOT NULL,                        -- what of the id is not in the key
    content BLOB NOT NULL,                        -- and proof: the event's JSON (storage/event_codec.py)
    proof BLOB NOT NULL
);
CREATE INDEX events_by_id ON events (id_key);
CREATE UNIQUE INDEX events_by_position ON events (room_nid, stream_position) WHERE stream_position IS NOT NULL;
CREATE UNIQUE INDEX events_in_stream ON events (stream_position) WHERE stream_position IS NOT NULL;

DROP INDEX event_relations_by_target;
ALTER TABLE event_relations RENAME TO old_event_relations;
CREATE TABLE event_relations (
    event_nid INTEGER PRIMARY KEY,
    relates_to NOT NULL,                          -- event_nid; of an event that isn't here yet the id
    relation_type INTEGER NOT NULL,               -- name_nid
    aggregation_key TEXT
);
CREATE INDEX event_relations_by_target ON event_relations (relates_to, relation_type);
