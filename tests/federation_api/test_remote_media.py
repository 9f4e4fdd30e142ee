"""Media across servers: handed over in two parts, kept, and thumbnailed here."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from federation_api.asking import ask
from helpers.federation import Network
from helpers.homeserver import Answer, Client, TestServer
from tabstead.errors import OutboundFailed, PeerMisbehaved
from tabstead.http import Request, Response, json_response
from tabstead.media.multipart import MediaReader, encode_media
from tabstead.outbound import Outbound, OutboundRequest, OutboundResponse
from tabstead.storage.database import Db

SMALL_PNG = bytes.fromhex("89504e470d0a1a0a0000000d494844520000000a0000000a080200000002505eea0000000049454e44ae426082")
DAY = 24 * 60 * 60 * 1000


@pytest.fixture
async def alice(right: TestServer) -> Client:
    return await right.register("alice")


@pytest.fixture
async def bob(left: TestServer) -> Client:
    return await left.register("bob")


async def upload(client: Client, data: bytes, content_type: str = "image/png", **query: str) -> str:
    """`server/id` of the media."""
    headers = {"content-type": content_type}
    answer = await client.answer("POST", "/_matrix/media/v3/upload", data, headers=headers, **query)
    return str(answer.json["content_uri"]).removeprefix("mxc://")


async def download(client: Client, name: str, **query: Any) -> Answer:
    return await client.answer("GET", f"/v1/media/download/{name}", **query)


async def refused(client: Client, name: str, **query: Any) -> tuple[int, str]:
    return await client.refused("GET", f"/v1/media/download/{name}", **query)


def count_questions(network: Network) -> int:
    return len([1 for _, request in network.requests if "/media/" in request.target])


@dataclass
class Peer:
    """A server that answers as the test says."""

    name: str
    handle: Callable[[Request], Any]

    @property
    def homeserver(self) -> "Peer":
        return self

    async def close(self) -> None:
        pass


def add_peer(network: Network, name: str, answer: Callable[[Request], Response]) -> None:
    async def handle(request: Request) -> Response:
        response = answer(request)
        return Response(
            status=response.status,
            headers={"access-control-allow-origin": "*", **response.headers},
            body=response.body,
        )

    network.servers[name] = cast("TestServer", Peer(name, handle))


@dataclass
class Elsewhere:
    """What is at addresses that servers send us to."""

    contents: dict[str, OutboundResponse] = field(default_factory=dict)
    asked: list[OutboundRequest] = field(default_factory=list)

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        self.asked.append(request)
        if request.url not in self.contents:
            raise OutboundFailed("Nobody is there.")
        return self.contents[request.url]

    async def close(self) -> None:
        pass


class TestDownloads:
    async def test_a_content_is_fetched_once_and_kept(
        self, network: Network, left: TestServer, alice: Client, bob: Client
    ) -> None:
        data = SMALL_PNG + b"\r\n--boundary\r\n" * 5000
        name = await upload(alice, data, filename="Größe.png")
        theirs, ours = await download(alice, name), await download(bob, name)
        assert (ours.status, ours.body) == (200, data)
        for header in ("content-type", "content-disposition", "content-security-policy", "etag"):
            assert ours.headers[header] == theirs.headers[header]
        asked = count_questions(network)
        network.cut("left.test", "right.test")
        await left.restart()
        assert (await download(bob, name)).body == data
        assert count_questions(network) == asked

    async def test_who_asks_at_the_same_time_asks_once(self, network: Network, alice: Client, bob: Client) -> None:
        name = await upload(alice, b"x" * 100_000)
        answers = await asyncio.gather(*(download(bob, name) for _ in range(5)))
        assert {answer.status for answer in answers} == {200}
        assert count_questions(network) == 1

    async def test_a_content_that_is_here_already_is_stored_once(
        self, left: TestServer, alice: Client, bob: Client
    ) -> None:
        await upload(bob, b"the same")
        assert (await download(bob, await upload(alice, b"the same"))).body == b"the same"
        assert await left.read(lambda db: db.execute("SELECT COUNT(*) FROM media_blobs").fetchone()[0]) == 1

    async def test_an_empty_content(self, alice: Client, bob: Client) -> None:
        answer = await download(bob, await upload(alice, b"", content_type="text/plain"))
        assert (answer.status, answer.body) == (200, b"")

    async def test_what_is_not_there_or_not_yet(self, network: Network, alice: Client, bob: Client) -> None:
        assert await refused(bob, "right.test/nothing") == (404, "M_NOT_FOUND")
        assert await refused(bob, "right.test/no%20id") == (404, "M_NOT_FOUND")
        assert await refused(bob, "away.test/nothing") == (504, "M_UNKNOWN")
        created = await alice.post("/_matrix/media/v1/create")
        name = created["content_uri"].removeprefix("mxc://")
        assert await refused(bob, name, timeout_ms=0) == (504, "M_NOT_YET_UPLOADED")
        assert await refused(bob, name, timeout_ms=0, allow_remote=False) == (404, "M_NOT_FOUND")
        await alice.answer("PUT", f"/_matrix/media/v3/upload/{name}", b"now", headers={"content-type": "text/plain"})
        assert (await download(bob, name)).body == b"now"

    async def test_what_is_too_large_is_not_taken(self, network: Network, tmp_path: Any, alice: Client) -> None:
        small = await network.open(tmp_path, "small.test", max_upload_bytes=1000)
        carol = await small.register("carol")
        for size in (1001, 1_000_000):
            assert await refused(carol, await upload(alice, b"x" * size)) == (502, "M_TOO_LARGE")
        assert (await download(carol, await upload(alice, b"x" * 1000))).status == 200

    async def test_a_small_picture_is_its_own_thumbnail(self, alice: Client, bob: Client) -> None:
        path = f"/v1/media/thumbnail/{await upload(alice, SMALL_PNG)}"
        answer = await bob.answer("GET", path, width=96, height=96)
        assert (answer.status, answer.body) == (200, SMALL_PNG)
        assert answer.headers["content-type"] == "image/png"


class TestWhatServersClaim:
    async def test_the_claimed_type_and_name_are_as_untrusted_as_an_uploads(
        self, network: Network, bob: Client
    ) -> None:
        claims = {"content-type": "text/html", "content-disposition": 'inline; filename="a\tb.html"'}

        def answer(request: Request) -> Response:
            content_type, body = encode_media(claims, b"<script>")
            return Response(headers={"content-type": content_type}, body=body)

        add_peer(network, "bad.test", answer)
        answered = await download(bob, "bad.test/page")
        assert answered.headers["content-disposition"] == 'attachment; filename="ab.html"'
        assert answered.headers["content-security-policy"].startswith("sandbox")

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("multipart/mixed; boundary=a", b"--a\r\n\r\n{}\r\n--a\r\n\r\nx"),
            ("multipart/mixed; boundary=a", b"--a\r\n\r\n{}\r\n--a--\r\n"),
            ("multipart/mixed; boundary=a", b"--a\r\n\r\n{}\r\n--a\r\n\r\nx\r\n--a\r\n\r\ny\r\n--a--\r\n"),
            ("multipart/mixed; boundary=b", b"--a\r\n\r\n{}\r\n--a\r\n\r\nx\r\n--a--\r\n"),
            ("multipart/mixed", b"--a\r\n\r\n{}\r\n--a\r\n\r\nx\r\n--a--\r\n"),
            ("multipart/mixed; boundary=a", b"a" * 100_000),
            ("multipart/mixed; boundary=a", b"\r\n" * 100_000),
            ("multipart/mixed; boundary=a", b"--a\r\n\r\n" + b" " * 100_000 + b"\r\n--a\r\n\r\nx\r\n--a--\r\n"),
            ("multipart/mixed; boundary=a", b"--a\r\nx: " + b"y" * 100_000),
            ("multipart/mixed; boundary=", b"--\r\n\r\n{}\r\n--\r\n\r\nx\r\n----\r\n"),
            ("multipart/mixed; boundary=a", b""),
        ],
    )
    async def test_what_is_not_in_two_parts_is_no_media(
        self, network: Network, bob: Client, content_type: str, body: bytes
    ) -> None:
        add_peer(network, "bad.test", lambda _: Response(headers={"content-type": content_type}, body=body))
        assert await refused(bob, "bad.test/x") == (502, "M_UNKNOWN")

    def test_parts_are_read_however_they_are_cut(self) -> None:
        body = (
            b"\r\n--a\r\nContent-Type: application/json\r\n\r\n{}\r\n--a\r\nX: y\r\n\r\nda\r\n--ta\r\n--a--\r\n after"
        )
        for size in range(1, len(body) + 1):
            reader = MediaReader()
            for start in range(0, len(body), size):
                reader.take(body[start : start + size])
            part = reader.finish('Multipart/Mixed; boundary="a"')
            assert (part.headers, part.data) == ({"x": "y"}, b"da\r\n--ta")
            with pytest.raises(PeerMisbehaved):
                reader.finish("image/png")


class TestOtherWays:
    async def test_a_server_that_is_older_is_asked_in_the_older_way(self, network: Network, bob: Client) -> None:
        def answer(request: Request) -> Response:
            if request.path != "/_matrix/media/v3/download/old.test/cat":
                return json_response({"errcode": "M_UNRECOGNIZED", "error": "What?"}, 404)
            assert "authorization" not in request.headers
            assert request.query["allow_remote"] == "false"
            headers = {"content-type": "image/png", "content-disposition": "inline; filename*=utf-8''Gr%C3%BC%C3%9Fe"}
            return Response(headers=headers, body=SMALL_PNG)

        add_peer(network, "old.test", answer)
        answered = await download(bob, "old.test/cat")
        assert (answered.status, answered.body) == (200, SMALL_PNG)
        assert answered.headers["content-disposition"] == "inline; filename*=utf-8''Gr%C3%BC%C3%9Fe"

    async def test_a_content_that_is_elsewhere_is_fetched_as_a_strangers_address_is(
        self, network: Network, left: TestServer
    ) -> None:
        url = "https://cdn.test/cat?signature=1"
        found = OutboundResponse(status=200, url=url, headers={"content-type": "image/png"}, body=SMALL_PNG)
        elsewhere = Elsewhere({url: found})
        left.outbound = cast("Outbound", elsewhere)
        await left.restart()
        bob = await left.register("bob")
        locations = {"cat": url, "gone": "https://cdn.test/gone", "plain": "http://cdn.test/cat", "file": "file:///etc"}

        def answer(request: Request) -> Response:
            content_type, body = encode_media({"Location": locations[request.path.rpartition("/")[2]]}, b"")
            return Response(headers={"content-type": content_type}, body=body)

        add_peer(network, "new.test", answer)
        answered = await download(bob, "new.test/cat")
        assert (answered.status, answered.body, answered.headers["content-type"]) == (200, SMALL_PNG, "image/png")
        [asked] = elsewhere.asked
        assert asked.public_only
        assert asked.headers == {}
        for name in ("gone", "plain", "file"):
            assert (await download(bob, f"new.test/{name}")).status == 504


class TestServing:
    async def test_what_other_servers_may_ask(self, left: TestServer, right: TestServer, alice: Client) -> None:
        status, body = await ask(left, right, "GET", "/media/download/nothing")
        assert (status, body["errcode"]) == (404, "M_NOT_FOUND")
        media_id = (await upload(alice, b"text")).partition("/")[2]
        for query, refusal in (
            ({}, (400, "M_MISSING_PARAM")),
            ({"width": "0", "height": "1"}, (400, "M_INVALID_PARAM")),
            ({"width": "9", "height": "9"}, (400, "M_UNKNOWN")),
        ):
            status, body = await ask(left, right, "GET", f"/media/thumbnail/{media_id}", **query)
            assert (status, body["errcode"]) == refusal


async def test_what_nobody_asks_for_any_more_is_forgotten(left: TestServer, alice: Client, bob: Client) -> None:
    def count(db: Db) -> tuple[int, int]:
        (media,) = db.execute("SELECT COUNT(*) FROM remote_media").fetchone()
        (chunks,) = db.execute("SELECT COUNT(*) FROM media_chunks").fetchone()
        return media, chunks

    async def wait(days: int) -> None:
        for _ in range(3):  # a content outlives its name by a round
            left.clock.now += days * DAY // 3
            left.homeserver.compactor._next_due_ts = None
            while await left.homeserver.compactor.run(60):
                pass

    forgotten, used = await upload(alice, b"forgotten"), await upload(alice, b"used")
    for name in (forgotten, used):
        await download(bob, name)
    await wait(60)
    await download(bob, used)
    assert await left.read(count) == (2, 2)
    await wait(60)
    assert await left.read(count) == (1, 1)
    assert (await download(bob, forgotten)).body == b"forgotten"
