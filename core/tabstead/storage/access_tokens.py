"""Access tokens and their refresh tokens, by hash; neither is ever stored itself.

A row is a pair of both, or an access token alone. A pair that was refreshed from another names it in `replaces` until
one of its tokens is used; then the other pair is deleted.
"""

from dataclasses import dataclass

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    token_hash: bytes
    user_id: str
    device_id: str
    expires_ts: int | None
    replaces: bytes | None
    is_guest: bool


_SELECT = (
    "SELECT token_hash, user_id, device_id, expires_ts, replaces, is_guest"
    " FROM access_tokens JOIN users USING (user_id)"
)


def find_access_token(db: Db, token_hash: bytes) -> AccessToken | None:
    return _found(db.execute(f"{_SELECT} WHERE token_hash = ?", (token_hash,)).fetchone())


def find_refreshable(db: Db, refresh_token_hash: bytes) -> AccessToken | None:
    """The pair that a refresh token belongs to."""
    return _found(db.execute(f"{_SELECT} WHERE refresh_token_hash = ?", (refresh_token_hash,)).fetchone())


def _found(row: tuple[bytes, str, str, int | None, bytes | None, int] | None) -> AccessToken | None:
    if row is None:
        return None
    token_hash, user_id, device_id, expires_ts, replaces, is_guest = row
    return AccessToken(
        token_hash=token_hash,
        user_id=user_id,
        device_id=device_id,
        expires_ts=expires_ts,
        replaces=replaces,
        is_guest=bool(is_guest),
    )


def insert_access_token(
    db: Db,
    token_hash: bytes,
    user_id: str,
    device_id: str,
    *,
    expires_ts: int | None = None,
    refresh_token_hash: bytes | None = None,
    replaces: bytes | None = None,
) -> None:
    db.execute(
        "INSERT INTO access_tokens (token_hash, user_id, device_id, expires_ts, refresh_token_hash, replaces)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (token_hash, user_id, device_id, expires_ts, refresh_token_hash, replaces),
    )


def delete_replaced(db: Db, token_hash: bytes) -> None:
    """A pair was used: the one it replaces ends."""
    db.execute(
        "DELETE FROM access_tokens WHERE token_hash = (SELECT replaces FROM access_tokens WHERE token_hash = ?)",
        (token_hash,),
    )
    db.execute("UPDATE access_tokens SET replaces = NULL WHERE token_hash = ?", (token_hash,))


def delete_replacements(db: Db, token_hash: bytes) -> None:
    """The pairs refreshed from this one, none of which was used: their client never got them."""
    db.execute("DELETE FROM access_tokens WHERE replaces = ?", (token_hash,))


def delete_access_tokens(db: Db, user_id: str, device_id: str) -> None:
    """Every token of a device."""
    db.execute("DELETE FROM access_tokens WHERE user_id = ? AND device_id = ?", (user_id, device_id))
