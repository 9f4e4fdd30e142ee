-- This server's users. A deactivated one stays, so that nobody else gets the name.
CREATE TABLE users (
    user_id TEXT PRIMARY KEY,
    password_hash TEXT,                           -- NULL: no login with a password
    is_guest INTEGER NOT NULL DEFAULT 0,
    is_admin INTEGER NOT NULL DEFAULT 0,
    is_deactivated INTEGER NOT NULL DEFAULT 0,
    is_erased INTEGER NOT NULL DEFAULT 0,         -- asked to be forgotten when deactivated
    created_ts INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE devices (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    display_name TEXT,
    last_seen_ts INTEGER NOT NULL,                -- to the hour, or so
    last_seen_ip TEXT NOT NULL,
    PRIMARY KEY (user_id, device_id)
) WITHOUT ROWID;

-- Tokens by their SHA-256. A row is a pair: an access token, and the refresh token that was given with it.
CREATE TABLE access_tokens (
    token_hash BLOB PRIMARY KEY,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    expires_ts INTEGER,                           -- NULL: never
    refresh_token_hash BLOB UNIQUE,               -- NULL: the client does not refresh
    replaces BLOB                                 -- the pair it was refreshed from; NULL once one of it was used
) WITHOUT ROWID;
CREATE INDEX access_tokens_by_device ON access_tokens (user_id, device_id);
CREATE INDEX access_tokens_by_replaced ON access_tokens (replaces) WHERE replaces IS NOT NULL;

-- One row per profile field; the value is JSON.
CREATE TABLE profile_fields (
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (user_id, name)
) WITHOUT ROWID;

-- Sessions of user-interactive authentication.
CREATE TABLE interactive_auth_sessions (
    session_id TEXT PRIMARY KEY,
    operation TEXT NOT NULL,                      -- what it may be used for, and for whom
    body TEXT NOT NULL,                           -- the request's parameters, without secrets
    outcome TEXT,                                 -- the user that a registration made
    expires_ts INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX interactive_auth_sessions_by_expiry ON interactive_auth_sessions (expires_ts);
