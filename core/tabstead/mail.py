"""Email that the homeserver sends: a port, implemented with SMTP in `tabstead.native`. A browser can't send any."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A plain text for one address."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Sends email."""

    async def send(self, mail: Mail) -> None:
        """Hand the mail to a server that takes responsibility for it. Raises OutboundFailed."""
        ...
