-- Answers to transactions of other servers, for their repetition.
CREATE TABLE inbound_transactions (
    origin TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    created_ts INTEGER NOT NULL,
    answer TEXT NOT NULL,                         -- JSON
    PRIMARY KEY (origin, transaction_id)
) WITHOUT ROWID;

-- Events of other servers that wait for others to be fetched.
CREATE TABLE staged_pdus (
    room_nid INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    origin TEXT NOT NULL,                         -- the server that sent it
    received_ts INTEGER NOT NULL,
    attempts INTEGER NOT NULL,                    -- how often others were asked in vain for what it waits for
    due_ts INTEGER NOT NULL,                      -- when to ask again
    pdu BLOB NOT NULL,                            -- JSON, its format checked
    PRIMARY KEY (room_nid, event_id)
) WITHOUT ROWID;
