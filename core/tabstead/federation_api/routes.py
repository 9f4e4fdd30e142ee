"""How an endpoint is declared, and how another server's request reaches it.

A transactional endpoint is a synchronous function of a call and `db`, run in one transaction, which may run more than
once. A waiting endpoint is a coroutine that opens its own short transactions. Both know who asks: the signature is
checked before, outside of any transaction, since the key may have to be fetched.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

from tabstead.errors import TooLarge
from tabstead.federation_api.call import FederationCall, FederationContext, authenticate
from tabstead.http import Request, Response, Router
from tabstead.storage.database import Db

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""It is parsed before it is known who sent it. The biggest are transactions: 50 events and 100 EDUs of 64 KiB each."""

TransactionalEndpoint: TypeAlias = Callable[[FederationCall, Db], Response]
WaitingEndpoint: TypeAlias = Callable[[FederationCall], Awaitable[Response]]


class Route(Protocol):
    """What a router holds."""

    @property
    def is_signed(self) -> bool: ...

    async def answer(self, call: FederationCall) -> Response: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRoute:
    endpoint: TransactionalEndpoint
    is_signed: bool

    async def answer(self, call: FederationCall) -> Response:
        return await call.federation.read(lambda db: self.endpoint(call, db))


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRoute:
    endpoint: TransactionalEndpoint
    is_signed: bool

    async def answer(self, call: FederationCall) -> Response:
        return await call.federation.write(lambda db: self.endpoint(call, db))


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRoute:
    endpoint: WaitingEndpoint
    is_signed: bool

    async def answer(self, call: FederationCall) -> Response:
        return await self.endpoint(call)


class Routes:
    """A module's endpoints. All demand the asking server's signature unless they say `is_signed=False`."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, Route]] = []

    def read(
        self, method: str, *paths: str, is_signed: bool = True
    ) -> Callable[[TransactionalEndpoint], TransactionalEndpoint]:
        """Declare an endpoint that only reads."""

        def declare(endpoint: TransactionalEndpoint) -> TransactionalEndpoint:
            self._add(method, paths, ReadRoute(endpoint=endpoint, is_signed=is_signed))
            return endpoint

        return declare

    def write(
        self, method: str, *paths: str, is_signed: bool = True
    ) -> Callable[[TransactionalEndpoint], TransactionalEndpoint]:
        """Declare an endpoint that changes something. Who asks may ask again: it is safe to repeat."""

        def declare(endpoint: TransactionalEndpoint) -> TransactionalEndpoint:
            self._add(method, paths, WriteRoute(endpoint=endpoint, is_signed=is_signed))
            return endpoint

        return declare

    def waiting(self, method: str, *paths: str, is_signed: bool = True) -> Callable[[WaitingEndpoint], WaitingEndpoint]:
        """Declare an endpoint that waits for something, or works outside of a transaction."""

        def declare(endpoint: WaitingEndpoint) -> WaitingEndpoint:
            self._add(method, paths, WaitingRoute(endpoint=endpoint, is_signed=is_signed))
            return endpoint

        return declare

    def _add(self, method: str, paths: tuple[str, ...], route: Route) -> None:
        for path in paths:
            self.entries.append((method, path, route))


def build_router(*modules: Routes) -> Router[Route]:
    """One router of all modules' endpoints."""
    router: Router[Route] = Router()
    for routes in modules:
        for method, path, route in routes.entries:
            router.add(method, path, route)
    return router


async def answer_with(router: Router[Route], context: FederationContext, request: Request) -> Response:
    """Answer a request with the endpoint that the router has for it. Raises MatrixError."""
    match = router.match(request.method, request.path)
    if len(request.body) > MAX_BODY_BYTES:
        raise TooLarge(f"Another server's request may have {MAX_BODY_BYTES} bytes.")
    routed = replace(request, path_parameters=match.parameters)
    origin = await authenticate(context, routed) if match.endpoint.is_signed else None
    return await match.endpoint.answer(FederationCall(context=context, request=routed, _origin=origin))
