"""Previews of linked pages, which a real server on this machine has."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from helpers.homeserver import Client, TestServer
from helpers.http_peer import Peer
from tabstead.configuration import UrlPreviews
from tabstead.media.url_previews import FAILURE_FRESH_MS, FRESH_MS
from tabstead.native.httpx_outbound import HttpxOutbound

PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>Fallback</title>
<meta property="og:title" content="Käse &amp; Brot"><meta property="og:type" content="article">
<meta name="description" content="What it is
 about"><meta property="og:image" content="cheese.png"></head><body><h1>Heading</h1></body></html>"""


def picture() -> bytes:
    stream = BytesIO()
    Image.new("RGB", (40, 20), "gold").save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    await peer.start()
    yield peer
    peer.close()


async def open_server(folder: Path, options: UrlPreviews, *networks: str) -> TestServer:
    server = await TestServer.open(folder, url_previews=options)
    server.outbound = HttpxOutbound([ipaddress.ip_network(network) for network in networks])
    await server.restart()
    return server


@pytest.fixture
async def alice(tmp_path: Path) -> AsyncIterator[Client]:
    server = await open_server(tmp_path, UrlPreviews(enabled=True), "127.0.0.0/8")
    yield await server.register("alice")
    await server.close()


async def preview(client: Client, url: str) -> dict[str, object]:
    found: dict[str, object] = await client.get("/v1/media/preview_url", url=url)
    return found


async def test_a_page_is_shown_by_what_it_says_of_itself(alice: Client, peer: Peer) -> None:
    peer.lay("/food/page", "text/html", PAGE.encode())
    peer.lay("/food/cheese.png", "image/png", picture())
    found = await preview(alice, peer.url("/food/page"))
    content_uri = str(found.pop("og:image"))
    assert found == {
        "og:title": "Käse & Brot",
        "og:type": "article",
        "og:description": "What it is about",
        "og:image:type": "image/png",
        "og:image:width": 40,
        "og:image:height": 20,
        "matrix:image:size": len(picture()),
    }
    path = content_uri.removeprefix("mxc://")
    assert (await alice.answer("GET", f"/v1/media/download/{path}")).body == picture()


async def test_the_older_path_answers_too(alice: Client, peer: Peer) -> None:
    peer.lay("/", "text/html", b"<title>Here</title>")
    assert await alice.get("/_matrix/media/v3/preview_url", url=peer.url(), ts=1) == {"og:title": "Here"}


async def test_an_image_is_its_own_preview(alice: Client, peer: Peer) -> None:
    peer.lay("/", "application/octet-stream", picture())
    assert (await preview(alice, peer.url()))["og:image:width"] == 40


async def test_a_file_that_is_no_page_has_nothing_to_show(alice: Client, peer: Peer) -> None:
    peer.lay("/", "application/pdf", b"%PDF <title>no</title>")
    assert await preview(alice, peer.url()) == {}


@pytest.mark.parametrize(
    ("content_type", "page", "title"),
    [
        ("text/html; charset=windows-1252", "<title>Käse</title>".encode("cp1252"), "Käse"),
        ("text/html", '<meta charset="koi8-r"><title>Сыр</title>'.encode("koi8-r"), "Сыр"),
        ("text/html; charset=nonsense", "<title>Käse</title>".encode(), "Käse"),
        ("text/html", "<title>Käse</title>".encode(), "Käse"),
        ("application/xhtml+xml", '<?xml version="1.0" encoding="utf-16"?><title>Käse</title>'.encode(), "Käse"),
    ],
)
async def test_a_page_is_read_in_its_encoding(
    alice: Client, peer: Peer, content_type: str, page: bytes, title: str
) -> None:
    peer.lay("/", content_type, page)
    assert await preview(alice, peer.url()) == {"og:title": title}


async def test_an_image_that_can_not_be_had_is_left_out(alice: Client, peer: Peer) -> None:
    for address in (peer.url("/missing", host="256.0.0.1"), "javascript:alert(1)", "http://[", peer.url("/text")):
        peer.lay("/text", "image/png", b"not an image")
        page = f'<title>A page</title><meta property="og:image" content="{address}"><meta property="og:image:alt">'
        path = f"/{abs(hash(address))}"
        peer.lay(path, "text/html", page.encode())
        assert await preview(alice, peer.url(path)) == {"og:title": "A page"}


async def test_a_page_is_fetched_once_for_all_who_ask(alice: Client, peer: Peer) -> None:
    peer.lay("/", "text/html", b"<title>Once</title>")
    found = await asyncio.gather(*(preview(alice, peer.url() + f"#{number}") for number in range(5)))
    assert found == [{"og:title": "Once"}] * 5
    await preview(alice, peer.url())
    assert len(peer.received) == 1

    peer.lay("/", "text/html", b"<title>Twice</title>")
    alice.server.clock.now += FRESH_MS
    assert await preview(alice, peer.url()) == {"og:title": "Twice"}


async def test_an_address_without_a_page_is_left_alone_for_a_while(alice: Client, peer: Peer) -> None:
    peer.answers["/"] = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"
    for _ in range(2):
        assert await alice.refused("GET", "/v1/media/preview_url", url=peer.url()) == (404, "M_NOT_FOUND")
    assert len(peer.received) == 1

    peer.lay("/", "text/html", b"<title>Mended</title>")
    alice.server.clock.now += FAILURE_FRESH_MS
    assert await preview(alice, peer.url()) == {"og:title": "Mended"}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http://a:b@example.org/",
        "http://[::1",
    ],
)
async def test_only_addresses_of_the_web_are_looked_at(alice: Client, url: str) -> None:
    status, errcode = await alice.refused("GET", "/v1/media/preview_url", url=url)
    assert (status, errcode) == (400, "M_INVALID_PARAM")


async def test_nobody_looks_into_the_servers_own_network(tmp_path: Path, peer: Peer) -> None:
    server = await open_server(tmp_path, UrlPreviews(enabled=True))
    alice = await server.register("alice")
    peer.lay("/", "text/html", b"<title>Secret</title>")
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
        url = peer.url(host=host)
        assert await alice.refused("GET", "/v1/media/preview_url", url=url) == (404, "M_NOT_FOUND")
    assert peer.received == []
    await server.close()


async def test_a_proxy_is_asked_where_there_is_one(tmp_path: Path, peer: Peer) -> None:
    server = await open_server(tmp_path, UrlPreviews(enabled=True, proxy=peer.url("/get?url={url}")))
    alice = await server.register("alice")
    page = b'<title>Far away</title><meta property="og:image" content="/picture">'
    peer.lay("/get?url=https%3A%2F%2Ffar.example%2Fpage", "text/html", page)
    peer.lay("/get?url=https%3A%2F%2Ffar.example%2Fpicture", "image/png", picture())
    found = await preview(alice, "https://far.example/page")
    assert (found["og:title"], found["og:image:width"]) == ("Far away", 40)
    await server.close()


async def test_a_server_that_makes_no_previews_says_so(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path)
    alice = await server.register("alice")
    refusal = await alice.refused("GET", "/v1/media/preview_url", url="https://example.org/")
    assert refusal == (404, "M_NOT_FOUND")
    await server.close()
