"""Dendrite's databases of accounts, devices and device keys, in the SQLite layout of version 0.4.0.

They are read and never written. Each may be missing: then there is nothing of it.
"""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tabstead.errors import ImportRefused
from tabstead.storage.dendrite_import.source import decode_json

_COLUMNS: Final = {
    "account_accounts": "localpart created_ts password_hash is_deactivated",
    "account_profiles": "localpart display_name avatar_url",
    "account_data": "localpart room_id type content",
    "account_threepid": "threepid medium localpart",
    "device_devices": "access_token device_id localpart created_ts display_name last_seen_ts ip",
    "keyserver_device_keys": "user_id device_id key_json",
    "keyserver_one_time_keys": "user_id device_id key_id algorithm ts_added_secs key_json",
}
_TABLES: Final = (
    ("account_accounts", "account_profiles", "account_data", "account_threepid"),
    ("device_devices",),
    ("keyserver_device_keys", "keyserver_one_time_keys"),
)
"""What each of the three databases has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAccount:
    localpart: str
    created_ts: int
    password_hash: str | None
    """By bcrypt."""
    is_deactivated: bool
    display_name: str | None
    avatar_url: str | None
    third_party_ids: list[tuple[str, str]]
    """(medium, address)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAccountData:
    localpart: str
    room_id: str
    """Empty for what belongs to no room."""
    type: str
    content: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDevice:
    localpart: str
    device_id: str
    display_name: str | None
    last_seen_ts: int
    address: str
    access_token: str


class AccountsSource:
    """The databases that there are, opened together."""

    def __init__(self, accounts: Path | None, devices: Path | None, keys: Path | None) -> None:
        """Raises ImportRefused where a path is not that of such a database, or one is given without those it needs."""
        if (devices is not None and accounts is None) or (keys is None) is not (devices is None):
            raise ImportRefused(
                "Devices are taken together with their keys, and after the accounts that they belong to:"
                " give all three databases, or the accounts alone, or none."
            )
        self._connections: list[sqlite3.Connection | None] = []
        try:
            for path, tables in zip((accounts, devices, keys), _TABLES, strict=True):
                self._connections.append(None if path is None else _open(path, tables))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for db in self._connections:
            if db is not None:
                db.close()

    def fingerprint(self) -> str:
        """What changes when there are more or fewer rows."""
        return json.dumps(
            [
                None if db is None else [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
                for db, tables in zip(self._connections, _TABLES, strict=True)
            ]
        )

    def select_accounts(self, *, after: str, limit: int) -> list[SourceAccount]:
        """By localpart."""
        rows = self._rows(
            0,
            "SELECT a.localpart, a.created_ts, a.password_hash, a.is_deactivated, p.display_name, p.avatar_url"
            " FROM account_accounts a LEFT JOIN account_profiles p USING (localpart)"
            " WHERE a.localpart > ? ORDER BY a.localpart LIMIT ?",
            (after, limit),
        )
        return [
            SourceAccount(
                localpart=localpart,
                created_ts=created_ts or 0,
                password_hash=password_hash or None,
                is_deactivated=bool(is_deactivated),
                display_name=display_name or None,
                avatar_url=avatar_url or None,
                third_party_ids=self._rows(
                    0,
                    "SELECT medium, threepid FROM account_threepid WHERE localpart = ? ORDER BY medium, threepid",
                    (localpart,),
                ),
            )
            for localpart, created_ts, password_hash, is_deactivated, display_name, avatar_url in rows
        ]

    def select_account_data(self, *, after: tuple[str, str, str], limit: int) -> list[SourceAccountData]:
        """By (localpart, room ID, type). A content that is no JSON is None."""
        rows = self._rows(
            0,
            "SELECT localpart, ifnull(room_id, ''), type, content FROM account_data"
            " WHERE (localpart, ifnull(room_id, ''), type) > (?, ?, ?)"
            " ORDER BY localpart, ifnull(room_id, ''), type LIMIT ?",
            (*after, limit),
        )
        return [
            SourceAccountData(localpart=localpart, room_id=room_id, type=event_type, content=decode_json(content))
            for localpart, room_id, event_type, content in rows
        ]

    def select_devices(self, *, after: tuple[str, str], limit: int) -> list[SourceDevice]:
        """By (localpart, device ID)."""
        rows = self._rows(
            1,
            "SELECT localpart, device_id, display_name, ifnull(last_seen_ts, ifnull(created_ts, 0)), ifnull(ip, ''),"
            " access_token FROM device_devices WHERE (localpart, device_id) > (?, ?)"
            " ORDER BY localpart, device_id LIMIT ?",
            (*after, limit),
        )
        return [
            SourceDevice(
                localpart=localpart,
                device_id=device_id,
                display_name=display_name or None,
                last_seen_ts=last_seen_ts,
                address=address,
                access_token=access_token,
            )
            for localpart, device_id, display_name, last_seen_ts, address, access_token in rows
        ]

    def find_device_keys(self, user_id: str, device_id: str) -> Any:
        """The signed object that the device uploaded, or None."""
        rows = self._rows(
            2, "SELECT key_json FROM keyserver_device_keys WHERE user_id = ? AND device_id = ?", (user_id, device_id)
        )
        return decode_json(rows[0][0]) if rows else None

    def select_one_time_keys(self, user_id: str, device_id: str) -> list[tuple[str, str, Any]]:
        """(algorithm, key ID, key) of a device's unclaimed keys, the oldest first."""
        rows = self._rows(
            2,
            "SELECT algorithm, key_id, key_json FROM keyserver_one_time_keys WHERE user_id = ? AND device_id = ?"
            " ORDER BY ts_added_secs, rowid",
            (user_id, device_id),
        )
        return [(algorithm, key_id, decode_json(key)) for algorithm, key_id, key in rows]

    def _rows(self, database: int, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        db = self._connections[database]
        return [] if db is None else db.execute(sql, parameters).fetchall()


def _open(path: Path, tables: tuple[str, ...]) -> sqlite3.Connection:
    if not path.is_file():
        raise ImportRefused(f"{path} is not there.")
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        db.execute("BEGIN")
        for table in tables:
            columns = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
            if not columns.issuperset(_COLUMNS[table].split()):
                raise ImportRefused(f"{path} is not such a database of Dendrite 0.4.0: {table} is missing or other.")
    except sqlite3.Error as error:
        db.close()
        raise ImportRefused(f"{path} can't be read: {error}.") from error
    except BaseException:
        db.close()
        raise
    return db
