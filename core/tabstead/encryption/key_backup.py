"""Server-side key backups: encrypted copies of room keys in numbered versions. § Server-side key backups

Keys are written to the newest version alone and read from any. Of two keys for one session the better is kept: verified
before unverified, then the one that decrypts from an earlier message, then the one that was forwarded less often.
"""

from collections.abc import Sequence
from typing import Any

from tabstead.errors import InvalidParam, NotFound, WrongRoomKeysVersion
from tabstead.storage import key_backup as storage
from tabstead.storage.database import Db
from tabstead.storage.key_backup import BackedUpKey, KeyBackup


def get_latest_backup(db: Db, user_id: str) -> KeyBackup:
    """Raises NotFound."""
    backup = storage.find_latest_backup(db, user_id)
    if backup is None:
        raise NotFound("There is no key backup.")
    return backup


def get_backup(db: Db, user_id: str, version: str) -> KeyBackup:
    """Raises NotFound, for a deleted version too."""
    backup = _find_backup(db, user_id, version)
    if backup is None or backup.is_deleted:
        raise NotFound("There is no such version of the key backup.")
    return backup


def update_backup(db: Db, user_id: str, version: str, *, algorithm: str, auth_data: dict[str, Any]) -> None:
    """Set a version's `auth_data`; its algorithm stays. Raises NotFound, InvalidParam."""
    backup = get_backup(db, user_id, version)
    if backup.algorithm != algorithm:
        raise InvalidParam("The algorithm of a key backup does not change.")
    storage.update_auth_data(db, user_id, backup.version, auth_data)


def remove_backup(db: Db, user_id: str, version: str) -> None:
    """Delete a version with its keys, once or again. Raises NotFound for one that never was."""
    backup = _find_backup(db, user_id, version)
    if backup is None:
        raise NotFound("There is no such version of the key backup.")
    storage.delete_backup(db, user_id, backup.version)


def store_keys(db: Db, user_id: str, version: str, keys: Sequence[BackedUpKey]) -> KeyBackup:
    """Store those keys that are better than what the newest version has. Raises NotFound, WrongRoomKeysVersion."""
    backup = _get_writable_backup(db, user_id, version)
    added = changed = 0
    for key in keys:
        held = storage.select_backed_up_keys(db, user_id, backup.version, key.room_id, key.session_id)
        if not held or _rank(key) < _rank(held[0]):
            storage.insert_backed_up_key(db, user_id, backup.version, key)
            changed += 1
            added += not held
    if changed:
        storage.update_key_count(db, user_id, backup.version, added=added)
    return get_backup(db, user_id, version)


def select_keys(
    db: Db, user_id: str, version: str, room_id: str | None = None, session_id: str | None = None
) -> list[BackedUpKey]:
    """The keys of a version, of one room of it, or one session's. Raises NotFound when there is no such version."""
    backup = get_backup(db, user_id, version)
    return storage.select_backed_up_keys(db, user_id, backup.version, room_id, session_id)


def remove_keys(
    db: Db, user_id: str, version: str, room_id: str | None = None, session_id: str | None = None
) -> KeyBackup:
    """Delete the keys of a version, of one room of it, or one session's. Raises NotFound."""
    backup = get_backup(db, user_id, version)
    deleted = storage.delete_backed_up_keys(db, user_id, backup.version, room_id, session_id)
    if deleted:
        storage.update_key_count(db, user_id, backup.version, added=-deleted)
    return get_backup(db, user_id, version)


def _get_writable_backup(db: Db, user_id: str, version: str) -> KeyBackup:
    latest = get_latest_backup(db, user_id)
    if version != str(latest.version):
        raise WrongRoomKeysVersion("This is not the newest key backup.", current_version=str(latest.version))
    return latest


def _find_backup(db: Db, user_id: str, version: str) -> KeyBackup | None:
    if not (version.isascii() and version.isdigit() and len(version) < 19):
        return None
    return storage.find_backup(db, user_id, int(version))


def _rank(key: BackedUpKey) -> tuple[bool, int, int]:
    """Lower is better."""
    return not key.is_verified, key.first_message_index, key.forwarded_count
