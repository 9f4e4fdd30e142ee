-- Who of other servers joins a room, leaves it, or has another name in it, is news for the user directory: by triggers,
-- as `room_servers`. This server's users are in the directory wherever they are.
CREATE TRIGGER directory_news_of_new_members AFTER INSERT ON memberships WHEN NEW.membership = 'join' BEGIN
    INSERT INTO directory_news (subject)
        SELECT state_key FROM state_tuples
        WHERE tuple_nid = NEW.user_nid AND state_key NOT IN (SELECT user_id FROM users)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER directory_news_of_members AFTER UPDATE OF membership, event_nid ON memberships
WHEN NEW.membership = 'join' OR OLD.membership = 'join' BEGIN
    INSERT INTO directory_news (subject)
        SELECT state_key FROM state_tuples
        WHERE tuple_nid = NEW.user_nid AND state_key NOT IN (SELECT user_id FROM users)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER directory_news_of_lost_members AFTER DELETE ON memberships WHEN OLD.membership = 'join' BEGIN
    INSERT INTO directory_news (subject)
        SELECT state_key FROM state_tuples
        WHERE tuple_nid = OLD.user_nid AND state_key NOT IN (SELECT user_id FROM users)
        ON CONFLICT DO NOTHING;
END;
