"""Who may be found in the user directory, over memberships, rooms' current state and profiles."""

import json
from dataclasses import dataclass

from tabstead.protocol.canonical_json import JsonDict
from tabstead.storage.database import Db
from tabstead.storage.events import select_events


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
        " UNION SELECT value FROM json_each(?2)"
        ") SELECT DISTINCT m.user_id, name.value, picture.value FROM visible_rooms v"
        " JOIN memberships m ON m.room_nid = v.room_nid AND m.membership = 'join' AND m.user_id <> ?1"
        " LEFT JOIN profile_fields name ON name.user_id = m.user_id AND name.name = 'displayname'"
        " LEFT JOIN profile_fields picture ON picture.user_id = m.user_id AND picture.name = 'avatar_url'",
        (user_id, json.dumps(_select_open_rooms(db))),
    )
    return [
        DirectoryUser(
            user_id=found_id,
            displayname=json.loads(name) if name is not None else None,
            avatar_url=json.loads(picture) if picture is not None else None,
        )
        for found_id, name, picture in rows
    ]


def _select_open_rooms(db: Db) -> list[int]:
    """The room_nids of the rooms that are public or world-readable."""
    rows = db.execute(
        "SELECT c.event_nid FROM rooms r JOIN state_tuples t"
        " ON t.type IN ('m.room.join_rules', 'm.room.history_visibility') AND t.state_key = ''"
        " JOIN current_state c ON c.room_nid = r.room_nid AND c.tuple_nid = t.tuple_nid"
    )
    settings = select_events(db, (event_nid for (event_nid,) in rows.fetchall())).values()
    return list({each.room_nid for each in settings if _is_open(each.event.content)})


def _is_open(content: JsonDict) -> bool:
    return content.get("join_rule") == "public" or content.get("history_visibility") == "world_readable"
