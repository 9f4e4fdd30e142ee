-- The one device of a user that no client runs: it collects room keys while none is logged in. Its keys are in
-- device_keys and one_time_keys, what it is sent in to_device_messages.
CREATE TABLE dehydrated_devices (
    user_id TEXT PRIMARY KEY,
    device_id TEXT NOT NULL,
    device_data TEXT NOT NULL                     -- JSON, encrypted by the client that made it
) WITHOUT ROWID;
