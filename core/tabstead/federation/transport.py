"""How requests reach other servers.

A port: the core knows this Protocol, the edges implement it. HTTPS finds the server behind a name by the rules of
server discovery; other ways have rules of their own. An answer of any status is an answer; everything else is an
OutboundFailed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tabstead.protocol.identifiers import ServerName


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationRequest:
    """One exchange with a server."""

    destination: ServerName
    method: str
    target: str
    """The path, percent-encoded, with the query: as it is signed."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout_ms: int = 30_000
    """For all of it: finding the server, connecting, the whole answer."""
    max_bytes: int = 16 * 1024 * 1024
    """A bigger answer fails."""
    take: Callable[[bytes], None] | None = None
    """Given the body of a successful answer piece by piece, as it comes; the answer's `body` is empty then. What it
    raises ends the exchange and reaches the asker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationResponse:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Transport(Protocol):
    """Brings requests to other servers."""

    async def send(self, request: FederationRequest) -> FederationResponse:
        """The answer. Raises OutboundFailed; OutboundRefused of an address that is not allowed, OutboundTooLarge."""
        ...

    async def close(self) -> None:
        """Let go of connections that are kept open."""
        ...
