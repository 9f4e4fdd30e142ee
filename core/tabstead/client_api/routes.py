"""How an endpoint is declared, and how a request reaches it.

A transactional endpoint is a synchronous function of a call and `db`: authentication, its work and, for a POST, the
answer kept for a second dispatch happen in one transaction, which may run more than once. It may find that another
server is needed: it returns how to ask there, which happens when the transaction is over; what it wrote is rolled back.
A waiting endpoint is a coroutine that opens its own short transactions.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tabstead.client_api.call import Access, Call, Context
from tabstead.client_api.rate_limits import ASKING, RateLimit
from tabstead.http import Request, Response, Router
from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What a transactional endpoint returns that can't answer by itself: how to ask those who can."""

    ask: Callable[[], Awaitable[Response]]


TransactionalEndpoint: TypeAlias = Callable[[Call, Db], Response | Elsewhere]
WaitingEndpoint: TypeAlias = Callable[[Call], Awaitable[Response]]


class Route(Protocol):
    """What a router holds."""

    async def answer(self, context: Context, request: Request) -> Response: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRoute:
    endpoint: TransactionalEndpoint
    access: Access

    async def answer(self, context: Context, request: Request) -> Response:
        call, found = await context.database.read(lambda db: self._run(context, request, db))
        await _record_first_use(call)
        return await found.ask() if isinstance(found, Elsewhere) else found

    def _run(self, context: Context, request: Request, db: Db) -> tuple[Call, Response | Elsewhere]:
        call = Call.authenticated(context, request, db, self.access)
        return call, self.endpoint(call, db)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRoute:
    endpoint: TransactionalEndpoint
    access: Access

    async def answer(self, context: Context, request: Request) -> Response:
        try:
            return await context.write_once(request, lambda db: self._run(context, request, db))
        except _Turned as turned:
            await _record_first_use(turned.call)
            return await turned.elsewhere.ask()

    def _run(self, context: Context, request: Request, db: Db) -> Response:
        call = Call.authenticated(context, request, db, self.access)
        call.record_use(db)
        found = self.endpoint(call, db)
        if isinstance(found, Elsewhere):
            raise _Turned(call, found)
        return found


async def carry_out(call: Call, work: Callable[[Db], Response | Elsewhere]) -> Response:
    """Go on with a request in a transaction of its own, and elsewhere once more if need be."""

    def run(db: Db) -> Response:
        found = work(db)
        if isinstance(found, Elsewhere):
            raise _Turned(call, found)
        return found

    try:
        return await call.context.write_once(call.request, run)
    except _Turned as turned:
        return await turned.elsewhere.ask()


class _Turned(Exception):
    """Ends a transaction that has nothing to keep, since the answer is elsewhere."""

    def __init__(self, call: Call, elsewhere: Elsewhere) -> None:
        super().__init__()
        self.call = call
        self.elsewhere = elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRoute:
    endpoint: WaitingEndpoint
    access: Access

    async def answer(self, context: Context, request: Request) -> Response:
        call = await context.database.read(lambda db: Call.authenticated(context, request, db, self.access))
        await _record_first_use(call)
        return await self.endpoint(call)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedRoute:
    """A route that may be called only so often."""

    route: Route
    limit: RateLimit

    async def answer(self, context: Context, request: Request) -> Response:
        context.rate_limiter.take(self.limit, self.limit.find_caller(request))
        return await self.route.answer(context, request)


async def _record_first_use(call: Call) -> None:
    """The first use of a refreshed token ends the one before it: the only thing that a mere reader changes."""
    requester = call.optional_requester
    if requester is not None and requester.unused_token is not None:
        await call.context.database.write(call.record_use)


class Routes:
    """A module's endpoints. `/v3/` stands for `/r0/` too, since older clients ask there."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, Route]] = []

    def read(
        self, method: str, *paths: str, access: Access = Access.GUEST, limit: RateLimit | None = None
    ) -> Callable[[TransactionalEndpoint], TransactionalEndpoint]:
        """Declare an endpoint that only reads."""

        def declare(endpoint: TransactionalEndpoint) -> TransactionalEndpoint:
            self._add(method, paths, ReadRoute(endpoint=endpoint, access=access), limit)
            return endpoint

        return declare

    def write(
        self, method: str, *paths: str, access: Access = Access.GUEST, limit: RateLimit | None = None
    ) -> Callable[[TransactionalEndpoint], TransactionalEndpoint]:
        """Declare an endpoint that changes something."""

        def declare(endpoint: TransactionalEndpoint) -> TransactionalEndpoint:
            self._add(method, paths, WriteRoute(endpoint=endpoint, access=access), limit)
            return endpoint

        return declare

    def waiting(
        self, method: str, *paths: str, access: Access = Access.GUEST, limit: RateLimit | None = None
    ) -> Callable[[WaitingEndpoint], WaitingEndpoint]:
        """Declare an endpoint that waits for something, or works outside of a transaction."""

        def declare(endpoint: WaitingEndpoint) -> WaitingEndpoint:
            self._add(method, paths, WaitingRoute(endpoint=endpoint, access=access), limit)
            return endpoint

        return declare

    def _add(self, method: str, paths: tuple[str, ...], route: Route, limit: RateLimit | None) -> None:
        route = LimitedRoute(route=route, limit=limit or ASKING)
        for path in paths:
            self.entries.append((method, path, route))
            if "/v3/" in path:
                self.entries.append((method, path.replace("/v3/", "/r0/", 1), route))


def build_router(*modules: Routes) -> Router[Route]:
    """One router of all modules' endpoints."""
    router: Router[Route] = Router()
    for routes in modules:
        for method, path, route in routes.entries:
            router.add(method, path, route)
    return router
