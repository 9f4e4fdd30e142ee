"""Tickets: secrets that stand for something for a while, for whoever carries them.

A login token, an OpenID token, an authorization code, a form between its pages. Only the hash is stored, together with
the ticket's kind: a secret of one kind is nothing as another. Tickets of a user end with the account.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any, Final

from tabstead.storage import tickets
from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketKind:
    """What tickets are for, and for how long."""

    name: str
    lives_ms: int


LOGIN_TOKEN: Final = TicketKind(name="login token", lives_ms=2 * 60 * 1000)
OPENID_TOKEN: Final = TicketKind(name="openid token", lives_ms=60 * 60 * 1000)


def issue_ticket(
    db: Db, kind: TicketKind, value: dict[str, Any], now_ms: int, *, user_id: str | None = None, secret: str = ""
) -> str:
    """The secret of a new ticket: 256 random bits, unless it is given one that a person can type."""
    secret = secret or f"tst_{secrets.token_urlsafe(32)}"
    expires_ts = now_ms + kind.lives_ms
    tickets.insert_ticket(db, _hash(kind, secret), value, user_id=user_id, expires_ts=expires_ts, now_ms=now_ms)
    return secret


def find_ticket(db: Db, kind: TicketKind, secret: str, now_ms: int) -> dict[str, Any] | None:
    """What the ticket stands for; None for one that is not known, or no longer."""
    return tickets.find_ticket(db, _hash(kind, secret), now_ms)


def take_ticket(db: Db, kind: TicketKind, secret: str, now_ms: int) -> dict[str, Any] | None:
    """The same for a ticket that is good for one time."""
    value = find_ticket(db, kind, secret, now_ms)
    tickets.delete_ticket(db, _hash(kind, secret))
    return value


def change_ticket(db: Db, kind: TicketKind, secret: str, value: dict[str, Any], *, user_id: str | None = None) -> None:
    """Let the ticket stand for something else from now on."""
    tickets.update_ticket(db, _hash(kind, secret), value, user_id=user_id)


def find_openid_user(db: Db, token: str, now_ms: int) -> str | None:
    """Whom an OpenID token is for: what `/_matrix/federation/v1/openid/userinfo` answers."""
    value = find_ticket(db, OPENID_TOKEN, token, now_ms)
    return None if value is None else str(value["user_id"])


def _hash(kind: TicketKind, secret: str) -> bytes:
    return hashlib.sha256(f"{kind.name}:{secret}".encode("utf-8", "surrogatepass")).digest()
