"""One-time keys, each given out once in the order of the uploads, and the fallback keys for when there is none left."""

import json
from dataclasses import dataclass
from typing import Any

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimeKey:
    """A one-time or fallback key. The key itself is a string (`curve25519`) or an object (`signed_curve25519`)."""

    algorithm: str
    key_id: str
    key: Any

    @property
    def name(self) -> str:
        """`<algorithm>:<key_id>`, as it is uploaded and claimed."""
        return f"{self.algorithm}:{self.key_id}"


def count_one_time_keys(db: Db, user_id: str, device_id: str) -> dict[str, int]:
    """How many unclaimed one-time keys the device has, by algorithm; an algorithm without any is missing."""
    rows = db.execute(
        "SELECT algorithm, COUNT(*) FROM one_time_keys WHERE user_id = ? AND device_id = ? GROUP BY algorithm",
        (user_id, device_id),
    )
    return dict(rows.fetchall())


def unused_fallback_key_types(db: Db, user_id: str, device_id: str) -> list[str]:
    """The algorithms of the device's fallback keys that were not given out yet."""
    rows = db.execute(
        "SELECT algorithm FROM fallback_keys WHERE user_id = ? AND device_id = ? AND NOT is_used ORDER BY algorithm",
        (user_id, device_id),
    )
    return [algorithm for (algorithm,) in rows]


def select_one_time_keys(db: Db, user_id: str, device_id: str) -> list[OneTimeKey]:
    rows = db.execute(
        "SELECT algorithm, key_id, key FROM one_time_keys WHERE user_id = ? AND device_id = ?", (user_id, device_id)
    )
    return [_key(row) for row in rows]


def insert_one_time_keys(db: Db, user_id: str, device_id: str, keys: list[OneTimeKey]) -> None:
    """Add the keys of one upload."""
    (upload,) = db.execute(
        "SELECT COALESCE(MAX(upload), 0) + 1 FROM one_time_keys WHERE user_id = ? AND device_id = ?",
        (user_id, device_id),
    ).fetchone()
    db.executemany(
        "INSERT INTO one_time_keys (user_id, device_id, algorithm, key_id, upload, key) VALUES (?, ?, ?, ?, ?, ?)",
        [(user_id, device_id, key.algorithm, key.key_id, upload, json.dumps(key.key)) for key in keys],
    )


def take_one_time_key(db: Db, user_id: str, device_id: str, algorithm: str) -> OneTimeKey | None:
    """Delete and return the oldest key of this algorithm."""
    row = db.execute(
        "DELETE FROM one_time_keys WHERE (user_id, device_id, algorithm, key_id) = ("
        " SELECT user_id, device_id, algorithm, key_id FROM one_time_keys"
        " WHERE user_id = ? AND device_id = ? AND algorithm = ? ORDER BY upload, key_id LIMIT 1"
        ") RETURNING algorithm, key_id, key",
        (user_id, device_id, algorithm),
    ).fetchone()
    return None if row is None else _key(row)


def take_fallback_key(db: Db, user_id: str, device_id: str, algorithm: str) -> OneTimeKey | None:
    """Return the fallback key of this algorithm, which stays and counts as used from now on."""
    row = db.execute(
        "UPDATE fallback_keys SET is_used = 1 WHERE user_id = ? AND device_id = ? AND algorithm = ?"
        " RETURNING algorithm, key_id, key",
        (user_id, device_id, algorithm),
    ).fetchone()
    return None if row is None else _key(row)


def find_fallback_key(db: Db, user_id: str, device_id: str, algorithm: str) -> OneTimeKey | None:
    row = db.execute(
        "SELECT algorithm, key_id, key FROM fallback_keys WHERE user_id = ? AND device_id = ? AND algorithm = ?",
        (user_id, device_id, algorithm),
    ).fetchone()
    return None if row is None else _key(row)


def insert_fallback_key(db: Db, user_id: str, device_id: str, key: OneTimeKey) -> None:
    """Set the fallback key of its algorithm, unused, in place of the one before."""
    db.execute(
        "INSERT OR REPLACE INTO fallback_keys (user_id, device_id, algorithm, key_id, key) VALUES (?, ?, ?, ?, ?)",
        (user_id, device_id, key.algorithm, key.key_id, json.dumps(key.key)),
    )


def delete_one_time_keys(db: Db, user_id: str, device_id: str) -> None:
    """All one-time and fallback keys of a device."""
    db.execute("DELETE FROM one_time_keys WHERE user_id = ? AND device_id = ?", (user_id, device_id))
    db.execute("DELETE FROM fallback_keys WHERE user_id = ? AND device_id = ?", (user_id, device_id))


def _key(row: tuple[str, str, str]) -> OneTimeKey:
    algorithm, key_id, key = row
    return OneTimeKey(algorithm=algorithm, key_id=key_id, key=json.loads(key))
