-- Other servers' verify keys, as they or a notary told them.
CREATE TABLE server_keys (
    server_name TEXT NOT NULL,
    key_id TEXT NOT NULL,
    key BLOB NOT NULL,                            -- 32 bytes
    valid_until_ts INTEGER NOT NULL,              -- of a key no longer in use: when it was last used
    is_old INTEGER NOT NULL,                      -- no longer in use: good for events of its time, not for requests
    fetched_ts INTEGER NOT NULL,
    response_nid INTEGER NOT NULL,                -- what told it last
    PRIMARY KEY (server_name, key_id)
) WITHOUT ROWID;

-- What told them: for servers that ask this one as a notary. The newest remain, up to a number, and their keys with them.
CREATE TABLE server_key_responses (
    response_nid INTEGER PRIMARY KEY,             -- in the order of telling
    server_name TEXT NOT NULL,
    response BLOB                                 -- canonical JSON as its server signed it; NULL: too big to be kept
);

-- This server's own keys that are no longer in use.
CREATE TABLE retired_signing_keys (
    key_id TEXT PRIMARY KEY,
    key BLOB NOT NULL,                            -- the public half, 32 bytes
    expired_ts INTEGER NOT NULL                   -- when it was last used
) WITHOUT ROWID;
