"""Outbound requests with httpx.

Requests that are `public_only` go to an address that was looked up and checked beforehand, under the URL's name in TLS
and the Host header: a name that resolves differently a moment later changes nothing. They share no connections, since a
pool tells connections apart by their address. Answers are asked for unencoded: the limit counts what they come to.
"""

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import certifi
import httpx

from tabstead.errors import OutboundFailed, OutboundTooLarge
from tabstead.native.allowed_addresses import AllowedAddresses, Network
from tabstead.outbound import OutboundRequest, OutboundResponse

USER_AGENT: Final = "Tabstead"


class HttpxOutbound:
    """The native server's Outbound. `allowed` networks count as public."""

    def __init__(self, allowed: Sequence[Network] = (), *, certificates: ssl.SSLContext | None = None) -> None:
        context = certificates or trusted_certificates()
        self._addresses = AllowedAddresses(allowed)
        self._pooled = httpx.AsyncClient(verify=context, trust_env=False)
        self._checked = httpx.AsyncClient(transport=_PublicTransport(self._addresses, context), trust_env=False)

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
        self._addresses.close()


class _PublicTransport(httpx.AsyncBaseTransport):
    """Connects to checked addresses alone."""

    def __init__(self, addresses: AllowedAddresses, certificates: ssl.SSLContext) -> None:
        self._addresses = addresses
        one_request_each = httpx.Limits(max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(verify=certificates, trust_env=False, limits=one_request_each)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host
        address, *_ = await self._addresses.find(name, request.url.port)
        connecting = httpx.Request(
            request.method,
            request.url.copy_with(host=str(address)),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": name},
        )
        return await self._inner.handle_async_request(connecting)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _exchange(client: httpx.AsyncClient, request: OutboundRequest) -> OutboundResponse:
    headers = {"user-agent": USER_AGENT, **request.headers, "accept-encoding": "identity"}
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


def trusted_certificates(authorities: Path | None = None) -> ssl.SSLContext:
    """Trust these authorities, in PEM, or else the system's with those of certifi, for a machine that has none."""
    if authorities is not None:
        return ssl.create_default_context(cafile=authorities)
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
