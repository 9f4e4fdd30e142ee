"""Outbound requests with httpx.

Requests that are `public_only` go to an address that was looked up and checked beforehand, under the URL's name in TLS
and the Host header: a name that resolves differently a moment later changes nothing. They share no connections, since a
pool tells connections apart by their address. Answers are asked for unencoded: the limit counts what they come to.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from typing import Final, TypeAlias

import certifi
import httpx

from tabstead.errors import OutboundFailed, OutboundRefused, OutboundTooLarge
from tabstead.outbound import OutboundRequest, OutboundResponse

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_USER_AGENT: Final = "Tabstead"


class HttpxOutbound:
    """The native server's Outbound. `allowed` networks count as public."""

    def __init__(self, allowed: Sequence[Network] = (), *, certificates: ssl.SSLContext | None = None) -> None:
        context = certificates or _default_certificates()
        self._pooled = httpx.AsyncClient(verify=context, trust_env=False)
        self._checked = httpx.AsyncClient(transport=_PublicTransport(allowed, context), trust_env=False)

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        client = self._checked if request.public_only else self._pooled
        try:
            async with asyncio.timeout(request.timeout_ms / 1000):
                return await _exchange(client, request)
        except TimeoutError as error:
            raise OutboundFailed(f"{_host(request.url)} took longer than {request.timeout_ms} ms.") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise OutboundFailed(f"{_host(request.url)} can't be asked: {error}") from error

    async def close(self) -> None:
        await self._pooled.aclose()
        await self._checked.aclose()


class _PublicTransport(httpx.AsyncBaseTransport):
    """Connects to checked addresses alone."""

    def __init__(self, allowed: Sequence[Network], certificates: ssl.SSLContext) -> None:
        self._allowed = allowed
        one_request_each = httpx.Limits(max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(verify=certificates, trust_env=False, limits=one_request_each)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host
        request.extensions = {**request.extensions, "sni_hostname": name}
        request.url = request.url.copy_with(host=str(await self._find_address(name, request.url.port)))
        return await self._inner.handle_async_request(request)

    async def _find_address(self, name: str, port: int | None) -> Address:
        """An address of this name; all that it has must be allowed. Raises OutboundRefused, OutboundFailed."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise OutboundFailed(f"{name} has no address.") from error
        addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
        if not all(self._is_allowed(address) for address in addresses):
            raise OutboundRefused(f"{name} is not at a public address.")
        return addresses[0]

    def _is_allowed(self, address: Address) -> bool:
        return is_public(address) or any(address in network for network in self._allowed)

    async def aclose(self) -> None:
        await self._inner.aclose()


def is_public(address: Address) -> bool:
    """Whether an address is anybody's to reach; of one that wraps an IPv4 address, whether that is."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped:
            return is_public(wrapped)
    return address.is_global and not address.is_multicast


async def _exchange(client: httpx.AsyncClient, request: OutboundRequest) -> OutboundResponse:
    headers = {"user-agent": _USER_AGENT, **request.headers, "accept-encoding": "identity"}
    following: httpx.Request | None = client.build_request(
        request.method, request.url, headers=headers, content=request.body
    )
    for _ in range(request.max_redirects + 1):
        assert following is not None
        asked_for = following.url
        response = await client.send(following, stream=True)
        try:
            following = response.next_request
            if following is None or request.max_redirects == 0:
                return await _read(response, asked_for, request.max_bytes)
        finally:
            await response.aclose()
    raise OutboundFailed(f"{_host(request.url)} redirects more than {request.max_redirects} times.")


async def _read(response: httpx.Response, url: httpx.URL, max_bytes: int) -> OutboundResponse:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise OutboundFailed(f"{url.host} compresses an answer that was asked for uncompressed.")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise OutboundTooLarge(f"{url.host} answers with more than {max_bytes} bytes.")
    return OutboundResponse(
        status=response.status_code,
        url=str(url),
        headers={name.lower(): response.headers[name] for name in response.headers},
        body=bytes(body),
    )


def _host(url: str) -> str:
    """For a sentence: a URL's query may hold secrets."""
    try:
        return httpx.URL(url).host or "This URL"
    except httpx.InvalidURL:
        return "This URL"


def _default_certificates() -> ssl.SSLContext:
    """The system's authorities with those of certifi, for a machine that has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
