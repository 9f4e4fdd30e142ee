"""Outbound requests made by the worker's fetch (service_worker/outbound.js)."""

import json
from collections.abc import Awaitable
from typing import Any, Final, Protocol

from pyodide.ffi import JsException, to_js

from tabstead.errors import OutboundFailed, OutboundTooLarge
from tabstead.outbound import OutboundRequest, OutboundResponse

_TOO_LARGE: Final = "Too large"


class Fetch(Protocol):
    """service_worker/outbound.js."""

    def send(  # noqa: PLR0917
        self, method: str, url: str, headers: str, body: Any, timeout_ms: int, max_bytes: int, follow: bool, /
    ) -> Awaitable[Any]: ...


class FetchOutbound:
    """A `tabstead.outbound.Outbound`. How often redirects are followed is the browser's choice."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        try:
            answer = await self._fetch.send(
                request.method,
                request.url,
                json.dumps(dict(request.headers)),
                None if request.body is None else to_js(request.body),
                request.timeout_ms,
                request.max_bytes,
                request.max_redirects > 0,
            )
        except JsException as error:
            kind = OutboundTooLarge if error.message.startswith(_TOO_LARGE) else OutboundFailed
            raise kind(f"The browser could not ask this server, or may not: {error.message}") from error
        return OutboundResponse(
            status=answer.status, url=answer.url, headers=json.loads(answer.headers), body=answer.body.to_bytes()
        )

    async def close(self) -> None:
        """Nothing is kept open."""
