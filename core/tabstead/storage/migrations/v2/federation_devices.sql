-- The device lists of other servers' users who share rooms with users of this one, as their servers told them. Their
-- cross-signing keys are in cross_signing_keys.
CREATE TABLE remote_device_lists (
    user_id TEXT PRIMARY KEY,
    stream_id INTEGER,                            -- the last change that the list has; NULL: it was never told
    heard_stream_id INTEGER NOT NULL DEFAULT 0,   -- the last change that was heard of while the list was stale
    retry_ts INTEGER                              -- when to ask for the list; NULL: it is not stale
) WITHOUT ROWID;
CREATE INDEX remote_device_lists_stale ON remote_device_lists (retry_ts) WHERE retry_ts IS NOT NULL;

CREATE TABLE remote_devices (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    display_name TEXT,
    keys TEXT NOT NULL,                           -- JSON, signed by the device
    PRIMARY KEY (user_id, device_id)
) WITHOUT ROWID;

-- Messages to devices that came from other servers, so that one that is sent again counts once.
CREATE TABLE inbound_to_device (
    origin TEXT NOT NULL,
    message_id TEXT NOT NULL,
    received_ts INTEGER NOT NULL,
    PRIMARY KEY (origin, message_id)
) WITHOUT ROWID;

-- Presence that another server told: when. NULL: of a user of this server.
ALTER TABLE presence ADD COLUMN heard_ts INTEGER;
