"""Cross-signing keys, and the signatures on them and on device keys that were uploaded apart from the keys."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossSigningKey:
    usage: str
    """master, self_signing or user_signing."""
    public_key: str
    """In unpadded base64, as it stands behind `ed25519:` in its key ID."""
    key: dict[str, Any]
    """The signed object that was uploaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySignature:
    user_id: str
    """Whose key was signed."""
    key_name: str
    """A device ID, or a cross-signing key's public key."""
    signer: str
    signing_key_id: str
    signature: str


def select_cross_signing_keys(db: Db, user_id: str) -> dict[str, CrossSigningKey]:
    """A user's keys by their usage."""
    rows = db.execute("SELECT usage, public_key, key FROM cross_signing_keys WHERE user_id = ?", (user_id,))
    return {
        usage: CrossSigningKey(usage=usage, public_key=public_key, key=json.loads(key))
        for usage, public_key, key in rows
    }


def insert_cross_signing_key(db: Db, user_id: str, key: CrossSigningKey) -> None:
    """Set the key of its usage, in place of the one before; signatures on that one go with it."""
    db.execute(
        "DELETE FROM key_signatures WHERE user_id = ?1 AND key_name <> ?3 AND key_name ="
        " (SELECT public_key FROM cross_signing_keys WHERE user_id = ?1 AND usage = ?2)",
        (user_id, key.usage, key.public_key),
    )
    db.execute(
        "INSERT OR REPLACE INTO cross_signing_keys (user_id, usage, public_key, key) VALUES (?, ?, ?, ?)",
        (user_id, key.usage, key.public_key, json.dumps(key.key)),
    )


def delete_cross_signing_key(db: Db, user_id: str, usage: str) -> None:
    db.execute("DELETE FROM cross_signing_keys WHERE user_id = ? AND usage = ?", (user_id, usage))


def delete_cross_signing_keys(db: Db, user_id: str) -> None:
    """All of a user's keys."""
    db.execute("DELETE FROM cross_signing_keys WHERE user_id = ?", (user_id,))


def select_key_signatures(db: Db, user_id: str, signers: Iterable[str]) -> list[KeySignature]:
    """The signatures on a user's keys that were made by these users."""
    rows = db.execute(
        "SELECT user_id, key_name, signer, signing_key_id, signature FROM key_signatures"
        " WHERE user_id = ? AND signer IN (SELECT value FROM json_each(?))",
        (user_id, json.dumps(list(signers))),
    )
    return [
        KeySignature(
            user_id=owner, key_name=key_name, signer=signer, signing_key_id=signing_key_id, signature=signature
        )
        for owner, key_name, signer, signing_key_id, signature in rows
    ]


def insert_key_signature(db: Db, signature: KeySignature) -> bool:
    """Keep a signature, in place of an earlier one by the same key. Whether it is news."""
    changed = db.execute(
        "INSERT INTO key_signatures (user_id, key_name, signer, signing_key_id, signature) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET signature = excluded.signature WHERE signature <> excluded.signature",
        (signature.user_id, signature.key_name, signature.signer, signature.signing_key_id, signature.signature),
    )
    return changed.rowcount > 0


def delete_key_signatures(db: Db, user_id: str, key_name: str) -> None:
    """The signatures on a key that is no more."""
    db.execute("DELETE FROM key_signatures WHERE user_id = ? AND key_name = ?", (user_id, key_name))
