"""To-device messages, each kept for its device until the device acknowledges it with the `since` of a later sync."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tabstead.storage.database import Db
from tabstead.storage.positions import next_position


@dataclass(frozen=True, slots=True, kw_only=True)
class ToDeviceMessage:
    stream_position: int
    sender: str
    type: str
    content: dict[str, Any]


def insert_to_device_messages(
    db: Db, user_id: str, device_ids: Iterable[str], *, sender: str, event_type: str, content: dict[str, Any]
) -> None:
    """Leave one message for each of the devices."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    for device_id in device_ids:
        db.execute(
            "INSERT INTO to_device_messages (stream_position, user_id, device_id, sender, type, content)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (next_position(db), user_id, device_id, sender, event_type, text),
        )


def select_to_device_messages(
    db: Db, user_id: str, device_id: str, *, after: int, up_to: int, limit: int
) -> list[ToDeviceMessage]:
    """The first `limit` messages of a device with after < position <= up_to, in the order they came."""
    rows = db.execute(
        "SELECT stream_position, sender, type, content FROM to_device_messages"
        " WHERE user_id = ? AND device_id = ? AND stream_position > ? AND stream_position <= ?"
        " ORDER BY stream_position LIMIT ?",
        (user_id, device_id, after, up_to, limit),
    )
    return [
        ToDeviceMessage(stream_position=position, sender=sender, type=event_type, content=json.loads(content))
        for position, sender, event_type, content in rows
    ]


def has_to_device_messages(db: Db, user_id: str, device_id: str, up_to: int) -> bool:
    """Whether messages up to the position are kept for the device."""
    row = db.execute(
        "SELECT 1 FROM to_device_messages WHERE user_id = ? AND device_id = ? AND stream_position <= ? LIMIT 1",
        (user_id, device_id, up_to),
    ).fetchone()
    return row is not None


def delete_to_device_messages(db: Db, user_id: str, device_id: str, up_to: int | None = None) -> None:
    """Forget the messages up to the position, which the device has; all of them when the device is gone."""
    db.execute(
        "DELETE FROM to_device_messages WHERE user_id = ?1 AND device_id = ?2"
        " AND (?3 IS NULL OR stream_position <= ?3)",
        (user_id, device_id, up_to),
    )
