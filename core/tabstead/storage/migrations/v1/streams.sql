-- Account data of a user, globally (room_id '') or of a room; tags are the room's m.tag.
CREATE TABLE account_data (
    user_id TEXT NOT NULL,
    room_id TEXT NOT NULL,
    type TEXT NOT NULL,
    content TEXT NOT NULL,
    stream_position INTEGER NOT NULL,
    PRIMARY KEY (user_id, room_id, type)
) WITHOUT ROWID;
CREATE INDEX account_data_by_position ON account_data (user_id, stream_position);

CREATE TABLE receipts (
    room_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    receipt_type TEXT NOT NULL,                   -- m.read, m.read.private
    thread_id TEXT NOT NULL,                      -- '' unthreaded, 'main', or a thread root's event id
    event_id TEXT NOT NULL,
    event_position INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    stream_position INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id, receipt_type, thread_id)
) WITHOUT ROWID;
CREATE INDEX receipts_by_position ON receipts (stream_position);

CREATE TABLE presence (
    user_id TEXT PRIMARY KEY,
    presence TEXT NOT NULL,                       -- online, unavailable, offline
    status_msg TEXT,
    last_active_ts INTEGER NOT NULL,
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
CREATE INDEX to_device_messages_by_device ON to_device_messages (user_id, device_id, stream_position);

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

-- What push rules said of an event for a user: unread counts, until a read receipt passes it.
CREATE TABLE push_actions (
    user_id TEXT NOT NULL,
    room_nid INTEGER NOT NULL,
    event_position INTEGER NOT NULL,
    thread_id TEXT NOT NULL,
    notifies INTEGER NOT NULL,
    highlights INTEGER NOT NULL,
    PRIMARY KEY (user_id, room_nid, event_position)
) WITHOUT ROWID;
