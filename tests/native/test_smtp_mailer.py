"""Email over SMTP, to a real mail server on this machine."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from email.message import EmailMessage, Message
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from tabstead.errors import OutboundFailed
from tabstead.mail import Mail
from tabstead.native.smtp_mailer import SmtpMailer
from tabstead.native.toml_configuration import Email

TLS = Path(__file__).parent / "tls"
MAIL = Mail(to="alice@mail.test", subject="Grüße", text="A link:\nhttps://tab.test/a?b=c\n")


class Received:
    """What arrived at the mail server."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        from email import message_from_bytes

        self.messages.append(message_from_bytes(envelope.content, EmailMessage, policy=default))
        return "250 OK"


async def serve(received: Received, **options: Any) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: SMTP(received, hostname="localhost", **options), "127.0.0.1", 0)


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


@pytest.fixture
def received() -> Received:
    return Received()


@pytest.fixture
async def mail_server(received: Received) -> AsyncIterator[asyncio.Server]:
    """Wants TLS and the password before it takes anything."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, login: Any) -> AuthResult:
        return AuthResult(success=(login.login, login.password) == (b"tabstead", b"rosebud"))

    server = await serve(
        received, tls_context=context, require_starttls=True, authenticator=authenticate, auth_required=True
    )
    yield server
    server.close()


def settings(server: asyncio.Server, **more: Any) -> Email:
    chosen = {
        "smtp_host": "localhost",
        "smtp_port": port_of(server),
        "certificate": TLS / "certificate.pem",
        "username": "tabstead",
        "password": "rosebud",
        "sender": "Tab <no-reply@tab.test>",
        **more,
    }
    return Email(**chosen)


async def test_a_mail_arrives_whole(mail_server: asyncio.Server, received: Received) -> None:
    await SmtpMailer(settings(mail_server)).send(MAIL)
    (message,) = received.messages
    assert isinstance(message, Message)
    assert (message["From"], message["To"]) == ("Tab <no-reply@tab.test>", "alice@mail.test")
    assert message["Subject"] == "Grüße"
    assert message.get_content().replace("\r\n", "\n") == MAIL.text
    assert message["Message-ID"].endswith("@tab.test>")


@pytest.mark.parametrize(
    "wrong", [{"password": "wrong"}, {"security": "none"}, {"certificate": None}, {"security": "tls"}]
)
async def test_a_mail_that_is_not_taken_is_a_failure(
    mail_server: asyncio.Server, received: Received, wrong: dict[str, Any]
) -> None:
    with pytest.raises(OutboundFailed):
        await SmtpMailer(settings(mail_server, **wrong)).send(MAIL)
    assert received.messages == []


async def test_so_is_a_server_that_is_not_there(mail_server: asyncio.Server) -> None:
    with pytest.raises(OutboundFailed):
        await SmtpMailer(settings(mail_server, smtp_port=1)).send(MAIL)


async def test_without_tls_where_the_operator_says_so(received: Received) -> None:
    server = await serve(received)
    await SmtpMailer(settings(server, security="none", username=None, password=None)).send(MAIL)
    server.close()
    assert len(received.messages) == 1


async def test_an_address_can_not_add_headers(mail_server: asyncio.Server, received: Received) -> None:
    with pytest.raises(OutboundFailed):
        await SmtpMailer(settings(mail_server)).send(Mail(to="a@b.c\r\nBcc: d@e.f", subject="x", text="y"))
