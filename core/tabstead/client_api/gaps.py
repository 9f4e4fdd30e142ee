"""Readers who come to where events are missing: what other servers have of them is fetched, then the answer is given.

The modules that ask are loaded when somebody is asked.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from tabstead.client_api.call import Call
from tabstead.client_api.other_servers import ask_others
from tabstead.client_api.routes import Elsewhere
from tabstead.http import Response
from tabstead.storage.database import Db
from tabstead.storage.gaps import Gap, has_gaps
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import Room

if TYPE_CHECKING:
    from tabstead.federation.federation import Federation

MAX_ASKS: Final = 4
"""Times that others are asked for more before a page ends short."""

GoOn: TypeAlias = Callable[[Db, bool], Response | Elsewhere]
"""Answers after others were asked; told whether they gave anything."""


def may_fill_gaps(call: Call, db: Db, room: Room) -> bool:
    """Whether something is missing in the room, and others would give it."""
    if call.context.federation is None or not has_gaps(db, room.room_nid):
        return False
    return is_server_in(db, room.room_nid, call.context.local_server.name)


def after_filling(call: Call, gap: Gap, go_on: GoOn) -> Elsewhere:
    """What an endpoint returns at a gap: have a page of it filled, then go on."""

    async def ask(federation: "Federation") -> bool:
        from tabstead.federation.backfill import fill_gap

        return await fill_gap(federation, gap)

    return _after(call, ask, go_on)


def after_looking(call: Call, gap: Gap, ts: int, *, forwards: bool, go_on: GoOn) -> Elsewhere:
    """The same where one event of the gap is wanted: the one nearest to a time (ms)."""

    async def ask(federation: "Federation") -> bool:
        from tabstead.federation.backfill import find_event_remotely

        return await find_event_remotely(federation, gap, ts, forwards=forwards)

    return _after(call, ask, go_on)


def _after(call: Call, ask: "Callable[[Federation], Awaitable[bool]]", go_on: GoOn) -> Elsewhere:
    async def ask_and_go_on() -> Response:
        came = await ask_others(call, ask)
        found = await call.context.database.read(lambda db: go_on(db, came))
        return await found.ask() if isinstance(found, Elsewhere) else found

    return Elsewhere(ask=ask_and_go_on)
