-- By which words users and listed rooms are found: a user by those of localpart and display name, a room by those of
-- name, topic and canonical alias. A subject is a user id or a room_nid, and has the same words in its own row.
CREATE TABLE directory_words (
    word TEXT NOT NULL,
    subject NOT NULL,
    PRIMARY KEY (word, subject)
) WITHOUT ROWID;

CREATE TABLE directory_users (
    user_id TEXT PRIMARY KEY,
    words TEXT NOT NULL
) WITHOUT ROWID;

-- The rooms that the room directory lists (rooms.is_public).
CREATE TABLE listed_rooms (
    room_nid INTEGER PRIMARY KEY,
    place INTEGER NOT NULL,                       -- minus the number of joined members: the largest room comes first
    room_type TEXT NOT NULL,                      -- '' for a room without a type
    words TEXT NOT NULL
);
CREATE INDEX listed_rooms_by_place ON listed_rooms (place, room_nid, room_type);

-- Subjects whose row is out of date, or not there yet: whoever asks next brings them up to date.
CREATE TABLE directory_news (
    subject PRIMARY KEY NOT NULL
) WITHOUT ROWID;
INSERT INTO directory_news (subject) SELECT user_id FROM users UNION ALL SELECT room_nid FROM rooms WHERE is_public;

CREATE TRIGGER directory_news_of_users AFTER INSERT ON users BEGIN
    INSERT OR REPLACE INTO directory_news (subject) VALUES (NEW.user_id);
END;
CREATE TRIGGER directory_news_of_names AFTER INSERT ON profile_fields WHEN NEW.name = 'displayname' BEGIN
    INSERT OR REPLACE INTO directory_news (subject) VALUES (NEW.user_id);
END;
CREATE TRIGGER directory_news_of_lost_names AFTER DELETE ON profile_fields WHEN OLD.name = 'displayname' BEGIN
    INSERT OR REPLACE INTO directory_news (subject) VALUES (OLD.user_id);
END;
