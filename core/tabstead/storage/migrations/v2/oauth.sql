-- Applications that registered themselves for the OAuth 2.0 API; equal registrations share a row.
CREATE TABLE oauth_clients (
    client_id TEXT PRIMARY KEY,                   -- made of the metadata, so that it is found again
    metadata TEXT NOT NULL,                       -- JSON, as it was accepted
    registered_ts INTEGER NOT NULL
) WITHOUT ROWID;

-- NULL: a token of the legacy API.
ALTER TABLE access_tokens ADD COLUMN oauth_client_id TEXT;

-- Refresh tokens that were followed by newer ones: whoever shows one has stolen it, or was stolen from.
CREATE TABLE spent_refresh_tokens (
    refresh_token_hash BLOB PRIMARY KEY,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    spent_ts INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX spent_refresh_tokens_by_device ON spent_refresh_tokens (user_id, device_id);
