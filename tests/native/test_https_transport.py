"""Requests to other servers: over real TLS, on this machine."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from helpers import http_peer
from helpers.authority import Authority
from tabstead.errors import OutboundFailed, OutboundRefused, OutboundTooLarge
from tabstead.federation.server_discovery import ServerDiscovery, Target, WellKnownAnswer
from tabstead.federation.transport import FederationRequest
from tabstead.native.dns_records import order_records
from tabstead.native.https_transport import HttpsTransport, fetch_well_known
from tabstead.native.httpx_outbound import HttpxOutbound
from tabstead.protocol.identifiers import ServerName

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@dataclass
class Peer:
    """A server that keeps connections. `answers` has what each path is answered with; None: nothing at all."""

    answers: dict[str, bytes | None] = field(default_factory=dict)
    received: list[str] = field(default_factory=list)
    connections: int = 0
    answers_per_connection: int = 1000
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def start(self, certificates: ssl.SSLContext) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=certificates)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        answered = 0
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lengths = (int(line[16:]) for line in head.lower().splitlines() if line.startswith("content-length: "))
                self.received.append(head + (await reader.readexactly(next(lengths, 0))).decode())
                answer = self.answers.get(head.split(" ")[1], OK)
                if answered == self.answers_per_connection:
                    break
                if answer is not None:
                    writer.write(answer)
                    answered += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @property
    def hosts(self) -> list[str]:
        lines = (line for head in self.received for line in head.split("\r\n"))
        return [line[6:] for line in lines if line.lower().startswith("host: ")]

    def close(self) -> None:
        self._server.close()
        for writer in self.writers:
            writer.close()


@dataclass
class Names:
    """What the world says of names."""

    files: dict[str, str] = field(default_factory=dict)
    records: dict[str, list[Target]] = field(default_factory=dict)

    async def fetch(self, host: str) -> WellKnownAnswer:
        if host not in self.files:
            raise OutboundFailed(f"{host} can't be asked.")
        return WellKnownAnswer(status=200, headers={}, body=self.files[host].encode())

    async def look_up(self, name: str) -> list[Target]:
        return self.records.get(name, [])


@dataclass
class World:
    authority: Authority
    names: Names
    transport: HttpsTransport
    peers: list[Peer] = field(default_factory=list)

    async def serve(self, *certificate_names: str) -> Peer:
        peer = Peer()
        await peer.start(self.authority.serving(*certificate_names))
        self.peers.append(peer)
        return peer

    async def ask(
        self,
        destination: str,
        target: str = "/",
        *,
        timeout_ms: int = 10_000,
        max_bytes: int = 1000,
        take: Callable[[bytes], None] | None = None,
        method: str = "GET",
        body: bytes | None = None,
    ) -> tuple[int, bytes]:
        answer = await self.transport.send(
            FederationRequest(
                destination=ServerName(destination),
                method=method,
                target=target,
                body=body,
                timeout_ms=timeout_ms,
                max_bytes=max_bytes,
                take=take,
            )
        )
        return answer.status, answer.body


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    authority, names = Authority(tmp_path), Names()
    discovery = ServerDiscovery(lambda: 0, names.fetch, names.look_up)
    transport = HttpsTransport(discovery, LOOPBACK, certificates=authority.trusting())
    world = World(authority, names, transport)
    yield world
    await transport.close()
    for peer in world.peers:
        peer.close()


async def test_a_request_arrives_as_it_is_and_an_answer_of_any_status_is_one(world: World) -> None:
    peer = await world.serve("localhost")
    peer.answers["/gone?a=%2F"] = b"HTTP/1.1 410 Gone\r\nContent-Length: 2\r\n\r\n{}"
    assert await world.ask(f"localhost:{peer.port}", "/gone?a=%2F", method="PUT", body=b"{1}") == (410, b"{}")
    (received,) = peer.received
    assert received.startswith("PUT /gone?a=%2F HTTP/1.1\r\n") and received.endswith("\r\n\r\n{1}")


@pytest.mark.parametrize(("name", "certificate"), [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")])
async def test_a_name_with_a_port_is_the_host_and_the_certificates_name(
    world: World, name: str, certificate: str
) -> None:
    peer = await world.serve(certificate)
    assert (await world.ask(f"{name}:{peer.port}"))[0] == 200
    assert peer.hosts == [f"{name}:{peer.port}"]


@pytest.mark.parametrize(("name", "certificate"), [("localhost", "127.0.0.1"), ("127.0.0.1", "localhost")])
async def test_a_certificate_of_another_name_is_not_believed(world: World, name: str, certificate: str) -> None:
    peer = await world.serve(certificate)
    with pytest.raises(OutboundFailed, match="certificate"):
        await world.ask(f"{name}:{peer.port}")
    assert peer.received == []


async def test_who_is_delegated_to_shows_their_own_certificate(world: World) -> None:
    peer = await world.serve("localhost")
    world.names.files["example.test"] = f'{{"m.server": "localhost:{peer.port}"}}'
    assert (await world.ask("example.test"))[0] == 200
    assert peer.hosts == [f"localhost:{peer.port}"]


async def test_whom_srv_records_lead_to_shows_the_certificate_of_the_name_before_them(world: World) -> None:
    refusing = Target(host="localhost", port=1)
    peer, other = await world.serve("example.test"), await world.serve("localhost")
    world.names.records["_matrix-fed._tcp.example.test"] = [refusing, Target(host="localhost", port=peer.port)]
    world.names.records["_matrix-fed._tcp.other.test"] = [Target(host="localhost", port=other.port)]
    assert (await world.ask("example.test"))[0] == 200
    assert peer.hosts == ["example.test"]
    with pytest.raises(OutboundFailed, match="certificate"):
        await world.ask("other.test")


async def test_connections_are_used_again_and_not_by_another_name(world: World) -> None:
    peer = await world.serve("localhost", "127.0.0.1")
    for _ in range(3):
        await world.ask(f"localhost:{peer.port}")
    assert peer.connections == 1
    await world.ask(f"127.0.0.1:{peer.port}")
    assert peer.connections == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connection_that_ends_as_it_is_used_again_is_replaced(world: World, method: str) -> None:
    peer = await world.serve("localhost")
    peer.answers_per_connection = 1
    for _ in range(3):
        assert await world.ask(f"localhost:{peer.port}", method=method) == (200, b"hello")
    assert peer.connections == 3


async def test_but_who_never_answers_is_not_asked_for_ever(world: World) -> None:
    peer = await world.serve("localhost")
    peer.answers_per_connection = 0
    with pytest.raises(OutboundFailed):
        await world.ask(f"localhost:{peer.port}")
    assert peer.connections == 1


async def test_a_body_is_taken_as_it_comes(world: World) -> None:
    peer = await world.serve("localhost")
    peer.answers["/"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    peer.answers["/bad"] = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"
    taken: list[bytes] = []
    assert await world.ask(f"localhost:{peer.port}", take=taken.append) == (200, b"")
    assert b"".join(taken) == b"hello"
    assert await world.ask(f"localhost:{peer.port}", "/bad", take=taken.append) == (500, b"no")
    assert b"".join(taken) == b"hello", "an error is no piece of the answer"


async def test_who_takes_may_have_enough(world: World) -> None:
    peer = await world.serve("localhost")

    def refuse(_: bytes) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await world.ask(f"localhost:{peer.port}", take=refuse)
    assert (await world.ask(f"localhost:{peer.port}"))[0] == 200


async def test_an_answer_is_not_read_beyond_its_limit(world: World) -> None:
    peer = await world.serve("localhost")
    peer.answers["/"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"4\r\nmore\r\n" * 1000
    with pytest.raises(OutboundTooLarge):
        await world.ask(f"localhost:{peer.port}", max_bytes=100)
    peer.answers["/gzip"] = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n1"
    with pytest.raises(OutboundFailed, match="compresses"):
        await world.ask(f"localhost:{peer.port}", "/gzip")


async def test_silence_and_dripping_end_in_time(world: World) -> None:
    peer = await world.serve("localhost")
    peer.answers["/silent"] = None
    peer.answers["/dripping"] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n1"
    for target in ("/silent", "/dripping"):
        with pytest.raises(OutboundFailed, match="took longer than 300 ms"):
            await world.ask(f"localhost:{peer.port}", target, timeout_ms=300)


async def test_who_is_not_there_or_speaks_no_http_has_failed(world: World) -> None:
    peer = await world.serve("localhost")
    peer.answers["/"] = b"SSH-2.0\r\n\r\n"
    for name in (f"localhost:{peer.port}", "localhost:1", "nowhere.invalid:1", "no name"):
        with pytest.raises(OutboundFailed):
            await world.ask(name)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "127.1", "[::ffff:127.0.0.1]", "10.0.0.1"])
async def test_addresses_that_are_not_public_are_refused(world: World, name: str) -> None:
    peer = await world.serve("localhost")
    discovery = ServerDiscovery(lambda: 0, world.names.fetch, world.names.look_up)
    cautious = HttpsTransport(discovery, certificates=world.authority.trusting())
    with pytest.raises(OutboundRefused):
        await cautious.send(FederationRequest(destination=ServerName(f"{name}:{peer.port}"), method="GET", target="/"))
    await cautious.close()
    assert peer.connections == 0


async def test_a_well_known_file_may_be_somewhere_else_but_not_without_tls(world: World) -> None:
    peer, other = await world.serve("localhost"), await world.serve("localhost")
    outbound = HttpxOutbound(LOOPBACK, certificates=world.authority.trusting())
    path = "/.well-known/matrix/server"
    peer.answers[path] = (
        f"HTTP/1.1 302 Found\r\nLocation: https://localhost:{other.port}/here\r\nContent-Length: 0\r\n\r\n".encode()
    )
    assert (await fetch_well_known(outbound, f"localhost:{peer.port}")).body == b"hello"
    peer.answers[path] = f"HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\n\r\n".encode()
    with pytest.raises(OutboundFailed, match="redirects more than"):
        await fetch_well_known(outbound, f"localhost:{peer.port}")
    plain = http_peer.Peer()
    await plain.start()
    peer.answers[path] = f"HTTP/1.1 302 Found\r\nLocation: {plain.url()}\r\nContent-Length: 0\r\n\r\n".encode()
    with pytest.raises(OutboundFailed, match="vouches"):
        await fetch_well_known(outbound, f"localhost:{peer.port}")
    plain.close()
    await outbound.close()


def test_srv_records_come_by_priority_and_by_lot_within_one() -> None:
    records = [(2, 0, "last.test.", 3), (1, 10, "light.test.", 1), (1, 30, "heavy.test.", 2), (1, 5, ".", 1)]
    drawn = [order_records(records) for _ in range(400)]
    first = [targets[0].host for targets in drawn]
    assert first.count("heavy.test") > first.count("light.test") > 0
    assert {targets[2] for targets in drawn} == {Target(host="last.test", port=3)}
    with pytest.raises(OutboundFailed):
        order_records([(0, 0, ".", 0)])
