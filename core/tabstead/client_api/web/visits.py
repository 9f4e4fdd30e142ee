"""Visits: what a person came for, and who they are once they have signed in.

A visit is a ticket of half an hour. Signing in gives it a new secret, which only the browser that signed in gets to
see: whoever sent the person here can't go on in their name.
"""

from dataclasses import dataclass
from typing import Any, Final

from tabstead.accounts.tickets import TicketKind, find_ticket, issue_ticket, take_ticket
from tabstead.errors import NotFound
from tabstead.storage.database import Db

_VISIT: Final = TicketKind(name="visit", lives_ms=30 * 60 * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    secret: str
    aim: dict[str, Any]
    """`kind`, and what that kind needs."""
    user_id: str | None = None
    """Who has signed in."""

    @property
    def signed_in_user_id(self) -> str:
        """Raises NotFound where nobody has."""
        if self.user_id is None:
            raise NotFound("Nobody has signed in here. Begin again in the application.")
        return self.user_id


def begin_visit(db: Db, aim: dict[str, Any], now_ms: int) -> Visit:
    """Somebody arrives."""
    return Visit(secret=issue_ticket(db, _VISIT, {"aim": aim, "user_id": None}, now_ms), aim=aim)


def get_visit(db: Db, secret: str, now_ms: int) -> Visit:
    """Raises NotFound."""
    value = find_ticket(db, _VISIT, secret, now_ms)
    if value is None:
        raise NotFound("This page is too old, or was used already. Begin again in the application.")
    return Visit(secret=secret, aim=value["aim"], user_id=value["user_id"])


def sign_in(db: Db, visit: Visit, user_id: str, now_ms: int) -> Visit:
    """Somebody has said who they are."""
    take_ticket(db, _VISIT, visit.secret, now_ms)
    value = {"aim": visit.aim, "user_id": user_id}
    return Visit(secret=issue_ticket(db, _VISIT, value, now_ms, user_id=user_id), aim=visit.aim, user_id=user_id)


def end_visit(db: Db, visit: Visit, now_ms: int) -> None:
    """They have what they came for."""
    take_ticket(db, _VISIT, visit.secret, now_ms)
