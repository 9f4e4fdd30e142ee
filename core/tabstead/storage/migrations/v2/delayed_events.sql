-- Events that users want sent later, and for a while those that were sent or never will be.
CREATE TABLE delayed_events (
    delay_nid INTEGER PRIMARY KEY,
    delay_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    transaction_key TEXT UNIQUE,                  -- the request that scheduled it, so that it counts once; NULL: not told
    room_id TEXT NOT NULL,
    type TEXT NOT NULL,
    state_key TEXT,                               -- NULL: not a state event
    content TEXT NOT NULL,                        -- JSON
    sticky_ms INTEGER,                            -- NULL: not sticky
    delay_ms INTEGER NOT NULL,
    scheduled_ts INTEGER NOT NULL,                -- when it was scheduled, or the delay was begun again
    finalised_ts INTEGER,                         -- NULL: still to be sent
    event_id TEXT,                                -- NULL: not sent
    error TEXT                                    -- why it could not be sent: an error response as JSON
);
CREATE INDEX delayed_events_due ON delayed_events (scheduled_ts + delay_ms) WHERE finalised_ts IS NULL;
CREATE INDEX delayed_events_by_user ON delayed_events (user_id, finalised_ts);
