"""The events that push rules notify users of: unread counts, and the list of notifications.

A row is read once a receipt of its user has passed it: an unthreaded one, or one of its thread. Receipts therefore
write nothing here. Read rows stay for the list of notifications, the newest of them.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from tabstead.storage.database import Db
from tabstead.storage.names import USER_NID, intern_user

MAIN: Final = "main"
"""The thread id of what is in no thread."""

_KEPT_POSITIONS: Final = 20_000
"""How far behind a receipt, in stream positions, read rows are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadCount:
    notifications: int
    highlights: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    room_nid: int
    event_position: int
    actions: list[Any]
    read: bool


_IS_UNREAD: Final = (
    "(p.unread AND p.event_position > COALESCE((SELECT MAX(r.event_position) FROM receipts r"
    " WHERE r.room_nid = p.room_nid AND r.user_nid = p.user_nid AND r.thread_id IN ('', p.thread_id)), 0))"
)
IS_READ: Final = f"NOT {_IS_UNREAD}"
"""Of a row `p`."""
_BEHIND_UNTHREADED: Final = (
    "p.event_position > COALESCE((SELECT MAX(event_position) FROM receipts"
    f" WHERE room_nid = ?2 AND user_nid = {USER_NID % '?1'} AND thread_id = ''), 0)"
)
"""Follows from the former; it spares looking at what was read long ago."""


def insert_push_action(
    db: Db,
    user_id: str,
    *,
    room_nid: int,
    event_position: int,
    thread_id: str,
    highlights: bool,
    actions: Iterable[Any],
) -> None:
    """Notify the user of an event."""
    db.execute(
        "INSERT OR REPLACE INTO push_actions (user_nid, room_nid, event_position, thread_id, unread, highlights,"
        " actions) VALUES (?, ?, ?, ?, 1, ?, ?)",
        (
            intern_user(db, user_id),
            room_nid,
            event_position,
            thread_id,
            int(highlights),
            _encode_actions(list(actions)),
        ),
    )


def update_spoken(db: Db, user_id: str, room_nid: int, thread_id: str) -> None:
    """The user has sent something to the thread, and so has read what came before."""
    db.execute(
        "UPDATE push_actions AS p SET unread = 0"
        f" WHERE p.user_nid = {USER_NID % '?1'} AND p.room_nid = ?2 AND {_BEHIND_UNTHREADED} AND p.thread_id = ?3"
        f" AND {_IS_UNREAD}",
        (user_id, room_nid, thread_id),
    )


def select_unread_counts(db: Db, user_id: str, room_nid: int) -> dict[str, UnreadCount]:
    """What the user has not read of a room, by thread id."""
    rows = db.execute(
        "SELECT p.thread_id, COUNT(*), SUM(p.highlights) FROM push_actions p"
        f" WHERE p.user_nid = {USER_NID % '?1'} AND p.room_nid = ?2 AND {_BEHIND_UNTHREADED} AND {_IS_UNREAD}"
        " GROUP BY p.thread_id",
        (user_id, room_nid),
    )
    return {
        thread_id: UnreadCount(notifications=notifications, highlights=highlights)
        for thread_id, notifications, highlights in rows
    }


def has_push_actions(db: Db, user_id: str, room_nid: int, *, after: int, up_to: int) -> bool:
    """Whether an event of the room with after < position <= up_to notifies the user."""
    row = db.execute(
        "SELECT 1 FROM push_actions"
        f" WHERE user_nid = {USER_NID % '?'} AND room_nid = ? AND event_position > ? AND event_position <= ? LIMIT 1",
        (user_id, room_nid, after, up_to),
    ).fetchone()
    return row is not None


def count_unread(db: Db, user_id: str) -> int:
    """How many notifications of all rooms the user has not read."""
    row = db.execute(
        f"SELECT COUNT(*) FROM push_actions p WHERE p.user_nid = {USER_NID % '?'} AND {_IS_UNREAD}", (user_id,)
    ).fetchone()
    return int(row[0])


def find_unread_actions(db: Db, user_id: str, room_nid: int, event_position: int) -> list[Any] | None:
    """The actions with which an event notifies the user; None if it doesn't, or they have read it."""
    row = db.execute(
        "SELECT p.actions FROM push_actions p"
        f" WHERE p.user_nid = {USER_NID % '?'} AND p.room_nid = ? AND p.event_position = ? AND {_IS_UNREAD}",
        (user_id, room_nid, event_position),
    ).fetchone()
    return None if row is None else _decode_actions(row[0])


def select_notifications(
    db: Db, user_id: str, *, before: int | None, limit: int, only_highlights: bool
) -> list[Notification]:
    """The newest notifications of a user, of all rooms, whose events are before the position."""
    rows = db.execute(
        f"SELECT p.room_nid, p.event_position, p.actions, {_IS_UNREAD} FROM push_actions p"
        f" WHERE p.user_nid = {USER_NID % '?1'} AND (?2 IS NULL OR p.event_position < ?2) AND (NOT ?3 OR p.highlights)"
        " ORDER BY p.event_position DESC LIMIT ?4",
        (user_id, before, int(only_highlights), limit),
    )
    return [
        Notification(
            room_nid=room_nid, event_position=event_position, actions=_decode_actions(actions), read=not unread
        )
        for room_nid, event_position, actions, unread in rows
    ]


def delete_old_push_actions(db: Db, user_id: str, room_nid: int, thread_id: str, event_position: int) -> None:
    """Forget what lies far behind a receipt; `thread_id` '' means every thread."""
    db.execute(
        f"DELETE FROM push_actions WHERE user_nid = {USER_NID % '?1'} AND room_nid = ?2 AND event_position < ?4"
        " AND (?3 = '' OR thread_id = ?3)",
        (user_id, room_nid, thread_id, event_position - _KEPT_POSITIONS),
    )


def delete_push_actions_of_user(db: Db, user_id: str, room_nid: int) -> None:
    """The user is no longer in the room."""
    db.execute(f"DELETE FROM push_actions WHERE user_nid = {USER_NID % '?'} AND room_nid = ?", (user_id, room_nid))


def delete_push_actions_of_event(db: Db, room_nid: int, event_position: int) -> None:
    """The event is gone, redacted: it notifies nobody."""
    db.execute(
        "DELETE FROM push_actions WHERE room_nid = ?1 AND event_position = ?2"
        " AND user_nid IN (SELECT user_nid FROM memberships WHERE room_nid = ?1)",
        (room_nid, event_position),
    )


_SOUND: Final = {"set_tweak": "sound", "value": "default"}
_HIGHLIGHT: Final = {"set_tweak": "highlight"}

_USUAL_ACTIONS: Final[tuple[list[Any], ...]] = (
    ["notify"],
    ["notify", _SOUND],
    ["notify", _SOUND, _HIGHLIGHT],
    ["notify", _HIGHLIGHT],
)
"""What the default rules say. Stored as an index into this; never reorder it."""


def _encode_actions(actions: list[Any]) -> str:
    if actions in _USUAL_ACTIONS:
        return str(_USUAL_ACTIONS.index(actions))
    return json.dumps(actions, ensure_ascii=False, separators=(",", ":"))


def _decode_actions(text: str) -> list[Any]:
    decoded = json.loads(text)
    actions: list[Any] = _USUAL_ACTIONS[decoded] if isinstance(decoded, int) else decoded
    return actions
