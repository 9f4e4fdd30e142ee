-- What of an operation's authentication is done already, and who has to do it.
ALTER TABLE interactive_auth_sessions ADD COLUMN completed TEXT NOT NULL DEFAULT '{}';  -- JSON: stage, and what it proved
ALTER TABLE interactive_auth_sessions ADD COLUMN user_id TEXT;                          -- NULL: nobody who has an account

-- Secrets that stand for something for a while: a login token, an authorization code, a form that was begun.
CREATE TABLE tickets (
    ticket_hash BLOB PRIMARY KEY,                 -- SHA-256 of kind and secret
    user_id TEXT,                                 -- whose ticket ends with the account; NULL: nobody's
    value TEXT NOT NULL,                          -- JSON
    expires_ts INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tickets_by_expiry ON tickets (expires_ts);
CREATE INDEX tickets_by_user ON tickets (user_id) WHERE user_id IS NOT NULL;

-- Tokens that let their bearers register.
CREATE TABLE registration_tokens (
    token TEXT PRIMARY KEY,
    uses_allowed INTEGER,                         -- NULL: any number
    used INTEGER NOT NULL DEFAULT 0,
    expires_ts INTEGER                            -- NULL: never
) WITHOUT ROWID;

-- Addresses that users have proved to be theirs.
CREATE TABLE third_party_ids (
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    user_id TEXT NOT NULL,
    validated_ts INTEGER NOT NULL,
    added_ts INTEGER NOT NULL,
    PRIMARY KEY (medium, address)
) WITHOUT ROWID;
CREATE INDEX third_party_ids_by_user ON third_party_ids (user_id);

-- Email addresses on the way to being proved.
CREATE TABLE email_validations (
    session_id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,                        -- for which of the operations an email was asked for
    client_secret TEXT NOT NULL,
    address TEXT NOT NULL,
    send_attempt INTEGER NOT NULL,                -- the newest for which an email was sent
    token_hash BLOB NOT NULL,                     -- SHA-256 of what is in the email's link
    next_link TEXT,
    validated_ts INTEGER,                         -- NULL: not yet
    expires_ts INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX email_validations_by_expiry ON email_validations (expires_ts);

-- Accounts that log in at another identity provider.
CREATE TABLE external_identities (
    provider_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (provider_id, subject)
) WITHOUT ROWID;
CREATE INDEX external_identities_by_user ON external_identities (user_id);

-- Whose events are withheld from who comes later: asked for with every answer, and almost always nobody.
CREATE INDEX users_erased ON users (user_id) WHERE is_erased = 1;
