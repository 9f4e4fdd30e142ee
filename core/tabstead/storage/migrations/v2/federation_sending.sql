-- Servers that can't be reached at the time. One that can has no row.
CREATE TABLE destinations (
    server TEXT PRIMARY KEY,
    failing_since_ts INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    next_try_ts INTEGER NOT NULL
) WITHOUT ROWID;

-- What servers are still to be told: of a subject all that lies between two positions of the stream. Nothing is copied:
-- whoever tells it reads it from where it is, and a row that was told goes.
CREATE TABLE outbound_news (
    server TEXT NOT NULL,
    kind INTEGER NOT NULL,                        -- storage/outbound_news.py: Kind
    subject INTEGER NOT NULL,                     -- by the kind a room_nid or a user's number
    first_position INTEGER NOT NULL,
    last_position INTEGER NOT NULL,
    PRIMARY KEY (server, kind, subject)
) WITHOUT ROWID;

-- How far the stream was looked through for such news. Of what was there before, nobody is told.
INSERT INTO counters (name, value) SELECT 'outbound', value FROM counters WHERE name = 'stream';

-- Events of other servers' users that this server let into a room, as a join: the others are told by this one.
CREATE TABLE outbound_relays (
    stream_position INTEGER PRIMARY KEY,          -- of the event
    origin TEXT NOT NULL                          -- the server that knows it already
);

-- Messages for the devices of other servers' users, each until its server has it.
CREATE TABLE outbound_to_device (
    server TEXT NOT NULL,
    stream_position INTEGER NOT NULL,
    content TEXT NOT NULL,                        -- JSON, of m.direct_to_device
    PRIMARY KEY (server, stream_position)
) WITHOUT ROWID;
CREATE INDEX outbound_to_device_by_position ON outbound_to_device (stream_position);

-- Every change of a device of this server's users, and of their cross-signing keys: what other servers are told of
-- device lists, each change naming the one before it.
CREATE TABLE device_changes (
    stream_position INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL                       -- '': the cross-signing keys
);
CREATE INDEX device_changes_by_user ON device_changes (user_id, stream_position);
