"""ASGI: one homeserver as an application for any ASGI server.

A body is collected once, in one growing buffer, up to a limit; what goes beyond it is read and dropped, so that the
client gets to see the refusal. A GET whose client went away is cancelled: nobody waits for its answer any more.
What changes something is never cancelled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from typing import Any, Final, TypeAlias

from tabstead.errors import TooLarge
from tabstead.homeserver import Homeserver
from tabstead.http import Request, Response, json_response

Scope: TypeAlias = Mapping[str, Any]
Message: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

MIN_BODY_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of a body that are accepted even where media may not be that big: key backups and device messages are JSON."""


class _Disconnected(Exception):
    """The client went away before its request was complete."""


class Application:
    """The homeserver as an ASGI application. It speaks HTTP alone."""

    def __init__(self, homeserver: Homeserver) -> None:
        self._homeserver = homeserver
        self._body_limit = max(homeserver.context.configuration.max_upload_bytes, MIN_BODY_LIMIT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _receive_body(receive, self._body_limit)
        except _Disconnected:
            return
        except TooLarge as error:
            response = json_response(error.to_json(), error.status)
        else:
            response = await self._answer(_build_request(scope, body), receive)
        await _send_response(send, response)

    async def _answer(self, request: Request, receive: Receive) -> Response:
        answering = asyncio.ensure_future(self._homeserver.handle(request))
        if request.method != "GET":
            return await answering
        watching = asyncio.ensure_future(_wait_for_disconnect(receive))
        await asyncio.wait((answering, watching), return_when=asyncio.FIRST_COMPLETED)
        (watching if answering.done() else answering).cancel()
        return await answering


async def _live(receive: Receive, send: Send) -> None:
    """Acknowledge the server's start and end; the homeserver lives as long as the process."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _receive_body(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises TooLarge, after at most another `limit` bytes were read and dropped."""
    body = BytesIO()  # getvalue() gives its buffer away without a copy
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            body.write(chunk)
        else:
            body = BytesIO()
        if size > 2 * limit or not message.get("more_body", False):
            break
    if size > limit:
        raise TooLarge(f"The body is bigger than the {limit} bytes that this server accepts.")
    return body.getvalue()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _build_request(scope: Scope, body: bytes) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    method = scope["method"]
    client = scope.get("client")
    return Request(
        method="GET" if method == "HEAD" else method,  # the server leaves the body out
        path=scope["raw_path"].decode("ascii"),
        query_string=scope["query_string"].decode("ascii"),
        headers=headers,
        body=body,
        client_address=client[0] if client else "",
    )


async def _send_response(send: Send, response: Response) -> None:
    headers = {"content-length": str(len(response.body)), **response.headers}
    if response.status == 204:
        del headers["content-length"]
    raw_headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": raw_headers})
    await send({"type": "http.response.body", "body": response.body})
