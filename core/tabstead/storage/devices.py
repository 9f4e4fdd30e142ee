"""Users' devices. Their keys are in `device_keys`, their tokens in `access_tokens`."""

from dataclasses import dataclass

from tabstead.storage.database import Db
from tabstead.storage.positions import next_position


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    device_id: str
    display_name: str | None
    last_seen_ts: int
    last_seen_ip: str


_SELECT = "SELECT device_id, display_name, last_seen_ts, last_seen_ip FROM devices WHERE user_id = ?"


def select_devices(db: Db, user_id: str) -> list[Device]:
    """All of a user's devices, by device ID."""
    return [_device(row) for row in db.execute(f"{_SELECT} ORDER BY device_id", (user_id,))]


def find_device(db: Db, user_id: str, device_id: str) -> Device | None:
    row = db.execute(f"{_SELECT} AND device_id = ?", (user_id, device_id)).fetchone()
    return None if row is None else _device(row)


def _device(row: tuple[str, str | None, int, str]) -> Device:
    device_id, display_name, last_seen_ts, last_seen_ip = row
    return Device(device_id=device_id, display_name=display_name, last_seen_ts=last_seen_ts, last_seen_ip=last_seen_ip)


def find_lock(db: Db, user_id: str, device_id: str) -> bool | None:
    """Whether the device's account is locked; None if there is no such device."""
    row = db.execute(
        "SELECT is_locked FROM devices JOIN users USING (user_id) WHERE user_id = ? AND device_id = ?",
        (user_id, device_id),
    ).fetchone()
    return None if row is None else bool(row[0])


def insert_device(db: Db, user_id: str, device: Device) -> None:
    db.execute(
        "INSERT INTO devices (user_id, device_id, display_name, last_seen_ts, last_seen_ip) VALUES (?, ?, ?, ?, ?)",
        (user_id, device.device_id, device.display_name, device.last_seen_ts, device.last_seen_ip),
    )


def update_display_name(db: Db, user_id: str, device_id: str, display_name: str) -> None:
    db.execute(
        "UPDATE devices SET display_name = ? WHERE user_id = ? AND device_id = ?", (display_name, user_id, device_id)
    )


def update_last_seen(db: Db, user_id: str, device_id: str, address: str, *, now_ms: int, older_than: int) -> None:
    """Note that the device was seen, unless that was noted after `older_than`."""
    db.execute(
        "UPDATE devices SET last_seen_ts = ?, last_seen_ip = ?"
        " WHERE user_id = ? AND device_id = ? AND last_seen_ts < ?",
        (now_ms, address, user_id, device_id, older_than),
    )


def delete_device(db: Db, user_id: str, device_id: str) -> None:
    """The device is gone. It draws a position, so that whoever waits in its name looks up and learns of it."""
    next_position(db)
    db.execute("DELETE FROM devices WHERE user_id = ? AND device_id = ?", (user_id, device_id))
