-- What an administrator can do to an account, short of deactivating it.
ALTER TABLE users ADD COLUMN is_locked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN is_suspended INTEGER NOT NULL DEFAULT 0;
