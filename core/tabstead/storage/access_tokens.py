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
    is_admin: bool
    is_locked: bool
    oauth_client_id: str | None
    """The client that got it over the OAuth 2.0 API; None: over the legacy API."""


_SELECT = (
    "SELECT token_hash, user_id, device_id, expires_ts, replaces, is_guest, is_admin, is_locked, oauth_client_id"
    " FROM access_tokens JOIN users USING (user_id)"
)


def find_access_token(db: Db, token_hash: bytes) -> AccessToken | None:
    return _found(db.execute(f"{_SELECT} WHERE token_hash = ?", (token_hash,)).fetchone())


def find_refreshable(db: Db, refresh_token_hash: bytes) -> AccessToken | None:
    """The pair that a refresh token belongs to."""
    return _found(db.execute(f"{_SELECT} WHERE refresh_token_hash = ?", (refresh_token_hash,)).fetchone())


def _found(
    row: tuple[bytes, str, str, int | None, bytes | None, int, int, int, str | None] | None,
) -> AccessToken | None:
    if row is None:
        return None
    token_hash, user_id, device_id, expires_ts, replaces, is_guest, is_admin, is_locked, oauth_client_id = row
    return AccessToken(
        token_hash=token_hash,
        user_id=user_id,
        device_id=device_id,
        expires_ts=expires_ts,
        replaces=replaces,
        is_guest=bool(is_guest),
        is_admin=bool(is_admin),
        is_locked=bool(is_locked),
        oauth_client_id=oauth_client_id,
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
    oauth_client_id: str | None = None,
) -> None:
    db.execute(
        "INSERT INTO access_tokens"
        " (token_hash, user_id, device_id, expires_ts, refresh_token_hash, replaces, oauth_client_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (token_hash, user_id, device_id, expires_ts, refresh_token_hash, replaces, oauth_client_id),
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
    db.execute("DELETE FROM spent_refresh_tokens WHERE user_id = ? AND device_id = ?", (user_id, device_id))


def find_oauth_client_of_device(db: Db, user_id: str, device_id: str) -> str | None:
    """The client that a device's tokens were given to over the OAuth 2.0 API."""
    row = db.execute(
        "SELECT oauth_client_id FROM access_tokens WHERE user_id = ? AND device_id = ? LIMIT 1", (user_id, device_id)
    ).fetchone()
    return None if row is None else row[0]


def insert_spent_refresh_token(db: Db, token_hash: bytes, *, now_ms: int, older_than: int) -> None:
    """Keep the refresh token of the pair that this one replaces; forget the device's that were spent long ago."""
    db.execute(
        "DELETE FROM spent_refresh_tokens WHERE spent_ts < ? AND (user_id, device_id) ="
        " (SELECT user_id, device_id FROM access_tokens WHERE token_hash = ?)",
        (older_than, token_hash),
    )
    db.execute(
        "INSERT OR IGNORE INTO spent_refresh_tokens (refresh_token_hash, user_id, device_id, spent_ts)"
        " SELECT refresh_token_hash, user_id, device_id, ? FROM access_tokens"
        " WHERE token_hash = (SELECT replaces FROM access_tokens WHERE token_hash = ?)"
        " AND refresh_token_hash IS NOT NULL",
        (now_ms, token_hash),
    )


def find_device_of_spent_token(db: Db, refresh_token_hash: bytes) -> tuple[str, str] | None:
    """The user and device that a refresh token was once for."""
    row = db.execute(
        "SELECT user_id, device_id FROM spent_refresh_tokens WHERE refresh_token_hash = ?", (refresh_token_hash,)
    ).fetchone()
    return None if row is None else (row[0], row[1])
