"""Who may be found in the user directory, over memberships, rooms' current state and profiles."""

import json
from dataclasses import dataclass

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryUser:
    user_id: str
    displayname: str | None
    avatar_url: str | None


def select_visible_users(db: Db, user_id: str) -> list[DirectoryUser]:
    """Everybody else who is joined to a room of this user's, or to one that is public or world-readable."""
    rows = db.execute(
        "WITH visible_rooms (room_nid) AS ("
        " SELECT room_nid FROM memberships WHERE user_id = ?1 AND membership = 'join'"
        " UNION SELECT r.room_nid FROM rooms r"
        "  JOIN state_tuples t ON t.type IN ('m.room.join_rules', 'm.room.history_visibility') AND t.state_key = ''"
        "  JOIN current_state c ON c.room_nid = r.room_nid AND c.tuple_nid = t.tuple_nid"
        "  JOIN events e ON e.event_nid = c.event_nid"
        "  WHERE json_extract(e.pdu, '$.content.join_rule') = 'public'"
        "  OR json_extract(e.pdu, '$.content.history_visibility') = 'world_readable'"
        ") SELECT DISTINCT m.user_id, name.value, picture.value FROM visible_rooms v"
        " JOIN memberships m ON m.room_nid = v.room_nid AND m.membership = 'join' AND m.user_id <> ?1"
        " LEFT JOIN profile_fields name ON name.user_id = m.user_id AND name.name = 'displayname'"
        " LEFT JOIN profile_fields picture ON picture.user_id = m.user_id AND picture.name = 'avatar_url'",
        (user_id,),
    )
    return [
        DirectoryUser(
            user_id=found_id,
            displayname=json.loads(name) if name is not None else None,
            avatar_url=json.loads(picture) if picture is not None else None,
        )
        for found_id, name, picture in rows
    ]
