"""Email as a test reads it: a Mailer that keeps what it is given, and refuses on demand."""

import re
from dataclasses import dataclass, field

from tabstead.errors import OutboundFailed
from tabstead.mail import Mail


@dataclass
class Mailbox:
    """A `tabstead.mail.Mailer`."""

    mails: list[Mail] = field(default_factory=list)
    is_broken: bool = False

    async def send(self, mail: Mail) -> None:
        if self.is_broken:
            raise OutboundFailed("The mail server is on holiday.")
        self.mails.append(mail)

    def link(self) -> str:
        """Path and query of the link in the newest mail."""
        match = re.search(r"https://tab\.test(/\S+)", self.mails[-1].text)
        assert match, self.mails[-1].text
        return match[1]
