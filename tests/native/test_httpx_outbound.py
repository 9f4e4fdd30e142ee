"""Requests to other servers: real ones, on this machine."""

import gzip
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helpers.http_peer import Peer
from tabstead.errors import OutboundFailed, OutboundRefused, OutboundTooLarge
from tabstead.native.allowed_addresses import is_public
from tabstead.native.httpx_outbound import HttpxOutbound
from tabstead.outbound import OutboundRequest

TLS = Path(__file__).parent / "tls"
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    await peer.start()
    yield peer
    peer.close()


@pytest.fixture
async def outbound() -> AsyncIterator[HttpxOutbound]:
    outbound = HttpxOutbound()
    yield outbound
    await outbound.close()


async def test_an_answer_of_any_status_is_an_answer(outbound: HttpxOutbound, peer: Peer) -> None:
    peer.answers["/gone"] = b"HTTP/1.1 410 Gone\r\nContent-Length: 2\r\n\r\n{}"
    said = await outbound.send(OutboundRequest(url=peer.url()))
    assert (said.status, said.headers["x-said"], said.body) == (200, "yes", b"hello")
    gone = await outbound.send(OutboundRequest(url=peer.url("/gone"), method="POST", body=b"x=1"))
    assert (gone.status, gone.is_success, gone.body) == (410, False, b"{}")
    assert peer.received[1].startswith("POST /gone HTTP/1.1") and peer.received[1].endswith("x=1")


async def test_who_is_not_there_or_takes_too_long_has_failed(outbound: HttpxOutbound, peer: Peer) -> None:
    with pytest.raises(OutboundFailed, match="took longer than 50 ms"):
        await outbound.send(OutboundRequest(url=peer.url("/silent?secret=1"), timeout_ms=50))
    for url in ("http://127.0.0.1:1/", "gopher://127.0.0.1/", "no url", "http://nowhere.invalid/"):
        with pytest.raises(OutboundFailed):
            await outbound.send(OutboundRequest(url=url))


async def test_too_much_is_not_read(outbound: HttpxOutbound, peer: Peer) -> None:
    with pytest.raises(OutboundTooLarge):
        await outbound.send(OutboundRequest(url=peer.url(), max_bytes=4))
    bomb = gzip.compress(bytes(1000))
    peer.answers["/bomb"] = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    )
    with pytest.raises(OutboundFailed, match="compresses"):
        await outbound.send(OutboundRequest(url=peer.url("/bomb"), max_bytes=500))


async def test_redirects_are_followed_as_often_as_allowed(outbound: HttpxOutbound, peer: Peer) -> None:
    peer.redirect("/one", "/two")
    peer.redirect("/two", "/")
    unfollowed = await outbound.send(OutboundRequest(url=peer.url("/one")))
    assert (unfollowed.status, unfollowed.headers["location"]) == (302, "/two")
    followed = await outbound.send(OutboundRequest(url=peer.url("/one"), max_redirects=2))
    assert (followed.status, followed.url) == (200, peer.url())
    with pytest.raises(OutboundFailed, match="redirects more than 1"):
        await outbound.send(OutboundRequest(url=peer.url("/one"), max_redirects=1))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_a_private_address_is_refused_where_somebody_else_chose_it(
    outbound: HttpxOutbound, peer: Peer, host: str
) -> None:
    with pytest.raises(OutboundRefused):
        await outbound.send(OutboundRequest(url=peer.url(host=host), public_only=True))
    assert peer.received == []


async def test_unless_the_operator_allows_it_and_then_in_each_redirect(peer: Peer) -> None:
    outbound = HttpxOutbound(allowed=LOOPBACK)
    peer.redirect("/away", "http://10.0.0.1/")
    said = await outbound.send(OutboundRequest(url=peer.url(host="localhost"), public_only=True))
    assert said.body == b"hello"
    assert f"Host: localhost:{peer.port}" in peer.received[0], "the other server sees the name that was asked for"
    with pytest.raises(OutboundRefused):
        await outbound.send(OutboundRequest(url=peer.url("/away"), public_only=True, max_redirects=5))
    peer.redirect("/here", "/")
    said = await outbound.send(OutboundRequest(url=peer.url("/here", "localhost"), public_only=True, max_redirects=1))
    assert said.url == peer.url(host="localhost"), "a relative redirect stays with the name"
    await outbound.close()


async def test_the_certificate_is_checked_against_the_name_not_the_address() -> None:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    peer = Peer()
    await peer.start(serving)
    outbound = HttpxOutbound(LOOPBACK, certificates=ssl.create_default_context(cafile=TLS / "certificate.pem"))
    for public_only in (False, True):
        said = await outbound.send(OutboundRequest(url=f"https://localhost:{peer.port}/", public_only=public_only))
        assert said.body == b"hello"
    stranger = HttpxOutbound(LOOPBACK)
    with pytest.raises(OutboundFailed, match="certificate"):
        await stranger.send(OutboundRequest(url=f"https://localhost:{peer.port}/"))
    await outbound.close()
    await stranger.close()
    peer.close()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("9.9.9.9", True),
        ("2620:fe::fe", True),
        ("64:ff9b::9.9.9.9", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public
