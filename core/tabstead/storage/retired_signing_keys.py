"""This server's own signing keys that are no longer in use: their public halves."""

from tabstead.protocol.signatures import VerifyKey
from tabstead.storage.database import Db


def select_retired_keys(db: Db) -> list[VerifyKey]:
    """All of them; `valid_until_ts` is when each was last used."""
    rows = db.execute("SELECT key_id, key, expired_ts FROM retired_signing_keys ORDER BY expired_ts, key_id")
    return [VerifyKey(key_id=key_id, key=key, valid_until_ts=expired_ts) for key_id, key, expired_ts in rows]


def insert_retired_key(db: Db, key: VerifyKey, expired_ts: int) -> None:
    """Retire a key; one that is retired already stays as it is."""
    db.execute(
        "INSERT OR IGNORE INTO retired_signing_keys (key_id, key, expired_ts) VALUES (?, ?, ?)",
        (key.key_id, key.key, expired_ts),
    )
