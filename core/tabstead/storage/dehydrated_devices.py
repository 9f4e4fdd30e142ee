"""The one dehydrated device that a user may have."""

import json
from dataclasses import dataclass
from typing import Any

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class DehydratedDevice:
    device_id: str
    data: dict[str, Any]
    """Encrypted by the client that made it."""


def find_dehydrated_device(db: Db, user_id: str) -> DehydratedDevice | None:
    row = db.execute("SELECT device_id, device_data FROM dehydrated_devices WHERE user_id = ?", (user_id,)).fetchone()
    return None if row is None else DehydratedDevice(device_id=row[0], data=json.loads(row[1]))


def insert_dehydrated_device(db: Db, user_id: str, device: DehydratedDevice) -> None:
    db.execute(
        "INSERT INTO dehydrated_devices (user_id, device_id, device_data) VALUES (?, ?, ?)",
        (user_id, device.device_id, json.dumps(device.data)),
    )


def delete_dehydrated_device(db: Db, user_id: str, device_id: str) -> None:
    """If it is this one."""
    db.execute("DELETE FROM dehydrated_devices WHERE user_id = ? AND device_id = ?", (user_id, device_id))
