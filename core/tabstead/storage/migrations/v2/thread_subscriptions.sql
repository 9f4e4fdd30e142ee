-- The threads that users have subscribed to, or unsubscribed from again.
CREATE TABLE thread_subscriptions (
    user_id TEXT NOT NULL,
    room_nid INTEGER NOT NULL,
    thread_id TEXT NOT NULL,                      -- event id of the root
    stream_position INTEGER NOT NULL,             -- of the last change
    is_subscribed INTEGER NOT NULL,
    is_automatic INTEGER NOT NULL,                -- by a client, because of a mention
    PRIMARY KEY (user_id, room_nid, thread_id)
) WITHOUT ROWID;
CREATE INDEX thread_subscriptions_by_position ON thread_subscriptions (user_id, stream_position);
