"""A network between servers in one process that does to requests what networks do.

A request is late, is lost, arrives twice, or arrives while its answer is lost; two servers can be cut off from each
other; a server can be killed in the middle of anything and started again on its database. All of it is drawn from one
random generator, and the time is the event loop's: the same seed is the same story.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from helpers.homeserver import Clock, TestServer
from tabstead.configuration import Configuration, RateLimits
from tabstead.errors import OutboundFailed
from tabstead.federation.transport import FederationRequest, FederationResponse
from tabstead.http import Request

_BEGINNING_MS: Final = 1_700_000_000_000


@dataclass
class LoopClock(Clock):
    """The event loop's time; two looks may see the same."""

    def __call__(self) -> int:
        self.now = _BEGINNING_MS + int(asyncio.get_running_loop().time() * 1000)
        return self.now


@dataclass
class RoughNetwork:
    """Three servers or more, and what stands between them."""

    random: Random
    roughness: float = 0.0
    """How likely it is that something happens to a request. 0: all arrive, at once."""
    servers: dict[str, "RoughServer"] = field(default_factory=dict)
    cuts: set[frozenset[str]] = field(default_factory=set)

    async def open(self, folder: Path, name: str) -> "RoughServer":
        """Start a server on this network."""
        configuration = Configuration(
            server_name=name, base_url=f"https://{name}", rate_limits=RateLimits(enabled=False)
        )
        server = RoughServer(folder / f"{name}.sqlite", configuration, LoopClock())
        server.validates = False
        server.transport = _Line(network=self, origin=name)
        self.servers[name] = server
        await server.start()
        return server

    async def close(self) -> None:
        for server in self.servers.values():
            await server.end()

    def can_reach(self, one: str, other: str) -> bool:
        return frozenset((one, other)) not in self.cuts and self.servers[other].is_running

    def happens(self, share: float = 1.0) -> bool:
        return self.random.random() < self.roughness * share


class RoughServer(TestServer):
    """A homeserver with all that it does by itself, which can be killed."""

    is_running = False
    kills = 0

    async def start(self) -> None:
        await super().start()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.is_running = True
        self.spawn(self.homeserver.follow())

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Let something go on until the server is killed."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def kill(self) -> None:
        """End it in the middle of whatever it does. What has not been committed is gone."""
        self.is_running = False
        self.kills += 1
        engine: Any = self.homeserver.context.database._engine
        engine.closed = True
        engine._waiting.clear()
        engine.db.close()
        await self._cancel_all()

    async def end(self) -> None:
        """Close it in order, if it runs."""
        if not self.is_running:
            return
        self.is_running = False
        self.homeserver.drain()
        await self._cancel_all()
        await self.close()

    async def _cancel_all(self) -> None:
        federation = self.homeserver.context.federation
        if federation is not None:
            with suppress(Exception):
                await federation.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True)
class _Line:
    """One server's way into the network: its transport."""

    network: RoughNetwork
    origin: str

    async def send(self, request: FederationRequest) -> FederationResponse:
        network, destination = self.network, request.destination
        if destination not in network.servers or not network.can_reach(self.origin, destination):
            await asyncio.sleep(1)
            raise OutboundFailed(f"{destination} can't be reached.")
        if network.happens():
            await asyncio.sleep(network.random.uniform(0, 5))
        if network.happens(0.3):
            raise OutboundFailed("The request was lost.")
        if network.happens(0.3):
            network.servers[destination].spawn(self._arrive_late(request))
        answer = await self._arrive(request)
        if network.happens(0.3):
            raise OutboundFailed("The answer was lost.")
        if not network.can_reach(self.origin, destination):
            raise OutboundFailed("The connection broke.")
        return answer

    async def close(self) -> None:
        pass

    async def _arrive_late(self, request: FederationRequest) -> None:
        """The same request once more, whose answer nobody hears."""
        await asyncio.sleep(self.network.random.uniform(1, 60))
        if self.network.can_reach(self.origin, request.destination):
            await self._handle(request)

    async def _arrive(self, request: FederationRequest) -> FederationResponse:
        server = self.network.servers[request.destination]
        if not server.is_running:
            raise OutboundFailed("The server was killed.")
        handling = server.spawn(self._handle(request))
        await asyncio.wait([handling])
        if handling.cancelled():
            raise OutboundFailed("The server was killed.")
        status, headers, body = handling.result()
        if request.take is not None and status == 200:
            request.take(body)
            body = b""
        return FederationResponse(status=status, headers=headers, body=body)

    async def _handle(self, request: FederationRequest) -> tuple[int, Any, bytes]:
        path, _, query = request.target.partition("?")
        answer = await self.network.servers[request.destination].homeserver.handle(
            Request(
                method=request.method,
                path=path,
                query_string=query,
                headers=dict(request.headers),
                body=request.body or b"",
                client_address=self.origin,
            )
        )
        return answer.status, answer.headers, answer.body
