"""Access tokens: who a request comes from, and how a client gets, refreshes and gives up its tokens.

Only hashes of tokens are stored: tokens are long and random, so one round of SHA-256 is enough. Reading a token
writes nothing; `record_use` notes what its use changes, in a write that happens anyway:

- when the device was seen, once an hour;
- the first use of a refreshed pair, which ends the pair that it replaces. Until then the older pair stays valid, so
  that a client which never got the new one can refresh again. (§ Refreshing access tokens)
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from tabstead.errors import UnknownToken, UserLocked
from tabstead.storage import access_tokens, devices
from tabstead.storage.access_tokens import AccessToken
from tabstead.storage.database import Db

EXPIRES_IN_MS: Final = 60 * 60 * 1000
"""How long an access token of a client lives that can refresh it; others live until they are given up."""

OAUTH_EXPIRES_IN_MS: Final = 5 * 60 * 1000
"""The same with the OAuth 2.0 API, where "the access token MUST be short-lived"."""

_REMEMBERED_MS: Final = 30 * 24 * 60 * 60 * 1000
"""How long a spent refresh token of the OAuth 2.0 API is recognized."""

_SEEN_EVERY_MS: Final = 60 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """The user and device that a request was authenticated for."""

    user_id: str
    device_id: str
    is_guest: bool = False
    is_admin: bool = False
    is_locked: bool = False
    unused_token: bytes | None = None
    """The hash of a refreshed token that is used for the first time: for `record_use`."""
    oauth_client_id: str | None = None
    """The client that the token was given to over the OAuth 2.0 API; None: over the legacy API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Tokens for a device, as the client gets them, once."""

    user_id: str
    device_id: str
    access_token: str
    refresh_token: str | None = None
    expires_in_ms: int | None = None


def authenticate(db: Db, access_token: str, now_ms: int) -> Requester:
    """Who the access token belongs to. Raises UnknownToken, as a soft logout when the token has expired."""
    token = access_tokens.find_access_token(db, _hash(access_token))
    if token is None:
        raise UnknownToken
    if token.expires_ts is not None and token.expires_ts <= now_ms:
        raise UnknownToken("This access token has expired.", soft_logout=True)
    return Requester(
        user_id=token.user_id,
        device_id=token.device_id,
        is_guest=token.is_guest,
        is_admin=token.is_admin,
        is_locked=token.is_locked,
        unused_token=token.token_hash if token.replaces is not None else None,
        oauth_client_id=token.oauth_client_id,
    )


def record_use(db: Db, requester: Requester, address: str, now_ms: int) -> None:
    """Note that the requester's token was used from an address."""
    if requester.unused_token is not None:
        _end_replaced(db, requester.unused_token, requester.oauth_client_id, now_ms)
    devices.update_last_seen(
        db, requester.user_id, requester.device_id, address, now_ms=now_ms, older_than=now_ms - _SEEN_EVERY_MS
    )


def grant_tokens(
    db: Db,
    user_id: str,
    device_id: str,
    *,
    refreshable: bool,
    now_ms: int,
    replaces: AccessToken | None = None,
    oauth_client_id: str | None = None,
) -> Grant:
    """New tokens for a device. They expire when the client can refresh them."""
    access_token = f"tsa_{secrets.token_urlsafe(32)}"
    refresh_token = f"tsr_{secrets.token_urlsafe(32)}" if refreshable else None
    lives_ms = EXPIRES_IN_MS if oauth_client_id is None else OAUTH_EXPIRES_IN_MS
    access_tokens.insert_access_token(
        db,
        _hash(access_token),
        user_id,
        device_id,
        expires_ts=now_ms + lives_ms if refreshable else None,
        refresh_token_hash=_hash(refresh_token) if refresh_token is not None else None,
        replaces=replaces.token_hash if replaces is not None else None,
        oauth_client_id=oauth_client_id,
    )
    return Grant(
        user_id=user_id,
        device_id=device_id,
        access_token=access_token,
        refresh_token=refresh_token,
        expires_in_ms=lives_ms if refreshable else None,
    )


def refresh_tokens(db: Db, refresh_token: str, now_ms: int, *, oauth_client_id: str | None = None) -> Grant:
    """Exchange a refresh token for new tokens, over the API that it was given by. Raises UnknownToken."""
    pair = access_tokens.find_refreshable(db, _hash(refresh_token))
    if pair is None or pair.oauth_client_id != oauth_client_id:
        raise UnknownToken("This refresh token is not known here.")
    if pair.is_locked:
        raise UserLocked
    _end_replaced(db, pair.token_hash, pair.oauth_client_id, now_ms)
    access_tokens.delete_replacements(db, pair.token_hash)
    return grant_tokens(
        db,
        pair.user_id,
        pair.device_id,
        refreshable=True,
        now_ms=now_ms,
        replaces=pair,
        oauth_client_id=oauth_client_id,
    )


def adopt_token(db: Db, user_id: str, device_id: str, access_token: str) -> None:
    """Let an access token that another server has given to a device hold here as well."""
    access_tokens.insert_access_token(db, _hash(access_token), user_id, device_id)


def find_token(db: Db, token: str) -> AccessToken | None:
    """The pair that an access token or a refresh token belongs to."""
    token_hash = _hash(token)
    return access_tokens.find_access_token(db, token_hash) or access_tokens.find_refreshable(db, token_hash)


def find_device_betrayed(db: Db, refresh_token: str) -> tuple[str, str] | None:
    """The user and device that a spent refresh token was for: two have it, and one of them stole it."""
    return access_tokens.find_device_of_spent_token(db, _hash(refresh_token))


def _end_replaced(db: Db, token_hash: bytes, oauth_client_id: str | None, now_ms: int) -> None:
    """A pair is used for the first time: the pair that it replaces is good for nothing any more."""
    if oauth_client_id is not None:
        access_tokens.insert_spent_refresh_token(db, token_hash, now_ms=now_ms, older_than=now_ms - _REMEMBERED_MS)
    access_tokens.delete_replaced(db, token_hash)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
