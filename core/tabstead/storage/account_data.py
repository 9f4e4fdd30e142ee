"""Account data: what users keep on the server, globally or for a room.

A type has one content; the newest counts. Tags are the room's `m.tag`, the fully-read marker its `m.fully_read`; a
user's changes to push rules are the global `m.push_rules`.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from tabstead.storage.database import Db
from tabstead.storage.positions import next_position

GLOBAL: Final = ""
"""Stands for a room id in what belongs to no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountData:
    room_id: str
    """GLOBAL, or the room that it belongs to."""
    type: str
    content: dict[str, Any]


def update_account_data(db: Db, user_id: str, event_type: str, content: dict[str, Any], room_id: str = GLOBAL) -> None:
    """Set a type's content. An equal content is no news and writes nothing."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    row = db.execute(
        "SELECT content FROM account_data WHERE user_id = ? AND room_id = ? AND type = ?",
        (user_id, room_id, event_type),
    ).fetchone()
    if row is not None and row[0] == text:
        return
    db.execute(
        "INSERT INTO account_data (user_id, room_id, type, stream_position, content) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET stream_position = excluded.stream_position, content = excluded.content",
        (user_id, room_id, event_type, next_position(db), text),
    )


def find_account_data(db: Db, user_id: str, event_type: str, room_id: str = GLOBAL) -> dict[str, Any] | None:
    """A type's content, or None if it was never set."""
    row = db.execute(
        "SELECT content FROM account_data WHERE user_id = ? AND room_id = ? AND type = ?",
        (user_id, room_id, event_type),
    ).fetchone()
    return None if row is None else json.loads(row[0])


def select_account_data(db: Db, user_id: str, room_id: str) -> list[AccountData]:
    """Everything of the user that belongs to the room, or globally."""
    rows = db.execute(
        "SELECT room_id, type, content FROM account_data WHERE user_id = ? AND room_id = ?", (user_id, room_id)
    )
    return [_account_data(row) for row in rows]


def select_account_data_changes(db: Db, user_id: str, *, after: int, up_to: int) -> list[AccountData]:
    """What of the user's account data, of all rooms and globally, was set with after < position <= up_to."""
    rows = db.execute(
        "SELECT room_id, type, content FROM account_data"
        " WHERE user_id = ? AND stream_position > ? AND stream_position <= ? ORDER BY stream_position",
        (user_id, after, up_to),
    )
    return [_account_data(row) for row in rows]


def select_rooms_account_data(db: Db, user_id: str, event_type: str) -> dict[str, dict[str, Any]]:
    """One type's contents in all of the user's rooms that have it, by room id."""
    rows = db.execute(
        "SELECT room_id, content FROM account_data WHERE user_id = ? AND room_id <> '' AND type = ?",
        (user_id, event_type),
    )
    return {room_id: json.loads(content) for room_id, content in rows}


def delete_account_data(db: Db, user_id: str) -> None:
    """Everything of the user, when they want to be forgotten."""
    db.execute("DELETE FROM account_data WHERE user_id = ?", (user_id,))


def _account_data(row: tuple[str, str, str]) -> AccountData:
    room_id, event_type, content = row
    return AccountData(room_id=room_id, type=event_type, content=json.loads(content))
