"""Email over SMTP, with aiosmtplib: each mail in a connection of its own, to the operator's server."""

from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import Final

import aiosmtplib

from tabstead.errors import OutboundFailed
from tabstead.mail import Mail
from tabstead.native.toml_configuration import Email

_TIMEOUT_SECONDS: Final = 20


class SmtpMailer:
    """A `tabstead.mail.Mailer`. `settings.smtp_host` must be set."""

    def __init__(self, settings: Email) -> None:
        self._settings = settings

    async def send(self, mail: Mail) -> None:
        settings = self._settings
        try:
            await aiosmtplib.send(
                self._build_message(mail),
                hostname=settings.smtp_host,
                port=settings.smtp_port,
                username=settings.username,
                password=settings.password,
                use_tls=settings.security == "tls",
                start_tls=settings.security == "starttls",
                cert_bundle=None if settings.certificate is None else str(settings.certificate),
                timeout=_TIMEOUT_SECONDS,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise OutboundFailed(f"The mail server did not take an email: {error}") from error

    def _build_message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._settings.sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=parseaddr(self._settings.sender)[1].rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message
