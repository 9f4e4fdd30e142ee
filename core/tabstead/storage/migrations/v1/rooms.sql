-- Rooms and events by numeric ids; JSON is stored once.
CREATE TABLE rooms (
    room_nid INTEGER PRIMARY KEY,
    room_id TEXT NOT NULL UNIQUE,
    room_version TEXT NOT NULL,
    state_snapshot INTEGER NOT NULL DEFAULT 0,   -- the state after all forward extremities
    is_public INTEGER NOT NULL DEFAULT 0         -- in the room directory
);
CREATE INDEX rooms_in_directory ON rooms (room_nid) WHERE is_public;

-- (event type, state key), interned.
CREATE TABLE state_tuples (
    tuple_nid INTEGER PRIMARY KEY,
    type TEXT NOT NULL,
    state_key TEXT NOT NULL,
    UNIQUE (type, state_key)
);

CREATE TABLE events (
    event_nid INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    room_nid INTEGER NOT NULL,
    stream_position INTEGER,                      -- NULL: an outlier, known but not in the timeline
    depth INTEGER NOT NULL,
    type TEXT NOT NULL,
    tuple_nid INTEGER,                            -- NULL: not a state event
    sender TEXT NOT NULL,
    origin_server_ts INTEGER NOT NULL,
    standing INTEGER NOT NULL DEFAULT 0,          -- 0 accepted, 1 soft-failed, 2 rejected
    state_before INTEGER NOT NULL DEFAULT 0,      -- snapshot
    redacted_by INTEGER,                          -- event_nid of the redaction that was applied
    device_id TEXT,                               -- the device that sent it under a transaction id
    transaction_id TEXT,
    pdu TEXT NOT NULL                             -- the signed JSON; redacted in place when redacted
);
CREATE UNIQUE INDEX events_by_position ON events (room_nid, stream_position) WHERE stream_position IS NOT NULL;
CREATE UNIQUE INDEX events_in_stream ON events (stream_position) WHERE stream_position IS NOT NULL;

CREATE TABLE forward_extremities (
    room_nid INTEGER NOT NULL,
    event_nid INTEGER NOT NULL,
    PRIMARY KEY (room_nid, event_nid)
) WITHOUT ROWID;

-- Redactions of events that are not here yet.
CREATE TABLE pending_redactions (
    redacts TEXT NOT NULL,                        -- event id
    redaction_nid INTEGER NOT NULL,
    PRIMARY KEY (redacts, redaction_nid)
) WITHOUT ROWID;

-- Room state after every state event. A segment is up to 64 snapshots, each the changes to the one before it; a run
-- of segments is an epoch, whose changes are kept by state tuple, too, in chunks.
CREATE TABLE state_epochs (
    epoch INTEGER PRIMARY KEY,
    base INTEGER NOT NULL,                        -- the snapshot that it goes on from
    ground INTEGER NOT NULL,                      -- the snapshot beneath its entries; 0: nothing is, they are all
    depth INTEGER NOT NULL,                       -- epochs beneath it
    size INTEGER NOT NULL                         -- entries of the state that it begins with
);
CREATE INDEX state_epochs_by_base ON state_epochs (base);

CREATE TABLE state_segments (
    segment INTEGER PRIMARY KEY,                  -- snapshots: 64 * segment + 0 to 63
    room_nid INTEGER NOT NULL,
    newest INTEGER NOT NULL,                      -- no state of it has an event_nid above this
    epoch INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,                     -- of the segments of its epoch, from 0
    size INTEGER NOT NULL,                        -- entries of its last state
    entries INTEGER NOT NULL,                     -- entries of the epoch up to its last state, superseded ones included
    hashes BLOB NOT NULL,                         -- of each snapshot's entries in any order, 4 bytes
    log BLOB NOT NULL,                            -- columns: changes per snapshot, and their tuple_nids
    growing BLOB                                  -- column: the changes' event_nids; NULL once they are in the chunks
);
CREATE UNIQUE INDEX state_segments_of_epoch ON state_segments (epoch, ordinal);
CREATE INDEX state_segments_by_newest ON state_segments (room_nid, newest);

CREATE TABLE state_chunks (
    epoch INTEGER NOT NULL,
    first_tuple INTEGER NOT NULL,
    first_version INTEGER NOT NULL,
    entries BLOB NOT NULL,                        -- columns: steps of tuple_nids, versions, event_nids (0: removed)
    PRIMARY KEY (epoch, first_tuple, first_version)
) WITHOUT ROWID;

-- The index over auth chains: a row per state event.
CREATE TABLE auth_chains (
    event_nid INTEGER PRIMARY KEY,
    chain INTEGER NOT NULL,                       -- event_nid of the first event of its chain
    weight INTEGER NOT NULL,                      -- rows to read, at most, to put its reach together
    width INTEGER NOT NULL,                       -- entries of the longest reach among those rows
    auth_events BLOB NOT NULL,                    -- event_nids, of four bytes, the lowest first
    reach BLOB                                    -- pairs of them: chain, last; NULL: follows from auth_events
);
CREATE INDEX auth_chains_by_chain ON auth_chains (chain) WHERE chain <> event_nid;

-- The resolved state after the forward extremities.
CREATE TABLE current_state (
    room_nid INTEGER NOT NULL,
    tuple_nid INTEGER NOT NULL,
    event_nid INTEGER NOT NULL,
    PRIMARY KEY (room_nid, tuple_nid)
) WITHOUT ROWID;

-- How it changed: what /sync tells of state between two positions.
CREATE TABLE current_state_changes (
    stream_position INTEGER NOT NULL,
    room_nid INTEGER NOT NULL,
    tuple_nid INTEGER NOT NULL,
    event_nid INTEGER,                            -- NULL: no longer in the state
    previous_nid INTEGER,
    PRIMARY KEY (room_nid, stream_position, tuple_nid)
) WITHOUT ROWID;

-- Every user's membership as the current state has it, with the position of its last change.
CREATE TABLE memberships (
    user_id TEXT NOT NULL,
    room_nid INTEGER NOT NULL,
    membership TEXT NOT NULL,                     -- join, invite, leave, ban, knock
    event_nid INTEGER NOT NULL,
    stream_position INTEGER NOT NULL,
    joined_until INTEGER NOT NULL DEFAULT 0,      -- the position at which the user was last joined, once gone
    forgotten INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, room_nid)
) WITHOUT ROWID;
CREATE INDEX memberships_by_room ON memberships (room_nid, membership);
CREATE INDEX memberships_by_position ON memberships (user_id, stream_position);

-- Answers of PUT with a transaction id. Small rows under short keys: a text key in this order would cost more bytes of
-- shifted pages per event than the event itself.
CREATE TABLE client_transactions (
    transaction_key INTEGER PRIMARY KEY,          -- 63 bits of a hash of user, device, path and id
    event_nid INTEGER,                            -- NULL where no event was sent (to-device)
    created_ts INTEGER NOT NULL
);

CREATE TABLE room_aliases (
    room_alias TEXT PRIMARY KEY,
    room_id TEXT NOT NULL,
    creator TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX room_aliases_by_room ON room_aliases (room_id);

-- Relations of events to others (m.relates_to), for bundled aggregations. A redacted event has none.
CREATE TABLE event_relations (
    event_nid INTEGER PRIMARY KEY,
    relates_to TEXT NOT NULL,
    relation_type TEXT NOT NULL,
    aggregation_key TEXT
);
CREATE INDEX event_relations_by_target ON event_relations (relates_to, relation_type);
