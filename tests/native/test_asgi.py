"""The ASGI application, driven as a server drives it: by messages."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tabstead.configuration import Configuration
from tabstead.homeserver import Homeserver
from tabstead.http import Request, Response
from tabstead.native.asgi import Application
from tabstead.storage.database import Database

UPLOAD_LIMIT = 20 * 1024 * 1024


class Recorder:
    """A homeserver that remembers what it was asked, and answers after a wait, if there is one."""

    def __init__(self, homeserver: Homeserver) -> None:
        self.context = homeserver.context
        self.asked: list[Request] = []
        self.wait: asyncio.Event | None = None
        self.cancelled = False

    async def handle(self, request: Request) -> Response:
        self.asked.append(request)
        if self.wait:
            try:
                await self.wait.wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        return Response(headers={"content-type": "text/plain", "X-Case": "kept"}, body=b"hello")


@pytest.fixture
async def homeserver(tmp_path: Path) -> AsyncIterator[Homeserver]:
    server = await Homeserver.open(
        configuration=Configuration(
            server_name="localhost", base_url="http://localhost", max_upload_bytes=UPLOAD_LIMIT
        ),
        database=await Database.open(tmp_path / "t.db"),
        now_ms=lambda: 1,
    )
    yield server
    await server.close()


def body_messages(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """A message per chunk, and an empty one that ends the body, unless there is no chunk at all."""
    began = False
    for chunk in chunks:
        began = True
        yield {"type": "http.request", "body": chunk, "more_body": True}
    if began:
        yield {"type": "http.request", "body": b"", "more_body": False}


async def request(
    application: Application,
    method: str = "GET",
    raw_path: bytes = b"/",
    *,
    query: bytes = b"",
    headers: Iterable[tuple[bytes, bytes]] = (),
    chunks: Iterable[bytes] = (b"",),
    disconnect: asyncio.Event | None = None,
) -> list[dict[str, Any]]:
    """Send one request; the messages that came back."""
    incoming = body_messages(chunks)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        message = next(incoming, None)
        if message is None:
            await (disconnect or asyncio.Event()).wait()
        return message or {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "raw_path": raw_path,
        "query_string": query,
        "headers": list(headers),
        "client": ("203.0.113.7", 5000),
    }
    await application(scope, receive, send)
    return sent


async def test_a_request_arrives_as_it_was_sent(homeserver: Homeserver) -> None:
    recorder = Recorder(homeserver)
    await request(
        Application(recorder),  # type: ignore[arg-type]
        "PUT",
        b"/rooms/%21a%2Fb%3Ac",
        query=b"a=%20",
        headers=[(b"Accept", b"a"), (b"accept", b"b")],
        chunks=[b"one ", b"", b"body"],
    )
    [asked] = recorder.asked
    assert (asked.method, asked.path, asked.query_string) == ("PUT", "/rooms/%21a%2Fb%3Ac", "a=%20")
    assert asked.headers == {"accept": "a, b"}
    assert asked.body == b"one body"
    assert asked.client_address == "203.0.113.7"


async def test_an_answer_has_its_length_and_lower_case_headers(homeserver: Homeserver) -> None:
    start, body = await request(Application(Recorder(homeserver)))  # type: ignore[arg-type]
    assert start["status"] == 200
    assert dict(start["headers"]) == {b"content-type": b"text/plain", b"x-case": b"kept", b"content-length": b"5"}
    assert body["body"] == b"hello"


async def test_head_is_asked_as_get(homeserver: Homeserver) -> None:
    recorder = Recorder(homeserver)
    await request(Application(recorder), "HEAD")  # type: ignore[arg-type]
    assert recorder.asked[0].method == "GET"


async def test_no_content_has_no_length(homeserver: Homeserver) -> None:
    start, _ = await request(Application(homeserver), "OPTIONS", b"/_matrix/client/versions")
    assert start["status"] == 204
    assert b"content-length" not in dict(start["headers"])
    assert dict(start["headers"])[b"access-control-allow-origin"] == b"*"


async def test_a_body_beyond_the_limit_is_refused_and_never_reaches_the_homeserver(homeserver: Homeserver) -> None:
    recorder = Recorder(homeserver)
    chunk = bytes(UPLOAD_LIMIT // 4)
    start, body = await request(Application(recorder), "POST", chunks=[chunk] * 4 + [b"x"])  # type: ignore[arg-type]
    assert start["status"] == 413
    assert b"M_TOO_LARGE" in body["body"]
    assert recorder.asked == []


async def test_a_body_without_end_is_cut_off(homeserver: Homeserver) -> None:
    start, _ = await request(Application(homeserver), "POST", chunks=itertools.repeat(bytes(UPLOAD_LIMIT // 4)))
    assert start["status"] == 413


async def test_a_body_at_the_limit_is_accepted(homeserver: Homeserver) -> None:
    recorder = Recorder(homeserver)
    await request(Application(recorder), "POST", chunks=[bytes(UPLOAD_LIMIT)])  # type: ignore[arg-type]
    assert len(recorder.asked[0].body) == UPLOAD_LIMIT


async def test_a_get_is_cancelled_when_its_client_goes(homeserver: Homeserver) -> None:
    recorder, gone = Recorder(homeserver), asyncio.Event()
    recorder.wait = asyncio.Event()
    waiting = asyncio.ensure_future(request(Application(recorder), disconnect=gone))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    gone.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert recorder.cancelled


async def test_a_put_goes_on_when_its_client_goes(homeserver: Homeserver) -> None:
    recorder, gone = Recorder(homeserver), asyncio.Event()
    recorder.wait = asyncio.Event()
    waiting = asyncio.ensure_future(request(Application(recorder), "PUT", disconnect=gone))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    gone.set()
    recorder.wait.set()
    await waiting
    assert not recorder.cancelled


async def test_a_client_that_goes_before_its_body_ended_asks_nothing(homeserver: Homeserver) -> None:
    recorder, gone = Recorder(homeserver), asyncio.Event()
    gone.set()
    sent = await request(Application(recorder), "PUT", chunks=[], disconnect=gone)  # type: ignore[arg-type]
    assert sent == []
    assert recorder.asked == []
