"""Where a server is: from its name to the hosts to connect to, and the name that its certificate must have.

The steps of the specification, in its order: an address or a port in the name settles it; else the host of that name is
asked at `/.well-known/matrix/server` whom it delegates to; then SRV records are looked up for whoever it is; else it is
that host itself, at port 8448. The certificate is always that of the name which was settled on before SRV records, and
so is the Host header: what DNS says is not to be believed.

What a well-known file says is kept for as long as HTTP allows, within bounds; that there is none, for an hour at most,
which begins with a minute and doubles from failure to failure. A file that can't be fetched again holds on for two days
after it was fetched. Who looks up SRV records remembers them for as long as DNS allows.
(server-server API, "Server discovery")
"""

import asyncio
import ipaddress
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Final, TypeAlias

from tabstead.errors import MatrixError, OutboundFailed
from tabstead.http import parse_json
from tabstead.protocol.identifiers import is_server_name

DEFAULT_PORT: Final = 8448
WELL_KNOWN_PATH: Final = "/.well-known/matrix/server"
SRV_SERVICES: Final = ("_matrix-fed._tcp", "_matrix._tcp")
"""The second one is deprecated."""

_HOUR_MS: Final = 60 * 60 * 1000
_DEFAULT_VALIDITY_MS: Final = 24 * _HOUR_MS
_MIN_VALIDITY_MS: Final = 5 * 60 * 1000
_MAX_VALIDITY_MS: Final = 48 * _HOUR_MS
_FIRST_FAILURE_MS: Final = 60 * 1000
_MAX_FAILURE_MS: Final = _HOUR_MS
_MAX_KEPT: Final = 10_000
_MAX_TARGETS: Final = 8
_max_age = re.compile(r"(?:^|,)\s*max-age\s*=\s*\"?(\d{1,12})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class WellKnownAnswer:
    """An HTTP answer, after redirects. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A host to connect to: an address, or a name with addresses."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How to reach a server."""

    certificate_name: str
    """Whose certificate the server must show: a host name, or an IP address without brackets."""
    host_header: str
    targets: tuple[Target, ...]
    """To be tried in this order; one of them at least."""


FetchWellKnown: TypeAlias = Callable[[str], Awaitable[WellKnownAnswer]]
"""GET `WELL_KNOWN_PATH` of a host by HTTPS; redirects are followed, to a limit, as is the size limited. Raises
OutboundFailed."""

LookUpSrv: TypeAlias = Callable[[str], Awaitable[Sequence[Target]]]
"""The SRV records of a name, in the order to be tried; none where there are none. Raises OutboundFailed where that
can't be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delegation:
    """What is known of a well-known file."""

    server_name: str | None
    """None: there is none that says anything."""
    until_ms: int
    fetched_ms: int
    failures: int = 0


class ServerDiscovery:
    """Finds servers, and remembers where they are."""

    def __init__(self, now_ms: Callable[[], int], fetch_well_known: FetchWellKnown, look_up_srv: LookUpSrv) -> None:
        self._now_ms = now_ms
        self._fetch_well_known = fetch_well_known
        self._look_up_srv = look_up_srv
        self._delegations: OrderedDict[str, _Delegation] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[_Delegation]] = {}

    async def find_route(self, server_name: str) -> Route:
        """How to reach a server. Raises OutboundFailed."""
        host, port = split_server_name(server_name)
        if port is not None or _is_address(host):
            return _build_route(server_name)  # steps 1 and 2
        delegated = await self._find_delegated(host)
        if delegated is None:
            return await self._find_route_by_srv(host)  # steps 4 to 6
        delegated_host, delegated_port = split_server_name(delegated)
        if delegated_port is not None or _is_address(delegated_host):
            return _build_route(delegated)  # steps 3.1 and 3.2
        return await self._find_route_by_srv(delegated_host)  # steps 3.3 to 3.5

    async def _find_route_by_srv(self, host: str) -> Route:
        for service in SRV_SERVICES:
            targets = await self._look_up_srv(f"{service}.{host}")
            if targets:
                return replace(_build_route(host), targets=tuple(targets[:_MAX_TARGETS]))
        return _build_route(host)

    async def _find_delegated(self, host: str) -> str | None:
        """Step 3: the server name in the host's well-known file. Who asks meanwhile shares the answer."""
        known = self._delegations.get(host)
        if known is not None and known.until_ms > self._now_ms():
            self._delegations.move_to_end(host)
            return known.server_name
        if host not in self._fetching:
            fetching = asyncio.ensure_future(self._fetch_delegation(host, known))
            self._fetching[host] = fetching
            fetching.add_done_callback(lambda _: self._fetching.pop(host, None))
        return (await asyncio.shield(self._fetching[host])).server_name

    async def _fetch_delegation(self, host: str, known: _Delegation | None) -> _Delegation:
        try:
            answer = await self._fetch_well_known(host)
        except OutboundFailed:
            answer = None
        found = self._read(answer, known)
        self._delegations[host] = found
        self._delegations.move_to_end(host)
        if len(self._delegations) > _MAX_KEPT:
            self._delegations.popitem(last=False)
        return found

    def _read(self, answer: WellKnownAnswer | None, known: _Delegation | None) -> _Delegation:
        now_ms = self._now_ms()
        server_name = None if answer is None else _read_well_known(answer)
        if answer is not None and server_name is not None:
            validity_ms = _read_validity(answer.headers, now_ms)
            return _Delegation(server_name=server_name, until_ms=now_ms + validity_ms, fetched_ms=now_ms)
        failures = 0 if known is None else known.failures
        until_ms = now_ms + min(_FIRST_FAILURE_MS << min(failures, 10), _MAX_FAILURE_MS)
        is_passing = answer is None or answer.status >= 500
        if is_passing and known is not None and known.server_name and now_ms < known.fetched_ms + _MAX_VALIDITY_MS:
            return replace(known, until_ms=until_ms, failures=failures + 1)
        return _Delegation(server_name=None, until_ms=until_ms, fetched_ms=now_ms, failures=failures + 1)


def split_server_name(server_name: str) -> tuple[str, int | None]:
    """The host, an IPv6 address without its brackets, and the port if there is one. Raises OutboundFailed."""
    if not is_server_name(server_name):
        raise OutboundFailed(f"{server_name[:80]!r} is not a server name.")
    host, bracket, rest = server_name.rpartition("]")
    if not bracket:
        host, _, port = server_name.partition(":")
    else:
        host, port = host[1:], rest[1:]
        if not _is_address(host):
            raise OutboundFailed(f"{server_name!r} has no address in its brackets.")
    if port and not 0 < int(port) < 65536:
        raise OutboundFailed(f"{server_name!r} has a port that is none.")
    return host, int(port) if port else None


def _build_route(server_name: str) -> Route:
    """The host of that name itself."""
    host, port = split_server_name(server_name)
    target = Target(host=host, port=DEFAULT_PORT if port is None else port)
    return Route(certificate_name=host, host_header=server_name, targets=(target,))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _read_well_known(answer: WellKnownAnswer) -> str | None:
    """The server name in a well-known file, whatever its media type; None if it is not one."""
    if answer.status != 200:
        return None
    try:
        content = parse_json(answer.body)
    except MatrixError:
        return None
    server_name = content.get("m.server") if isinstance(content, dict) else None
    if not isinstance(server_name, str):
        return None
    try:
        split_server_name(server_name)
    except OutboundFailed:
        return None
    return server_name


def _read_validity(headers: Mapping[str, str], now_ms: int) -> int:
    """How long an answer may be kept, in milliseconds."""
    control = headers.get("cache-control", "")
    age = _max_age.search(control)
    if "no-store" in control.lower() or "no-cache" in control.lower():
        validity_ms = 0
    elif age is not None:
        validity_ms = int(age[1]) * 1000
    else:
        validity_ms = _read_expiry(headers.get("expires"), now_ms)
    return max(_MIN_VALIDITY_MS, min(validity_ms, _MAX_VALIDITY_MS))


def _read_expiry(expires: str | None, now_ms: int) -> int:
    if expires is None:
        return _DEFAULT_VALIDITY_MS
    try:
        return int(parsedate_to_datetime(expires).timestamp() * 1000) - now_ms
    except (ValueError, OverflowError):
        return 0  # RFC 9111: what is no date is in the past
