"""Requests to other servers over HTTPS, natively.

Each server that is talked with has a pool of connections of its own, under the name that its certificate must have:
connections are used again, and a server that answers slowly holds up nobody else's requests. A pool connects to where
server discovery led, by addresses that were looked up and checked at that moment, so a name that resolves differently
later changes nothing. Pools that were not used for a while are closed.

HTTP/1.1 alone is spoken. A connection that was kept may have been closed by the other side just as it is used again:
then the request is repeated, once, on a new one. That harms nothing, since no request of the server-server API does.
"""

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpcore

from tabstead.errors import OutboundFailed, OutboundTooLarge
from tabstead.federation.server_discovery import (
    WELL_KNOWN_PATH,
    Route,
    ServerDiscovery,
    Target,
    WellKnownAnswer,
)
from tabstead.federation.transport import FederationRequest, FederationResponse
from tabstead.native.allowed_addresses import AllowedAddresses, Network
from tabstead.native.dns_records import DnsRecords
from tabstead.native.httpx_outbound import USER_AGENT, HttpxOutbound, trusted_certificates
from tabstead.outbound import Outbound, OutboundRequest

_CONNECTIONS: Final = 12
"""To one server at a time; more requests wait for one of them."""
_KEPT_CONNECTIONS: Final = 4
_KEPT_SECONDS: Final = 30.0
"""Less than servers commonly keep a connection that is not used."""
_MAX_POOLS: Final = 500
_CONNECT_SECONDS: Final = 10.0
_MAX_ADDRESSES: Final = 4

_WELL_KNOWN_MS: Final = 10_000
_MAX_WELL_KNOWN_BYTES: Final = 50 * 1024
_MAX_WELL_KNOWN_REDIRECTS: Final = 5

_FAILURES: Final = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, ssl.SSLError)


class HttpsTransport:
    """The native server's Transport."""

    def __init__(
        self,
        discovery: ServerDiscovery,
        allowed: Sequence[Network] = (),
        *,
        certificates: ssl.SSLContext,
        outbound: Outbound | None = None,
    ) -> None:
        """`outbound` is closed with the transport."""
        self._discovery = discovery
        self._addresses = AllowedAddresses(allowed)
        self._certificates = certificates
        self._outbound = outbound
        self._pools: OrderedDict[Route, _Pool] = OrderedDict()

    async def send(self, request: FederationRequest) -> FederationResponse:
        try:
            async with asyncio.timeout(request.timeout_ms / 1000):
                route = await self._discovery.find_route(request.destination)
                return await self._send_to(route, request)
        except TimeoutError as error:
            raise OutboundFailed(f"{request.destination} took longer than {request.timeout_ms} ms.") from error
        except _FAILURES as error:
            reason = str(error) or type(error).__name__
            raise OutboundFailed(f"{request.destination} can't be asked: {reason}") from error

    async def close(self) -> None:
        pools = list(self._pools.values())
        self._pools.clear()
        for pool in pools:
            await pool.connections.aclose()
        self._addresses.close()
        if self._outbound is not None:
            await self._outbound.close()

    async def _send_to(self, route: Route, request: FederationRequest) -> FederationResponse:
        await self._close_unused_pools()
        pool = self._pools.get(route)
        if pool is None:
            pool = self._pools[route] = _Pool(route, self._addresses, self._certificates)
        self._pools.move_to_end(route)
        with pool:
            return await pool.exchange(request)

    async def _close_unused_pools(self) -> None:
        """Those that were not used for a while; the longest unused ones while there are too many."""
        now = asyncio.get_running_loop().time()
        unused = [
            route
            for index, (route, pool) in enumerate(self._pools.items())
            if not pool.running and (pool.used + _KEPT_SECONDS < now or index <= len(self._pools) - _MAX_POOLS)
        ]
        for pool in [self._pools.pop(route) for route in unused]:
            await pool.connections.aclose()


