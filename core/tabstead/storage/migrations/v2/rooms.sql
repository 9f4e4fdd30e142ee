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

-- Memberships, receipts and push actions with the number of the user.
DROP INDEX memberships_by_room;
DROP INDEX memberships_by_position;
ALTER TABLE memberships RENAME TO old_memberships;
CREATE TABLE memberships (
    user_nid INTEGER NOT NULL,
    room_nid INTEGER NOT NULL,
    membership TEXT NOT NULL,                     -- join, invite, leave, ban, knock
    event_nid INTEGER NOT NULL,
    stream_position INTEGER NOT NULL,
    joined_until INTEGER NOT NULL DEFAULT 0,      -- the position at which the user was last joined, once gone
    forgotten INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_nid, room_nid)
) WITHOUT ROWID;
CREATE INDEX memberships_by_room ON memberships (room_nid, membership);
CREATE INDEX memberships_by_position ON memberships (user_nid, stream_position);

DROP INDEX receipts_by_owner;
ALTER TABLE receipts RENAME TO old_receipts;
CREATE TABLE receipts (
    stream_position INTEGER PRIMARY KEY,
    room_nid INTEGER NOT NULL,
    user_nid INTEGER NOT NULL,
    receipt_type INTEGER NOT NULL,                -- 0 m.read, 1 m.read.private
    thread_id TEXT NOT NULL,                      -- '' unthreaded, 'main', or a thread root's event id
    event_position INTEGER NOT NULL,
    ts INTEGER NOT NULL
);
CREATE UNIQUE INDEX receipts_by_owner ON receipts (room_nid, user_nid, receipt_type, thread_id);

ALTER TABLE push_actions RENAME TO old_push_actions;
CREATE TABLE push_actions (
    user_nid INTEGER NOT NULL,
    room_nid INTEGER NOT NULL,
    event_position INTEGER NOT NULL,
    thread_id TEXT NOT NULL,                      -- 'main' or a thread root's event id
    unread INTEGER NOT NULL,                      -- 0: the user has spoken since
    highlights INTEGER NOT NULL,
    actions TEXT NOT NULL,                        -- JSON; a number for usual ones
    PRIMARY KEY (user_nid, room_nid, event_position)
) WITHOUT ROWID;

-- The directory has an index of its own now (listed_rooms).
DROP INDEX rooms_in_directory;
