"""Servers that federate with each other in one process, over a network whose links the test can cut.

    network = Network()
    left = await network.open(tmp_path, "left.test")
    right = await network.open(tmp_path, "right.test")

A request goes through the other server's `Homeserver.handle`, signatures and all; only HTTP and TLS are left out. Every
answer is validated against the specification's schema for it, where that lies beside the repository.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from helpers.homeserver import TestServer
from helpers.server_server_api import check
from tabstead.errors import OutboundFailed
from tabstead.federation.transport import FederationRequest, FederationResponse
from tabstead.http import Request

Interceptor: TypeAlias = Callable[[str, FederationRequest], Awaitable[FederationResponse | None]]
"""Given who asks, and what."""


@dataclass
class Network:
    """Who can reach whom."""

    servers: dict[str, TestServer] = field(default_factory=dict)
    cuts: set[frozenset[str]] = field(default_factory=set)
    requests: list[tuple[str, FederationRequest]] = field(default_factory=list)
    """Who asked, and what, in order."""
    interceptors: list[Interceptor] = field(default_factory=list)
    """What may answer in a server's place, or let an answer wait: the first that returns one."""

    async def open(self, folder: Path, name: str, **configuration: Any) -> TestServer:
        """Start a server on this network."""
        server = await TestServer.open(folder, name, transport=Link(network=self, origin=name), **configuration)
        self.servers[name] = server
        return server

    def cut(self, one: str, other: str) -> None:
        self.cuts.add(frozenset((one, other)))

    def mend(self, one: str, other: str) -> None:
        self.cuts.discard(frozenset((one, other)))

    async def settle(self) -> None:
        """Let the servers tell each other what they have to tell, and fetch what they miss, until all is quiet."""
        asked = -1
        while asked != len(self.requests):
            asked = len(self.requests)
            for server in self.servers.values():
                federation = server.homeserver.context.federation
                assert federation is not None
                for follower in federation.build_followers():
                    await follower.work()
                await federation.sending.finish()
                await federation.inbound.settled()

    async def close(self) -> None:
        for server in self.servers.values():
            await server.close()


@dataclass(frozen=True)
class Link:
    """One server's way into the network: its transport."""

    network: Network
    origin: str

    async def send(self, request: FederationRequest) -> FederationResponse:
        self.network.requests.append((self.origin, request))
        peer = self.network.servers.get(request.destination)
        if peer is None or frozenset((self.origin, request.destination)) in self.network.cuts:
            raise OutboundFailed(f"{request.destination} can't be reached.")
        for intercept in self.network.interceptors:
            forged = await intercept(self.origin, request)
            if forged is not None:
                return forged
        path, _, query = request.target.partition("?")
        asked = Request(
            method=request.method,
            path=path,
            query_string=query,
            headers=dict(request.headers),
            body=request.body or b"",
            client_address=self.origin,
        )
        answer = await peer.homeserver.handle(asked)
        check(asked, answer)
        body = answer.body
        if request.take is not None and 200 <= answer.status < 300:
            for start in range(0, len(body), 1000):
                request.take(body[start : start + 1000])
            body = b""
        return FederationResponse(status=answer.status, headers=answer.headers, body=body)

    async def close(self) -> None:
        pass
