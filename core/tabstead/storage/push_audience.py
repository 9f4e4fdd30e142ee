"""Whom a new event might notify: members of its room, with what their account data says of notifications."""

import json
from dataclasses import dataclass
from typing import Any, Final

from tabstead.storage.database import Db
from tabstead.storage.names import USER_NID


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    user_id: str
    push_rules: dict[str, Any] | None
    """The user's stored changes to the default push rules, if there are any."""
    ignored_users: frozenset[str]


_SELECT: Final = (
    "SELECT u.state_key, p.content, i.content FROM memberships m"
    " CROSS JOIN state_tuples u ON u.tuple_nid = m.user_nid"
    " LEFT JOIN account_data p ON p.user_id = u.state_key AND p.room_id = '' AND p.type = 'm.push_rules'"
    " LEFT JOIN account_data i ON i.user_id = u.state_key AND i.room_id = '' AND i.type = 'm.ignored_user_list'"
)


def select_listeners(db: Db, room_nid: int) -> list[Listener]:
    """The joined members of a room."""
    rows = db.execute(f"{_SELECT} WHERE m.room_nid = ? AND m.membership = 'join'", (room_nid,))
    return [_listener(row) for row in rows]


def find_invited_listener(db: Db, room_nid: int, user_id: str) -> Listener | None:
    """The user, if invited to the room."""
    row = db.execute(
        f"{_SELECT} WHERE m.room_nid = ? AND m.user_nid = {USER_NID % '?'} AND m.membership = 'invite'",
        (room_nid, user_id),
    ).fetchone()
    return None if row is None else _listener(row)


def _parse_ignored_users(content: dict[str, Any]) -> frozenset[str]:
    """The users that an m.ignored_user_list names; what is malformed names nobody."""
    ignored = content.get("ignored_users")
    return frozenset(ignored) if isinstance(ignored, dict) else frozenset()


def _listener(row: tuple[str, str | None, str | None]) -> Listener:
    user_id, push_rules, ignored = row
    return Listener(
        user_id=user_id,
        push_rules=None if push_rules is None else json.loads(push_rules),
        ignored_users=frozenset() if ignored is None else _parse_ignored_users(json.loads(ignored)),
    )
