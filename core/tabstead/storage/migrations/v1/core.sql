-- Counters by name; 'stream' orders every durable stream.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('stream', 0);

-- The server's own facts: its signing key and the like.
CREATE TABLE server_facts (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Answers of requests that a browser may dispatch a second time.
CREATE TABLE dispatches (
    dispatch_key TEXT PRIMARY KEY,
    life TEXT NOT NULL,
    created_ts INTEGER NOT NULL,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX dispatches_by_age ON dispatches (created_ts);
