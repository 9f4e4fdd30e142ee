"""One-time keys and fallback keys: uploading and claiming. § One-time and fallback keys

A one-time key is given out exactly once; when none is left, the fallback key is, again and again. A key that is
uploaded once more must be the same key: a client repeats an upload whose answer it did not get.
"""

from collections.abc import Mapping
from typing import Any

from tabstead.encryption.signed_keys import is_same_key
from tabstead.errors import BadJson, InvalidParam
from tabstead.storage import one_time_keys as storage
from tabstead.storage.database import Db
from tabstead.storage.one_time_keys import OneTimeKey


def upload_one_time_keys(db: Db, user_id: str, device_id: str, keys: Mapping[str, Any]) -> None:
    """Add keys by their names, `<algorithm>:<key_id>`. Raises InvalidParam when a name stands for another key."""
    held = {key.name: key for key in storage.select_one_time_keys(db, user_id, device_id)}
    new = []
    for key in _parse_keys(keys):
        if key.name not in held:
            new.append(key)
        elif not is_same_key(key.key, held[key.name].key):
            raise InvalidParam(f"There is another one-time key {key.name} already.")
    if new:
        storage.insert_one_time_keys(db, user_id, device_id, new)


def upload_fallback_keys(db: Db, user_id: str, device_id: str, keys: Mapping[str, Any]) -> None:
    """Set one fallback key for each algorithm; the same key once more stays as used as it is. Raises BadJson."""
    for key in _parse_keys(keys):
        held = storage.find_fallback_key(db, user_id, device_id, key.algorithm)
        if held is None or held.key_id != key.key_id or not is_same_key(held.key, key.key):
            storage.insert_fallback_key(db, user_id, device_id, key)


def claim_keys(db: Db, claims: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Take a key for each device of this server's users that is named with an algorithm.

    The result is by user and device, each with one key by its name; users and devices without a key are missing.
    """
    claimed: dict[str, dict[str, dict[str, Any]]] = {}
    for user_id, algorithms in claims.items():
        for device_id, algorithm in algorithms.items():
            key = _take_key(db, user_id, device_id, algorithm)
            if key is not None:
                claimed.setdefault(user_id, {})[device_id] = {key.name: key.key}
    return claimed


def _take_key(db: Db, user_id: str, device_id: str, algorithm: str) -> OneTimeKey | None:
    return storage.take_one_time_key(db, user_id, device_id, algorithm) or storage.take_fallback_key(
        db, user_id, device_id, algorithm
    )


def _parse_keys(keys: Mapping[str, Any]) -> list[OneTimeKey]:
    return [_parse_key(name, key) for name, key in keys.items()]


def _parse_key(name: str, key: Any) -> OneTimeKey:
    algorithm, colon, key_id = name.partition(":")
    if not algorithm or not colon or not key_id:
        raise InvalidParam("A one-time key is named <algorithm>:<key_id>.")
    if not isinstance(key, str) and not (isinstance(key, dict) and isinstance(key.get("key"), str)):
        raise BadJson(f"The key {name} must be a string, or an object with its 'key'.")
    return OneTimeKey(algorithm=algorithm, key_id=key_id, key=key)
