"""HTTP requests that the homeserver itself makes: to push gateways, OpenID providers, pages that are previewed.

A port: the core knows this Protocol, the edges implement it (httpx in `tabstead.native`, fetch in the worker). Whoever
asks says how long it may take and how big the answer may be; an answer of any status is an answer, and everything else
is an `OutboundFailed`. No proxy, cookie, cache or stored credential takes part.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRequest:
    """One exchange. `url` is an absolute http or https URL."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout_ms: int = 10_000
    """For all of it: connecting, redirects, the whole answer."""
    max_bytes: int = 1024 * 1024
    """A bigger body fails."""
    max_redirects: int = 0
    """So many are followed; one more fails. With 0 the redirect itself is the answer (in a browser: a failure)."""
    public_only: bool = False
    """Refuse addresses that are not public: for URLs that somebody else chose. Each redirect is checked again, and the
    connection goes to the address that was checked. A browser can't look at addresses; there CORS takes this place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundResponse:
    """What the other server said, whatever its status."""

    status: int
    url: str
    """Where redirects have led."""
    headers: Mapping[str, str]
    """Names in lower case; of a repeated one the values joined by commas."""
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Outbound(Protocol):
    """Makes requests to other servers."""

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """The answer. Raises OutboundFailed; OutboundRefused of an address that is not allowed, OutboundTooLarge."""
        ...

    async def close(self) -> None:
        """Let go of connections that are kept open."""
        ...
