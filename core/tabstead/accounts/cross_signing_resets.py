"""Leave to replace cross-signing keys, which a user of the OAuth 2.0 API gives on the account page.

It is good for one upload within ten minutes. (Client-Server API, § OAuth authentication)
"""

from typing import Final

from tabstead.accounts.tickets import TicketKind, issue_ticket, take_ticket
from tabstead.storage.database import Db

_RESET: Final = TicketKind(name="cross-signing reset", lives_ms=10 * 60 * 1000)


def allow_cross_signing_reset(db: Db, user_id: str, now_ms: int) -> None:
    """The user has confirmed it."""
    take_ticket(db, _RESET, user_id, now_ms)
    issue_ticket(db, _RESET, {}, now_ms, user_id=user_id, secret=user_id)


def take_cross_signing_reset(db: Db, user_id: str, now_ms: int) -> bool:
    """Whether the user has confirmed it; it is used up then."""
    return take_ticket(db, _RESET, user_id, now_ms) is not None
