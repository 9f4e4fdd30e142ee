-- Which servers are in which room: those with joined members, and how many. It follows the memberships by triggers, so
-- that it is right whoever writes those: an event, an import, the migration that fills `memberships` (made before this).
CREATE TABLE room_servers (
    room_nid INTEGER NOT NULL,
    server TEXT NOT NULL,
    joined INTEGER NOT NULL,                      -- never 0: then there is no row
    PRIMARY KEY (room_nid, server)
) WITHOUT ROWID;

CREATE TRIGGER room_servers_of_new_members AFTER INSERT ON memberships WHEN NEW.membership = 'join' BEGIN
    INSERT INTO room_servers (room_nid, server, joined)
        SELECT NEW.room_nid, substr(state_key, instr(state_key, ':') + 1), 1
        FROM state_tuples WHERE tuple_nid = NEW.user_nid
        ON CONFLICT DO UPDATE SET joined = joined + 1;
END;
CREATE TRIGGER room_servers_of_joins AFTER UPDATE OF membership ON memberships
WHEN NEW.membership = 'join' AND OLD.membership <> 'join' BEGIN
    INSERT INTO room_servers (room_nid, server, joined)
        SELECT NEW.room_nid, substr(state_key, instr(state_key, ':') + 1), 1
        FROM state_tuples WHERE tuple_nid = NEW.user_nid
        ON CONFLICT DO UPDATE SET joined = joined + 1;
END;
CREATE TRIGGER room_servers_of_leaves AFTER UPDATE OF membership ON memberships
WHEN NEW.membership <> 'join' AND OLD.membership = 'join' BEGIN
    UPDATE room_servers SET joined = joined - 1 WHERE room_nid = OLD.room_nid AND server =
        (SELECT substr(state_key, instr(state_key, ':') + 1) FROM state_tuples WHERE tuple_nid = OLD.user_nid);
    DELETE FROM room_servers WHERE room_nid = OLD.room_nid AND joined = 0;
END;
CREATE TRIGGER room_servers_of_lost_members AFTER DELETE ON memberships WHEN OLD.membership = 'join' BEGIN
    UPDATE room_servers SET joined = joined - 1 WHERE room_nid = OLD.room_nid AND server =
        (SELECT substr(state_key, instr(state_key, ':') + 1) FROM state_tuples WHERE tuple_nid = OLD.user_nid);
    DELETE FROM room_servers WHERE room_nid = OLD.room_nid AND joined = 0;
END;