class _Pool:
    """The connections to one server; as a context, they are in use."""

    def __init__(self, route: Route, addresses: AllowedAddresses, certificates: ssl.SSLContext) -> None:
        self._route = route
        self.connections = httpcore.AsyncConnectionPool(
            ssl_context=certificates,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_KEPT_CONNECTIONS,
            keepalive_expiry=_KEPT_SECONDS,
            network_backend=_Connector(route.targets, addresses),
        )
        self.running = 0
        self.used = 0.0
        """By the loop's clock."""

    def __enter__(self) -> None:
        self.running += 1

    def __exit__(self, *_: object) -> None:
        self.running -= 1
        self.used = asyncio.get_running_loop().time()

    async def exchange(self, request: FederationRequest) -> FederationResponse:
        attempt = _Attempt()
        try:
            return await self._try(request, attempt)
        except (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError):
            if attempt.is_answered or attempt.is_on_new_connection:
                raise
        return await self._try(request, _Attempt())

    async def _try(self, request: FederationRequest, attempt: "_Attempt") -> FederationResponse:
        url = httpcore.URL(
            scheme="https",
            host=self._route.certificate_name,
            port=self._route.targets[0].port,
            target=request.target,
        )
        own = {"host": self._route.host_header, "user-agent": USER_AGENT, "accept-encoding": "identity"}
        headers: list[tuple[bytes | str, bytes | str]] = [*own.items(), *request.headers.items()]
        # A body that is empty says so: some servers wait for one otherwise.
        content = request.body if request.body is not None or request.method == "GET" else b""
        async with self.connections.stream(
            request.method, url, headers=headers, content=content, extensions={"trace": attempt.note}
        ) as response:
            attempt.is_answered = True
            return await _read(request, response)


class _Attempt:
    """What became of an exchange so far."""

    def __init__(self) -> None:
        self.is_on_new_connection = False
        self.is_answered = False

    async def note(self, step: str, _: Any) -> None:
        if step == "connection.connect_tcp.started":
            self.is_on_new_connection = True


class _Connector(httpcore.AsyncNetworkBackend):
    """Connects to where a route leads, whatever host is named."""

    def __init__(self, targets: Iterable[Target], addresses: AllowedAddresses) -> None:
        self._targets = targets
        self._addresses = addresses
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} is nowhere.")
        for target in self._targets:
            try:
                addresses = await self._addresses.find(target.host, target.port)
            except OutboundFailed as error:
                failure = error
                continue
            for address in addresses[:_MAX_ADDRESSES]:
                try:
                    return await self._inner.connect_tcp(str(address), target.port, timeout=_CONNECT_SECONDS)
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                    failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _read(request: FederationRequest, response: httpcore.Response) -> FederationResponse:
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if headers.get("content-encoding", "identity") != "identity":
        raise OutboundFailed(f"{request.destination} compresses an answer that was asked for uncompressed.")
    body = bytearray()
    take = request.take if request.take is not None and 200 <= response.status < 300 else body.extend
    size = 0
    async with aclosing(response.aiter_stream()) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            size += len(chunk)
            if size > request.max_bytes:
                raise OutboundTooLarge(f"{request.destination} answers with more than {request.max_bytes} bytes.")
            take(chunk)
    return FederationResponse(status=response.status, headers=headers, body=bytes(body))


def build_https_transport(
    now_ms: Callable[[], int], allowed: Sequence[Network] = (), certificate_authorities: Path | None = None
) -> HttpsTransport:
    """With the system's name servers. Raises OSError where the authorities can't be read."""
    certificates = trusted_certificates(certificate_authorities)
    outbound = HttpxOutbound(allowed, certificates=certificates)
    discovery = ServerDiscovery(now_ms, partial(fetch_well_known, outbound), DnsRecords().look_up_srv)
    return HttpsTransport(discovery, allowed, certificates=certificates, outbound=outbound)


async def fetch_well_known(outbound: Outbound, host: str) -> WellKnownAnswer:
    """What a host has at /.well-known/matrix/server. Raises OutboundFailed."""
    answer = await outbound.send(
        OutboundRequest(
            url=f"https://{host}{WELL_KNOWN_PATH}",
            timeout_ms=_WELL_KNOWN_MS,
            max_bytes=_MAX_WELL_KNOWN_BYTES,
            max_redirects=_MAX_WELL_KNOWN_REDIRECTS,
            public_only=True,
        )
    )
    if not answer.url.startswith("https://"):
        raise OutboundFailed(f"{host} redirects to where nobody vouches for the answer.")
    return WellKnownAnswer(status=answer.status, headers=answer.headers, body=answer.body)
