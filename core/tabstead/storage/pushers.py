"""Pushers: which gateways are told of a user's notifications, what they still have to be told, and how that goes.

What is to be told is queued in the transaction that makes it so; nothing is lost when the server ends before it was
told. Only users who have pushers cost anything.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class Pusher:
    user_id: str
    app_id: str
    pushkey: str
    device_id: str
    pushkey_ts: int
    description: dict[str, Any]
    """kind, data, lang and the rest, as the client sent them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePusher:
    """A pusher that has something to tell its gateway now."""

    pusher_nid: int
    pusher: Pusher
    room_nid: int | None
    """Of the first event in its queue; None when only the count of unread messages may have changed."""
    event_position: int | None
    told_unread: int
    attempts: int
    failing_since: int | None


_COLUMNS: Final = "user_id, app_id, pushkey, device_id, pushkey_ts, description"


def update_pusher(db: Db, pusher: Pusher, *, is_shared: bool) -> None:
    """Set a pusher. Unless the key `is_shared`, other users' pushers with it end."""
    if not is_shared:
        rows = db.execute(
            "SELECT pusher_nid FROM pushers WHERE app_id = ? AND pushkey = ? AND user_id <> ?",
            (pusher.app_id, pusher.pushkey, pusher.user_id),
        )
        _delete(db, [nid for (nid,) in rows])
    db.execute(
        f"INSERT INTO pushers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (user_id, app_id, pushkey) DO UPDATE SET device_id = excluded.device_id,"
        " pushkey_ts = excluded.pushkey_ts, description = excluded.description, attempts = 0, failing_since = NULL,"
        " next_try_ts = 0",
        (
            pusher.user_id,
            pusher.app_id,
            pusher.pushkey,
            pusher.device_id,
            pusher.pushkey_ts,
            json.dumps(pusher.description, ensure_ascii=False, separators=(",", ":")),
        ),
    )


def select_pushers(db: Db, user_id: str) -> list[Pusher]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM pushers WHERE user_id = ? ORDER BY pusher_nid", (user_id,))
    return [_pusher(row) for row in rows]


def delete_pusher(db: Db, user_id: str, app_id: str, pushkey: str) -> None:
    rows = db.execute(
        "SELECT pusher_nid FROM pushers WHERE user_id = ? AND app_id = ? AND pushkey = ?", (user_id, app_id, pushkey)
    )
    _delete(db, [nid for (nid,) in rows])


def delete_device_pushers(db: Db, user_id: str, device_id: str) -> None:
    """The device is gone."""
    rows = db.execute("SELECT pusher_nid FROM pushers WHERE user_id = ? AND device_id = ?", (user_id, device_id))
    _delete(db, [nid for (nid,) in rows])


def delete_rejected_pushers(db: Db, app_id: str, pushkeys: Collection[str]) -> None:
    """The gateway says that these keys of the application lead nowhere."""
    rows = db.execute(
        "SELECT pusher_nid FROM pushers WHERE app_id = ? AND pushkey IN (SELECT value FROM json_each(?))",
        (app_id, json.dumps(list(pushkeys))),
    )
    _delete(db, [nid for (nid,) in rows])


def queue_pushes(db: Db, user_ids: Collection[str], room_nid: int, event_position: int) -> None:
    """Have the pushers of these users told of an event."""
    users = json.dumps(list(user_ids))
    added = db.execute(
        "INSERT OR IGNORE INTO push_queue (pusher_nid, event_position, room_nid)"
        " SELECT p.pusher_nid, ?2, ?3 FROM json_each(?1) j CROSS JOIN pushers p ON p.user_id = j.value",
        (users, event_position, room_nid),
    )
    if added.rowcount > 0:
        db.execute(
            "UPDATE pushers SET has_work = 1 WHERE NOT has_work AND user_id IN (SELECT value FROM json_each(?))",
            (users,),
        )


def queue_unread_count(db: Db, user_id: str) -> None:
    """Have the user's pushers told how much is unread, if that changed."""
    db.execute("UPDATE pushers SET has_work = 1 WHERE user_id = ? AND NOT has_work", (user_id,))


def select_due_pushers(db: Db, now_ms: int, limit: int) -> list[DuePusher]:
    """Those that may try now and have something to tell, with the first of it."""
    rows = db.execute(
        f"SELECT {_COLUMNS}, p.pusher_nid, q.room_nid, q.event_position, told_unread, attempts, failing_since"
        " FROM pushers p LEFT JOIN push_queue q ON q.pusher_nid = p.pusher_nid AND q.event_position ="
        " (SELECT MIN(event_position) FROM push_queue WHERE pusher_nid = p.pusher_nid)"
        " WHERE p.has_work AND p.next_try_ts <= ? ORDER BY p.next_try_ts LIMIT ?",
        (now_ms, limit),
    )
    return [
        DuePusher(
            pusher_nid=nid,
            pusher=_pusher(tuple(columns)),
            room_nid=room_nid,
            event_position=event_position,
            told_unread=told_unread,
            attempts=attempts,
            failing_since=failing_since,
        )
        for *columns, nid, room_nid, event_position, told_unread, attempts, failing_since in rows
    ]


def find_next_try(db: Db) -> int | None:
    """The time (ms) at which a pusher wants to try again."""
    row = db.execute("SELECT MIN(next_try_ts) FROM pushers WHERE has_work").fetchone()
    return None if row[0] is None else int(row[0])


def update_told(db: Db, due: DuePusher, unread: int) -> None:
    """The gateway was told, or there was nothing to tell it after all."""
    if due.event_position is not None:
        db.execute(
            "DELETE FROM push_queue WHERE pusher_nid = ? AND event_position = ?", (due.pusher_nid, due.event_position)
        )
    db.execute(
        "UPDATE pushers SET told_unread = ?2, attempts = 0, failing_since = NULL, next_try_ts = 0,"
        " has_work = EXISTS (SELECT 1 FROM push_queue WHERE pusher_nid = ?1) WHERE pusher_nid = ?1",
        (due.pusher_nid, unread),
    )


def update_failed(db: Db, due: DuePusher, *, failing_since: int, next_try_ts: int) -> None:
    """The gateway could not be told."""
    db.execute(
        "UPDATE pushers SET attempts = ?, failing_since = ?, next_try_ts = ? WHERE pusher_nid = ?",
        (due.attempts + 1, failing_since, next_try_ts, due.pusher_nid),
    )


def _delete(db: Db, pusher_nids: list[int]) -> None:
    for nid in pusher_nids:
        db.execute("DELETE FROM push_queue WHERE pusher_nid = ?", (nid,))
        db.execute("DELETE FROM pushers WHERE pusher_nid = ?", (nid,))


def _pusher(row: tuple[Any, ...]) -> Pusher:
    user_id, app_id, pushkey, device_id, pushkey_ts, description = row
    return Pusher(
        user_id=user_id,
        app_id=app_id,
        pushkey=pushkey,
        device_id=device_id,
        pushkey_ts=pushkey_ts,
        description=json.loads(description),
    )
