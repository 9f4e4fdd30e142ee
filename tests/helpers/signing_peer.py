"""A homeserver that a test plays itself, over real TLS: a name, a signing key, and what the test lays there as answers.

    peer = SigningPeer(authority)
    await peer.start()
    peer.answer("GET", "/_matrix/federation/v1/query/profile", {"displayname": "Eve"})
    answer = await peer.ask(server, "GET", "/_matrix/federation/v1/version")       # signed, over TLS
    answer = await peer.ask(server, "PUT", path, content, key=forged)              # or wrongly so
    await peer.stop()

Its keys are published as those of any server; what nobody laid there is answered with 404 M_UNRECOGNIZED.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx
from hypercorn.asyncio import serve
from hypercorn.config import Config

from helpers.authority import Authority
from helpers.federated_servers import FederatedServer
from helpers.homeserver import Answer
from helpers.ports import free_port
from tabstead.http import Request
from tabstead.protocol.canonical_json import encode_canonical_json
from tabstead.protocol.request_auth import SignedRequest, encode_authorization
from tabstead.protocol.signatures import SigningKey, sign_json

Json = dict[str, Any]
Reply = tuple[int, Any]


@dataclass(frozen=True)
class Heard:
    """A request that came to the peer."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class SigningPeer:
    def __init__(self, authority: Authority) -> None:
        self.port = free_port()
        self.name = f"localhost:{self.port}"
        self.key = SigningKey(key_id="ed25519:peer", seed=b"\7" * 32)
        self.heard: list[Heard] = []
        self._authority = authority
        self._replies: dict[tuple[str, str], Callable[[Heard], Reply]] = {}
        self._replies_below: list[tuple[str, str, Callable[[Heard], Reply]]] = []
        self._end = asyncio.Event()
        self._trust: ssl.SSLContext = authority.trusting()
        self.answer_with("GET", "/_matrix/key/v2/server", lambda _: (200, self.published_keys()))

    def answer(self, method: str, path: str, content: Any, status: int = 200) -> None:
        """Answer a path, given decoded and without a query, with this JSON."""
        self.answer_with(method, path, lambda _: (status, content))

    def answer_with(self, method: str, path: str, reply: Callable[[Heard], Reply]) -> None:
        self._replies[method, path] = reply

    def answer_below(self, method: str, path: str, reply: Callable[[Heard], Reply]) -> None:
        """The same for all paths that begin with this one."""
        self._replies_below.append((method, path, reply))

    def published_keys(self, **changes: Any) -> Json:
        """A `/key/v2/server` response, signed, with some of it changed before."""
        keys = {
            "server_name": self.name,
            "valid_until_ts": int(time.time() * 1000) + 3_600_000,
            "verify_keys": {self.key.key_id: {"key": self.key.verify_key.encode()}},
            "old_verify_keys": {},
        }
        return sign_json({**keys, **changes}, self.name, self.key)

    async def ask(
        self,
        server: FederatedServer,
        method: str,
        target: str,
        content: Any = None,
        *,
        key: SigningKey | None = None,
        is_signed: bool = True,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """What the server answers; the target is percent-encoded. `body` is sent in place of the content."""
        signed = SignedRequest(method=method, uri=target, content=content)
        sent = {} if content is None else {"content-type": "application/json"}
        if is_signed:
            sent["authorization"] = encode_authorization(signed, self.name, server.name, key or self.key)
        raw = body if body is not None else b"" if content is None else encode_canonical_json(content)
        path, _, query = target.partition("?")
        return await server.handle(
            Request(method=method, path=path, query_string=query, headers={**sent, **(headers or {})}, body=raw)
        )

    async def start(self) -> None:
        """Serve, from when this returns."""
        issued = self._authority.issue("localhost")
        config = Config()
        config.loglevel = "WARNING"
        config.bind = [f"127.0.0.1:{self.port}"]
        config.certfile, config.keyfile = str(issued.certificate), str(issued.key)
        config.graceful_timeout = 0.1
        self._serving = asyncio.ensure_future(serve(self._application, config, shutdown_trigger=self._end.wait))  # type: ignore[arg-type]
        async with httpx.AsyncClient(verify=self._trust, trust_env=False) as client:
            while True:
                try:
                    await client.get(f"https://{self.name}/")
                    break
                except httpx.ConnectError:
                    assert not self._serving.done(), self._serving.exception()
                    await asyncio.sleep(0.02)
        self.heard.clear()

    async def stop(self) -> None:
        self._end.set()
        await self._serving

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            while scope["type"] == "lifespan":
                kind = (await receive())["type"]
                await send({"type": f"{kind}.complete"})
                if kind == "lifespan.shutdown":
                    return
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        path, query = scope["raw_path"].decode(), scope["query_string"].decode()
        heard = Heard(
            method=scope["method"],
            target=f"{path}?{query}" if query else path,
            headers={name.decode().lower(): value.decode() for name, value in scope["headers"]},
            body=body,
        )
        self.heard.append(heard)
        status, content = self._find_reply(heard.method, unquote(path))(heard)
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        given = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(raw)).encode()),
            (b"connection", b"close"),  # so that nothing is left to wait for in the end
        ]
        await send({"type": "http.response.start", "status": status, "headers": given})
        await send({"type": "http.response.body", "body": raw})

    def _find_reply(self, method: str, path: str) -> Callable[[Heard], Reply]:
        if (method, path) in self._replies:
            return self._replies[method, path]
        below = (reply for known, start, reply in self._replies_below if known == method and path.startswith(start))
        return next(below, lambda _: (404, {"errcode": "M_UNRECOGNIZED", "error": "Nothing is here."}))
