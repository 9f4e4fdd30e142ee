"""Events that are to be sent later. Finalised ones stay for a while, so that their users learn what became of them."""

import json
from dataclasses import dataclass
from typing import Any, Final

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayedEvent:
    delay_id: str
    user_id: str
    device_id: str
    room_id: str
    type: str
    state_key: str | None
    content: dict[str, Any]
    sticky_ms: int | None
    delay_ms: int
    scheduled_ts: int
    """When it was scheduled, or the delay was begun again."""
    finalised_ts: int | None = None
    """None: it is still to be sent."""
    event_id: str | None = None
    error: dict[str, Any] | None = None
    """Why it could not be sent: an error response."""

    @property
    def send_ts(self) -> int:
        return self.scheduled_ts + self.delay_ms


_COLUMNS: Final = (
    "delay_id, user_id, device_id, room_id, type, state_key, content, sticky_ms, delay_ms, scheduled_ts,"
    " finalised_ts, event_id, error"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM delayed_events"
_SEND_TS: Final = "scheduled_ts + delay_ms"


def insert_delayed_event(db: Db, delayed: DelayedEvent, transaction_key: str | None) -> None:
    db.execute(
        "INSERT INTO delayed_events (delay_id, user_id, device_id, transaction_key, room_id, type, state_key, content,"
        " sticky_ms, delay_ms, scheduled_ts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            delayed.delay_id,
            delayed.user_id,
            delayed.device_id,
            transaction_key,
            delayed.room_id,
            delayed.type,
            delayed.state_key,
            json.dumps(delayed.content, ensure_ascii=False, separators=(",", ":")),
            delayed.sticky_ms,
            delayed.delay_ms,
            delayed.scheduled_ts,
        ),
    )


def find_delay_id(db: Db, transaction_key: str) -> str | None:
    """What a request scheduled that comes again."""
    row = db.execute("SELECT delay_id FROM delayed_events WHERE transaction_key = ?", (transaction_key,)).fetchone()
    return None if row is None else str(row[0])


def find_delayed_event(db: Db, delay_id: str) -> DelayedEvent | None:
    row = db.execute(f"{_SELECT} WHERE delay_id = ?", (delay_id,)).fetchone()
    return None if row is None else _delayed(row)


def select_scheduled(db: Db, user_id: str) -> list[DelayedEvent]:
    """What is still to be sent for a user, in the order of the times."""
    rows = db.execute(f"{_SELECT} WHERE user_id = ? AND finalised_ts IS NULL ORDER BY {_SEND_TS}", (user_id,))
    return [_delayed(row) for row in rows]


def select_finalised(db: Db, user_id: str, limit: int) -> list[DelayedEvent]:
    """What became of a user's others, the last one first."""
    rows = db.execute(
        f"{_SELECT} WHERE user_id = ? AND finalised_ts IS NOT NULL ORDER BY finalised_ts DESC, delay_nid DESC LIMIT ?",
        (user_id, limit),
    )
    return [_delayed(row) for row in rows]


def select_due(db: Db, now_ms: int, limit: int) -> list[DelayedEvent]:
    """What is to be sent by now, in the order of the times."""
    rows = db.execute(
        f"{_SELECT} WHERE finalised_ts IS NULL AND {_SEND_TS} <= ? ORDER BY {_SEND_TS}, delay_nid LIMIT ?",
        (now_ms, limit),
    )
    return [_delayed(row) for row in rows]


def find_next_send(db: Db) -> int | None:
    """The time (ms) at which the next one is due."""
    row = db.execute(f"SELECT MIN({_SEND_TS}) FROM delayed_events WHERE finalised_ts IS NULL").fetchone()
    return None if row[0] is None else int(row[0])


def update_scheduled(db: Db, delay_id: str, scheduled_ts: int) -> None:
    """Begin the delay again."""
    db.execute("UPDATE delayed_events SET scheduled_ts = ? WHERE delay_id = ?", (scheduled_ts, delay_id))


def update_finalised(
    db: Db, delay_id: str, now_ms: int, *, event_id: str | None = None, error: dict[str, Any] | None = None
) -> None:
    """It was sent, or never will be."""
    db.execute(
        "UPDATE delayed_events SET finalised_ts = ?, event_id = ?, error = ? WHERE delay_id = ?",
        (now_ms, event_id, None if error is None else json.dumps(error), delay_id),
    )


def delete_old_finalised(db: Db, user_id: str, *, keep: int, before: int) -> None:
    """Forget a user's finalised ones, but the last `keep` of them that were finalised after a time (ms)."""
    db.execute(
        "DELETE FROM delayed_events WHERE user_id = ?1 AND finalised_ts IS NOT NULL AND (finalised_ts < ?2"
        " OR delay_nid NOT IN (SELECT delay_nid FROM delayed_events WHERE user_id = ?1 AND finalised_ts IS NOT NULL"
        " ORDER BY finalised_ts DESC, delay_nid DESC LIMIT ?3))",
        (user_id, before, keep),
    )


def _delayed(row: tuple[Any, ...]) -> DelayedEvent:
    values = dict(zip(DelayedEvent.__slots__, row, strict=True))
    error = values["error"]
    return DelayedEvent(
        **{**values, "content": json.loads(values["content"]), "error": None if error is None else json.loads(error)}
    )
