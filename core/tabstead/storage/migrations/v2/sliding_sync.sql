-- Connections of simplified sliding sync: what each client was told of which rooms.
CREATE TABLE sliding_connections (
    connection_nid INTEGER PRIMARY KEY AUTOINCREMENT,  -- tokens name it: never given twice
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    conn_id TEXT NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0,      -- the generation that the client is known to have
    newest INTEGER NOT NULL DEFAULT 0,            -- the generation that it was given last
    last_used_ts INTEGER NOT NULL,                -- to the hour, or so
    UNIQUE (user_id, device_id, conn_id)
);
CREATE INDEX sliding_connections_by_use ON sliding_connections (last_used_ts);

-- A room as it stands in a generation, and in later ones until one says something else.
CREATE TABLE sliding_rooms (
    connection_nid INTEGER NOT NULL,
    room_nid INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    told_up_to INTEGER,                           -- stream position; NULL: as far as the client's token says
    timeline_limit INTEGER NOT NULL,
    config_nid INTEGER NOT NULL,
    PRIMARY KEY (connection_nid, room_nid, generation)
) WITHOUT ROWID;

-- What state a connection's rooms were asked with, each wish once.
CREATE TABLE sliding_configs (
    connection_nid INTEGER NOT NULL,
    config_nid INTEGER NOT NULL,
    required_state TEXT NOT NULL,                 -- JSON
    PRIMARY KEY (connection_nid, config_nid)
) WITHOUT ROWID;
