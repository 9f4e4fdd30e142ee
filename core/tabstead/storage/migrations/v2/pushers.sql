-- Where to tell users of notifications while no client of theirs is running: by HTTP, to a push gateway.
CREATE TABLE pushers (
    pusher_nid INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    pushkey TEXT NOT NULL,
    device_id TEXT NOT NULL,                      -- the device that set it; they end together
    pushkey_ts INTEGER NOT NULL,                  -- when it was last set
    description TEXT NOT NULL,                    -- what else the client said of it, as JSON
    has_work INTEGER NOT NULL DEFAULT 0,          -- something is queued, or the count of unread messages may be another
    told_unread INTEGER NOT NULL DEFAULT 0,       -- the count that the gateway was told last
    attempts INTEGER NOT NULL DEFAULT 0,          -- failures since the last success
    failing_since INTEGER,                        -- time of the first of them
    next_try_ts INTEGER NOT NULL DEFAULT 0,
    UNIQUE (user_id, app_id, pushkey)
);
CREATE INDEX pushers_by_key ON pushers (app_id, pushkey);
CREATE INDEX pushers_with_work ON pushers (next_try_ts) WHERE has_work;

-- Events that a gateway has to be told of.
CREATE TABLE push_queue (
    pusher_nid INTEGER NOT NULL,
    event_position INTEGER NOT NULL,
    room_nid INTEGER NOT NULL,
    PRIMARY KEY (pusher_nid, event_position)
) WITHOUT ROWID;
