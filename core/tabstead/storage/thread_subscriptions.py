"""Which threads users have subscribed to. What was given up again stays, with the position at which that was."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from tabstead.storage.database import Db
from tabstead.storage.positions import next_position


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadSubscription:
    room_nid: int
    thread_id: str
    stream_position: int
    """Of the last change."""
    is_subscribed: bool
    is_automatic: bool


_SELECT: Final = (
    "SELECT room_nid, thread_id, stream_position, is_subscribed, is_automatic FROM thread_subscriptions"
    " WHERE user_id = ?"
)


def update_subscription(
    db: Db, user_id: str, room_nid: int, thread_id: str, *, is_subscribed: bool, is_automatic: bool
) -> None:
    """Subscribe to a thread, or give it up."""
    db.execute(
        "INSERT INTO thread_subscriptions (user_id, room_nid, thread_id, stream_position, is_subscribed, is_automatic)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET stream_position = excluded.stream_position,"
        " is_subscribed = excluded.is_subscribed, is_automatic = excluded.is_automatic",
        (user_id, room_nid, thread_id, next_position(db), int(is_subscribed), int(is_automatic)),
    )


def find_subscription(db: Db, user_id: str, room_nid: int, thread_id: str) -> ThreadSubscription | None:
    """The user's subscription, a given up one too."""
    row = db.execute(f"{_SELECT} AND room_nid = ? AND thread_id = ?", (user_id, room_nid, thread_id)).fetchone()
    return None if row is None else _subscription(row)


def select_subscription_changes(
    db: Db, user_id: str, *, after: int, up_to: int, limit: int
) -> list[ThreadSubscription]:
    """The last `limit` that changed with after < position <= up_to, the latest first."""
    rows = db.execute(
        f"{_SELECT} AND stream_position > ? AND stream_position <= ? ORDER BY stream_position DESC LIMIT ?",
        (user_id, after, up_to, limit),
    )
    return [_subscription(row) for row in rows]


def select_subscribed(db: Db, user_ids: Collection[str], room_nid: int, thread_id: str) -> dict[str, bool]:
    """Whether each of these users is subscribed to a thread, for those who have ever subscribed to any."""
    rows = db.execute(
        "SELECT j.value, EXISTS (SELECT 1 FROM thread_subscriptions t WHERE t.user_id = j.value AND t.room_nid = ?2"
        " AND t.thread_id = ?3 AND t.is_subscribed) FROM json_each(?1) j"
        " WHERE EXISTS (SELECT 1 FROM thread_subscriptions t WHERE t.user_id = j.value)",
        (json.dumps(list(user_ids)), room_nid, thread_id),
    )
    return {user_id: bool(is_subscribed) for user_id, is_subscribed in rows}


def has_subscriptions(db: Db, user_id: str) -> bool:
    """Whether the user has ever subscribed to a thread."""
    row = db.execute("SELECT 1 FROM thread_subscriptions WHERE user_id = ? LIMIT 1", (user_id,)).fetchone()
    return row is not None


def _subscription(row: tuple[Any, ...]) -> ThreadSubscription:
    room_nid, thread_id, stream_position, is_subscribed, is_automatic = row
    return ThreadSubscription(
        room_nid=room_nid,
        thread_id=thread_id,
        stream_position=stream_position,
        is_subscribed=bool(is_subscribed),
        is_automatic=bool(is_automatic),
    )
