"""Server-side backups of room keys: versions, and the encrypted keys in them.

A version's `etag` and `key_count` are kept beside it, so that storing a key doesn't count them all.
"""

import json
from dataclasses import dataclass
from typing import Any

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBackup:
    version: int
    algorithm: str
    auth_data: dict[str, Any]
    etag: int
    """Counts the changes of the keys."""
    key_count: int
    is_deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUpKey:
    room_id: str
    session_id: str
    first_message_index: int
    forwarded_count: int
    is_verified: bool
    session_data: dict[str, Any]


_SELECT_BACKUP = "SELECT version, algorithm, auth_data, etag, key_count, is_deleted FROM key_backups WHERE user_id = ?"


def find_latest_backup(db: Db, user_id: str) -> KeyBackup | None:
    """The newest version that was not deleted."""
    row = db.execute(f"{_SELECT_BACKUP} AND NOT is_deleted ORDER BY version DESC LIMIT 1", (user_id,)).fetchone()
    return None if row is None else _backup(row)


def find_backup(db: Db, user_id: str, version: int) -> KeyBackup | None:
    """A version, deleted ones too."""
    row = db.execute(f"{_SELECT_BACKUP} AND version = ?", (user_id, version)).fetchone()
    return None if row is None else _backup(row)


def insert_backup(db: Db, user_id: str, algorithm: str, auth_data: dict[str, Any]) -> int:
    """Begin a new version; its number was never given before."""
    row = db.execute(
        "INSERT INTO key_backups (user_id, version, algorithm, auth_data)"
        " SELECT ?1, COALESCE(MAX(version), 0) + 1, ?2, ?3 FROM key_backups WHERE user_id = ?1 RETURNING version",
        (user_id, algorithm, json.dumps(auth_data)),
    ).fetchone()
    return int(row[0])


def update_auth_data(db: Db, user_id: str, version: int, auth_data: dict[str, Any]) -> None:
    db.execute(
        "UPDATE key_backups SET auth_data = ? WHERE user_id = ? AND version = ?",
        (json.dumps(auth_data), user_id, version),
    )


def update_key_count(db: Db, user_id: str, version: int, *, added: int) -> None:
    """The version's keys changed, and are so many more than before."""
    db.execute(
        "UPDATE key_backups SET etag = etag + 1, key_count = key_count + ? WHERE user_id = ? AND version = ?",
        (added, user_id, version),
    )


def delete_backup(db: Db, user_id: str, version: int) -> None:
    """Delete a version's keys; that there was one is remembered."""
    db.execute("DELETE FROM key_backup_keys WHERE user_id = ? AND version = ?", (user_id, version))
    db.execute(
        "UPDATE key_backups SET is_deleted = 1, auth_data = '{}', key_count = 0 WHERE user_id = ? AND version = ?",
        (user_id, version),
    )


def delete_all_backups(db: Db, user_id: str) -> None:
    """Delete every version, as if there had been none."""
    db.execute("DELETE FROM key_backup_keys WHERE user_id = ?", (user_id,))
    db.execute("DELETE FROM key_backups WHERE user_id = ?", (user_id,))


def select_backed_up_keys(
    db: Db, user_id: str, version: int, room_id: str | None = None, session_id: str | None = None
) -> list[BackedUpKey]:
    """The keys of a version, of one room of it, or one session's."""
    rows = db.execute(
        "SELECT room_id, session_id, first_message_index, forwarded_count, is_verified, session_data"
        f" FROM key_backup_keys {_where(room_id, session_id)}",
        _parameters(user_id, version, room_id, session_id),
    )
    return [
        BackedUpKey(
            room_id=key_room_id,
            session_id=key_session_id,
            first_message_index=first_message_index,
            forwarded_count=forwarded_count,
            is_verified=bool(is_verified),
            session_data=json.loads(session_data),
        )
        for key_room_id, key_session_id, first_message_index, forwarded_count, is_verified, session_data in rows
    ]


def insert_backed_up_key(db: Db, user_id: str, version: int, key: BackedUpKey) -> None:
    """Set a session's key, in place of the one before."""
    db.execute(
        "INSERT OR REPLACE INTO key_backup_keys (user_id, version, room_id, session_id,"
        " first_message_index, forwarded_count, is_verified, session_data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            user_id,
            version,
            key.room_id,
            key.session_id,
            key.first_message_index,
            key.forwarded_count,
            key.is_verified,
            json.dumps(key.session_data),
        ),
    )


def delete_backed_up_keys(
    db: Db, user_id: str, version: int, room_id: str | None = None, session_id: str | None = None
) -> int:
    """Delete the keys of a version, of one room of it, or one session's; how many there were."""
    deleted = db.execute(
        f"DELETE FROM key_backup_keys {_where(room_id, session_id)}",
        _parameters(user_id, version, room_id, session_id),
    )
    return deleted.rowcount


def _where(room_id: str | None, session_id: str | None) -> str:
    conditions = ["WHERE user_id = ? AND version = ?"]
    if room_id is not None:
        conditions.append("room_id = ?")
    if session_id is not None:
        conditions.append("session_id = ?")
    return " AND ".join(conditions)


def _parameters(user_id: str, version: int, room_id: str | None, session_id: str | None) -> list[object]:
    return [user_id, version, *(part for part in (room_id, session_id) if part is not None)]


def _backup(row: tuple[int, str, str, int, int, int]) -> KeyBackup:
    version, algorithm, auth_data, etag, key_count, is_deleted = row
    return KeyBackup(
        version=version,
        algorithm=algorithm,
        auth_data=json.loads(auth_data),
        etag=etag,
        key_count=key_count,
        is_deleted=bool(is_deleted),
    )
