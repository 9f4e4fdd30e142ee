"""Whose devices or cross-signing keys changed, and when last; and each change of a local user's, for other servers."""

from collections.abc import Iterable
from typing import Final

from tabstead.storage.database import Db
from tabstead.storage.positions import next_position

CROSS_SIGNING: Final = ""
"""In place of a device ID: the user's cross-signing keys."""


def insert_device_list_change(db: Db, user_id: str, changed: Iterable[str] = ()) -> None:
    """The user's devices, names or keys of them, or cross-signing keys changed: news for all who share rooms.

    `changed` names them for other servers: device IDs, and CROSS_SIGNING.
    """
    for device_id in changed:
        db.execute(
            "INSERT INTO device_changes (stream_position, user_id, device_id) VALUES (?, ?, ?)",
            (next_position(db), user_id, device_id),
        )
    db.execute(
        "INSERT INTO device_list_changes (user_id, stream_position) VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET stream_position = excluded.stream_position",
        (user_id, next_position(db)),
    )


def select_device_list_changes(db: Db, *, after: int) -> set[str]:
    """The users whose last change came after the position."""
    rows = db.execute("SELECT user_id FROM device_list_changes WHERE stream_position > ?", (after,))
    return {user_id for (user_id,) in rows}


def select_device_change_users(db: Db, *, after: int, up_to: int) -> dict[str, tuple[int, int]]:
    """Whose devices changed with after < position <= up_to, with the first and the last position of each."""
    rows = db.execute(
        "SELECT user_id, MIN(stream_position), MAX(stream_position) FROM device_changes"
        " WHERE stream_position > ? AND stream_position <= ? GROUP BY user_id",
        (after, up_to),
    )
    return {user_id: (first, last) for user_id, first, last in rows}


def select_device_changes(db: Db, user_id: str, *, first: int, last: int) -> dict[str, int]:
    """What changed of the user's devices between two positions, both included: the last position of each device ID."""
    rows = db.execute(
        "SELECT device_id, MAX(stream_position) FROM device_changes"
        " WHERE user_id = ? AND stream_position >= ? AND stream_position <= ? GROUP BY device_id",
        (user_id, first, last),
    )
    return dict(rows.fetchall())


def find_device_change(db: Db, user_id: str, *, before: int | None = None) -> int | None:
    """The position of the last change of a device of the user, or of the last one before a position."""
    (position,) = db.execute(
        "SELECT MAX(stream_position) FROM device_changes WHERE user_id = ?1 AND device_id <> ''"
        " AND (?2 IS NULL OR stream_position < ?2)",
        (user_id, before),
    ).fetchone()
    return None if position is None else int(position)
