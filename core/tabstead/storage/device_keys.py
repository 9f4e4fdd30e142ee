"""The identity keys of devices, as their owners uploaded them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKeys:
    device_id: str
    keys: dict[str, Any]
    """The signed object that was uploaded."""
    display_name: str | None
    """The device's, which is public."""


def find_device_keys(db: Db, user_id: str, device_id: str) -> dict[str, Any] | None:
    row = db.execute(
        "SELECT keys FROM device_keys WHERE user_id = ? AND device_id = ?", (user_id, device_id)
    ).fetchone()
    return None if row is None else json.loads(row[0])


def select_device_keys(db: Db, user_id: str, device_ids: Sequence[str] = ()) -> list[DeviceKeys]:
    """A user's devices that have keys: those named, or all when none is."""
    rows = db.execute(
        "SELECT device_id, keys, display_name FROM device_keys JOIN devices USING (user_id, device_id)"
        " WHERE user_id = ? ORDER BY device_id",
        (user_id,),
    )
    return [
        DeviceKeys(device_id=device_id, keys=json.loads(keys), display_name=display_name)
        for device_id, keys, display_name in rows
        if not device_ids or device_id in device_ids
    ]


def insert_device_keys(db: Db, user_id: str, device_id: str, keys: dict[str, Any]) -> None:
    """Set a device's keys, in place of those before."""
    db.execute(
        "INSERT OR REPLACE INTO device_keys (user_id, device_id, keys) VALUES (?, ?, ?)",
        (user_id, device_id, json.dumps(keys)),
    )


def delete_device_keys(db: Db, user_id: str, device_id: str) -> bool:
    """Whether the device had keys."""
    return db.execute("DELETE FROM device_keys WHERE user_id = ? AND device_id = ?", (user_id, device_id)).rowcount > 0
