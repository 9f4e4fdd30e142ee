"""The device lists of other servers' users, as their servers told them, and which of the lists are stale."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tabstead.storage.cross_signing import delete_cross_signing_keys
from tabstead.storage.database import Db
from tabstead.storage.device_keys import DeviceKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDeviceList:
    """What is known of a user's list."""

    user_id: str
    stream_id: int | None
    """The last change that the list has; None: it was never told."""
    heard_stream_id: int
    """The last change that was heard of while the list was stale."""
    retry_ts: int | None
    """When to ask for the list; None: it is not stale."""

    @property
    def is_stale(self) -> bool:
        return self.retry_ts is not None


_COLUMNS = "user_id, stream_id, heard_stream_id, retry_ts"


def find_remote_list(db: Db, user_id: str) -> RemoteDeviceList | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM remote_device_lists WHERE user_id = ?", (user_id,)).fetchone()
    return None if row is None else _list(row)


def select_stale_lists(db: Db, now_ms: int, limit: int) -> list[RemoteDeviceList]:
    """The first `limit` lists that are to be asked for by now."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM remote_device_lists WHERE retry_ts <= ? ORDER BY retry_ts LIMIT ?", (now_ms, limit)
    )
    return list(map(_list, rows))


def find_next_retry(db: Db) -> int | None:
    """When the next stale list is to be asked for."""
    row = db.execute(
        "SELECT retry_ts FROM remote_device_lists WHERE retry_ts IS NOT NULL ORDER BY retry_ts LIMIT 1"
    ).fetchone()
    return None if row is None else int(row[0])


def update_remote_list(db: Db, known: RemoteDeviceList) -> None:
    """Set what is known of a user's list."""
    db.execute(
        f"INSERT OR REPLACE INTO remote_device_lists ({_COLUMNS}) VALUES (?, ?, ?, ?)",
        (known.user_id, known.stream_id, known.heard_stream_id, known.retry_ts),
    )


def update_remote_devices(db: Db, user_id: str, devices: Iterable[DeviceKeys]) -> None:
    """Set these devices of the user, in place of those with their IDs."""
    db.executemany(
        "INSERT OR REPLACE INTO remote_devices (user_id, device_id, display_name, keys) VALUES (?, ?, ?, ?)",
        [(user_id, device.device_id, device.display_name, json.dumps(device.keys)) for device in devices],
    )


def select_remote_devices(db: Db, user_id: str, device_ids: Sequence[str] = ()) -> list[DeviceKeys]:
    """A user's devices: those named, or all when none is."""
    rows = db.execute(
        "SELECT device_id, keys, display_name FROM remote_devices WHERE user_id = ? ORDER BY device_id", (user_id,)
    )
    return [
        DeviceKeys(device_id=device_id, keys=json.loads(keys), display_name=display_name)
        for device_id, keys, display_name in rows
        if not device_ids or device_id in device_ids
    ]


def delete_remote_devices(db: Db, user_id: str, device_ids: Iterable[str]) -> None:
    db.executemany(
        "DELETE FROM remote_devices WHERE user_id = ? AND device_id = ?",
        [(user_id, device_id) for device_id in device_ids],
    )


def delete_remote_list(db: Db, user_id: str) -> None:
    """Forget a user's devices and cross-signing keys: nobody tells of their changes any more."""
    db.execute("DELETE FROM remote_device_lists WHERE user_id = ?", (user_id,))
    db.execute("DELETE FROM remote_devices WHERE user_id = ?", (user_id,))
    delete_cross_signing_keys(db, user_id)


def insert_inbound_message(db: Db, origin: str, message_id: str, now_ms: int) -> bool:
    """Note that a message to devices came; False if it came before."""
    cursor = db.execute(
        "INSERT OR IGNORE INTO inbound_to_device (origin, message_id, received_ts) VALUES (?, ?, ?)",
        (origin, message_id, now_ms),
    )
    return cursor.rowcount > 0


def _list(row: tuple[str, int | None, int, int | None]) -> RemoteDeviceList:
    user_id, stream_id, heard_stream_id, retry_ts = row
    return RemoteDeviceList(user_id=user_id, stream_id=stream_id, heard_stream_id=heard_stream_id, retry_ts=retry_ts)
