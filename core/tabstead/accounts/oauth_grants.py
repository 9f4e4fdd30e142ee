"""Grants of the OAuth 2.0 API between a user's consent and a client's tokens.

An authorization is a code that the browser carries back to the client. A device grant has two secrets: the device code,
with which the client asks for the outcome, and the user code, under which a person finds it; the grant itself lies
under the user code. (Client-Server API, § Grant types; RFC 8628)
"""

import secrets
from dataclasses import dataclass
from typing import Any, Final

from tabstead.accounts.oauth_scopes import parse_scope
from tabstead.accounts.tickets import TicketKind, change_ticket, find_ticket, issue_ticket, take_ticket
from tabstead.errors import NotFound, OAuthError
from tabstead.storage.database import Db

AUTHORIZATION: Final = TicketKind(name="authorization code", lives_ms=60 * 1000)

DEVICE_GRANT_LIVES_MS: Final = 20 * 60 * 1000
POLL_INTERVAL_MS: Final = 5_000

# Kept longer than they are good for: a client is told that its code has expired.
_DEVICE_CODE: Final = TicketKind(name="device code", lives_ms=2 * DEVICE_GRANT_LIVES_MS)
_USER_CODE: Final = TicketKind(name="user code", lives_ms=2 * DEVICE_GRANT_LIVES_MS)
_USER_CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels: no words
_USER_CODE_LENGTH: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGrant:
    device_code: str
    user_code: str
    """As it is shown, with a hyphen in its middle."""


def begin_device_grant(db: Db, client_id: str, scope: str, now_ms: int) -> DeviceGrant:
    """A device wants tokens. Raises OAuthError for a scope that nobody gets."""
    parse_scope(scope)
    user_code = "".join(secrets.choice(_USER_CODE_LETTERS) for _ in range(_USER_CODE_LENGTH))
    expires_ts = now_ms + DEVICE_GRANT_LIVES_MS
    grant = {"client_id": client_id, "scope": scope, "status": "pending", "polled_ts": 0, "expires_ts": expires_ts}
    issue_ticket(db, _USER_CODE, grant, now_ms, secret=user_code)
    device_code = issue_ticket(db, _DEVICE_CODE, {"client_id": client_id, "user_code": user_code}, now_ms)
    half = _USER_CODE_LENGTH // 2
    return DeviceGrant(device_code=device_code, user_code=f"{user_code[:half]}-{user_code[half:]}")


def get_pending_grant(db: Db, user_code: str, now_ms: int) -> dict[str, Any]:
    """The grant that a person has the code of, however it is typed. Raises NotFound."""
    grant = find_ticket(db, _USER_CODE, _plain(user_code), now_ms)
    if grant is None or grant["status"] != "pending" or grant["expires_ts"] <= now_ms:
        raise NotFound("This code is not known, or no longer. Look again at what the device shows.")
    return grant


def settle_device_grant(db: Db, user_code: str, user_id: str, now_ms: int, *, allowed: bool) -> None:
    """A person has decided. Raises NotFound."""
    grant = get_pending_grant(db, user_code, now_ms)
    settled = {**grant, "status": "allowed" if allowed else "denied", "user_id": user_id}
    change_ticket(db, _USER_CODE, _plain(user_code), settled, user_id=user_id)


def poll_device_grant(db: Db, device_code: str, client_id: str, now_ms: int) -> dict[str, Any]:
    """What was allowed, once. Raises OAuthError while there is nothing; what it notes then has to be kept."""
    device = find_ticket(db, _DEVICE_CODE, device_code, now_ms)
    if device is None or device["client_id"] != client_id:
        raise OAuthError("invalid_grant", "The device code is not valid.")
    grant = find_ticket(db, _USER_CODE, device["user_code"], now_ms)
    if grant is None or grant["expires_ts"] <= now_ms:
        raise OAuthError("expired_token", "The device code has expired.")
    if grant["status"] == "denied":
        raise OAuthError("access_denied", "The user has refused.")
    if grant["status"] == "pending":
        change_ticket(db, _USER_CODE, device["user_code"], {**grant, "polled_ts": now_ms})
        if now_ms - grant["polled_ts"] < POLL_INTERVAL_MS:
            raise OAuthError("slow_down", "This is asked too often.")
        raise OAuthError("authorization_pending", "The user has not decided yet.")
    take_ticket(db, _DEVICE_CODE, device_code, now_ms)
    take_ticket(db, _USER_CODE, device["user_code"], now_ms)
    return grant


def _plain(user_code: str) -> str:
    return "".join(letter for letter in user_code.upper() if letter in _USER_CODE_LETTERS)
