-- Other servers' verify keys, as they or a notary told them.
CREATE TABLE server_keys (
    server_name TEXT NOT NULL,
    key_id TEXT NOT NULL,
    key BLOB NOT NULL,                            -- 32 bytes
    valid_until_ts INTEGER NOT NULL,              -- of a key no longer in use: when it was last used
    is_old INTEGER NOT NULL,                      -- no longer in use: good for events of its time, not for requests
    fetched_ts INTEGER NOT NULL,
    PRIMARY KEY (server_name, key_id)
) WITHOUT ROWID;
