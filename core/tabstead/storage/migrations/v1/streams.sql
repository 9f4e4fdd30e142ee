-- Account data of a user, globally (room_id '') or of a room; tags are the room's m.tag.
CREATE TABLE account_data (
    user_id TEXT NOT NULL,
    room_id TEXT NOT NULL,
    type TEXT NOT NULL,
    stream_position INTEGER NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (user_id, room_id, type)
) WITHOUT ROWID;
CREATE INDEX account_data_by_position ON account_data (user_id, stream_position);

-- How far users have read, one row per mark; a mark that moves gets a new position.
CREATE TABLE receipts (
    stream_position INTEGER PRIMARY KEY,
    room_nid INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    receipt_type TEXT NOT NULL,                   -- m.read, m.read.private
    thread_id TEXT NOT NULL,                      -- '' unthreaded, 'main', or a thread root's event id
    event_id TEXT NOT NULL,
    event_position INTEGER NOT NULL,
    ts INTEGER NOT NULL
);
CREATE UNIQUE INDEX receipts_by_owner ON receipts (room_nid, user_id, receipt_type, thread_id);

CREATE TABLE presence (
    user_id TEXT PRIMARY KEY,
    presence TEXT NOT NULL,                       -- online, unavailable, offline: as last set
    status_msg TEXT,
    last_active_ts INTEGER NOT NULL,              -- to a minute or two
    stream_position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX presence_by_position ON presence (stream_position);

CREATE TABLE to_device_messages (
    stream_position INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    type TEXT NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX to_device_messages_by_device ON to_device_messages (user_id, device_id);

-- Users whose devices or cross-signing keys changed; the newest position of each counts.
CREATE TABLE device_list_changes (
    user_id TEXT PRIMARY KEY,
    stream_position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX device_list_changes_by_position ON device_list_changes (stream_position);

CREATE TABLE filters (
    user_id TEXT NOT NULL,
    filter_id INTEGER NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (user_id, filter_id)
) WITHOUT ROWID;

-- Events that push rules notify a user of. Those that receipts have passed count as read.
CREATE TABLE push_actions (
    user_id TEXT NOT NULL,
    room_nid INTEGER NOT NULL,
    event_position INTEGER NOT NULL,
    thread_id TEXT NOT NULL,                      -- 'main' or a thread root's event id
    unread INTEGER NOT NULL,                      -- 0: the user has spoken since
    highlights INTEGER NOT NULL,
    actions TEXT NOT NULL,                        -- JSON; a number for usual ones
    PRIMARY KEY (user_id, room_nid, event_position)
) WITHOUT ROWID;
