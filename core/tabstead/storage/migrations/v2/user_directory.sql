-- The words of users' names, for the user directory: see storage/user_directory.py.
CREATE TABLE directory_users (
    user_nid INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL UNIQUE,
    words TEXT NOT NULL                           -- of the localpart and the display name
);
CREATE VIRTUAL TABLE directory_words USING fts5 (
    words, content = 'directory_users', content_rowid = 'user_nid', columnsize = 0, detail = none, tokenize = 'ascii'
);

-- Users whose words are not known yet, or not any more: whoever searches next brings them in.
CREATE TABLE directory_news (
    user_id TEXT PRIMARY KEY
) WITHOUT ROWID;
INSERT INTO directory_news (user_id) SELECT user_id FROM users;

CREATE TRIGGER directory_news_of_users AFTER INSERT ON users BEGIN
    INSERT OR REPLACE INTO directory_news (user_id) VALUES (NEW.user_id);
END;
CREATE TRIGGER directory_news_of_names AFTER INSERT ON profile_fields WHEN NEW.name = 'displayname' BEGIN
    INSERT OR REPLACE INTO directory_news (user_id) VALUES (NEW.user_id);
END;
CREATE TRIGGER directory_news_of_lost_names AFTER DELETE ON profile_fields WHEN OLD.name = 'displayname' BEGIN
    INSERT OR REPLACE INTO directory_news (user_id) VALUES (OLD.user_id);
END;
