"""Ask other servers: signed requests with JSON in them, and what an answer that is none means."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from tabstead import configuration
from tabstead.errors import MatrixError, OutboundRefused, PeerMisbehaved, PeerRefused
from tabstead.federation.transport import FederationRequest, FederationResponse, Transport
from tabstead.http import parse_json
from tabstead.protocol.canonical_json import JsonDict, encode_canonical_json
from tabstead.protocol.identifiers import ServerName
from tabstead.protocol.request_auth import SignedRequest, encode_authorization
from tabstead.rooms.local_server import LocalServer

JSON_TIMEOUT_MS: Final = 30_000
MAX_JSON_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of a server, whichever it is. `path` is made by `federation_path`."""

    method: str
    path: str
    query: Mapping[str, str | Sequence[str]] | None = None
    content: Any = None
    """JSON; None: no body."""
    timeout_ms: int = JSON_TIMEOUT_MS
    max_bytes: int = MAX_JSON_BYTES
    is_signed: bool = True

    @property
    def target(self) -> str:
        return f"{self.path}?{urlencode(self.query, doseq=True)}" if self.query else self.path


def federation_path(version: str, *segments: str) -> str:
    """`federation_path("v2", "send_join", room_id, event_id)`."""
    return "/".join(("/_matrix/federation", version, *(quote(segment, safe="") for segment in segments)))


class FederationClient:
    """Asks other servers in this server's name."""

    def __init__(self, server: LocalServer, transport: Transport, options: configuration.Federation) -> None:
        self._server = server
        self._transport = transport
        self._options = options

    async def ask(self, destination: ServerName, question: Question) -> JsonDict:
        """The JSON object of a successful answer. Raises PeerRefused, PeerMisbehaved, OutboundFailed."""
        value = await self.ask_any(destination, question)
        if not isinstance(value, dict):
            raise PeerMisbehaved(f"{destination} answers with what is not a JSON object.")
        return value

    async def ask_any(self, destination: ServerName, question: Question) -> Any:
        """The JSON value of a successful answer. Raises as `ask` does."""
        answer = await self.exchange(destination, question)
        try:
            return parse_json(answer.body)
        except MatrixError as error:
            raise PeerMisbehaved(f"{destination} answers with what is not JSON: {error.sentence}") from error

    async def exchange(
        self, destination: ServerName, question: Question, take: Callable[[bytes], None] | None = None
    ) -> FederationResponse:
        """A successful answer, with its body given to `take` as it comes if there is one. Raises as `ask` does."""
        if not self._options.allows(destination):
            raise OutboundRefused(f"This server does not talk with {destination}.")
        headers = {"accept": "application/json"}
        body = None
        if question.content is not None:
            body = encode_canonical_json(question.content)
            headers["content-type"] = "application/json"
        if question.is_signed:
            headers["authorization"] = self._authorization(destination, question)
        answer = await self._transport.send(
            FederationRequest(
                destination=destination,
                method=question.method,
                target=question.target,
                headers=headers,
                body=body,
                timeout_ms=question.timeout_ms,
                max_bytes=question.max_bytes,
                take=take,
            )
        )
        if not answer.is_success:
            raise _refusal(destination, answer)
        return answer

    async def close(self) -> None:
        await self._transport.close()

    def _authorization(self, destination: ServerName, question: Question) -> str:
        signed = SignedRequest(method=question.method, uri=question.target, content=question.content)
        return encode_authorization(signed, self._server.name, destination, self._server.signing_key)


def _refusal(destination: ServerName, answer: FederationResponse) -> PeerRefused:
    """What an error answer says, as far as it says anything."""
    try:
        body = json.loads(answer.body[:65536])
    except (ValueError, RecursionError):
        body = {}
    given = body if isinstance(body, dict) else {}
    errcode, sentence = given.get("errcode"), given.get("error")
    return PeerRefused(
        f"{destination} answers with status {answer.status}.",
        status=answer.status,
        errcode=errcode if isinstance(errcode, str) else "M_UNKNOWN",
        sentence=sentence if isinstance(sentence, str) else "",
        body=given,
    )
