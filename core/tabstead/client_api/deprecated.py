"""What the first clients ask, before /sync: deprecated since r0, and still there. Client-Server API, § Syncing.

`/events` and `/initialSync` with what belongs to them; peeking into a room that one isn't in works by them alone.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from tabstead.client_api.call import Access, Call
from tabstead.client_api.room_history import query_token, show_events
from tabstead.client_api.room_state import reader_of, view_of
from tabstead.client_api.routes import Routes
from tabstead.errors import InvalidParam, NotFound
from tabstead.http import Response, json_response
from tabstead.protocol.identifiers import parse_room_id
from tabstead.rooms.history_visibility import HistoryVisibility, find_view, get_view
from tabstead.storage.database import Db
from tabstead.storage.events import find_event
from tabstead.storage.positions import select_position
from tabstead.storage.rooms import find_room, get_room
from tabstead.streams.tokens import encode_timeline_token
from tabstead.sync.event_stream import (
    EventPage,
    build_initial_sync,
    build_room_info,
    read_event_page,
    read_room_page,
)

routes = Routes()

_DEFAULT_LIMIT: Final = 10
_MAX_LIMIT: Final = 100
_MAX_TIMEOUT_MS: Final = 60_000


@routes.waiting("GET", "/_matrix/client/v3/events")
async def get_events(call: Call) -> Response:
    """GET /_matrix/client/v3/events. § Syncing; with `room_id` § Room Previews: of a room that one may peek into."""
    room_id = parse_room_id(call.query["room_id"]) if "room_id" in call.query else None
    after = await call.context.database.read(lambda db: _start(call, db))

    def look(db: Db) -> EventPage:
        Call.authenticated(call.context, call.request, db, Access.GUEST)  # also of who was logged out meanwhile
        if room_id is None:
            return read_event_page(db, call.user_id, after=after)
        view = get_view(db, find_room(db, room_id), call.user_id)
        return read_room_page(db, view, call.user_id, after=after)

    page = await _wait_for_events(call, look)
    shown = await call.context.database.read(lambda db: show_events(call, db, page.events))
    return json_response(
        {"start": encode_timeline_token(after), "end": encode_timeline_token(page.end), "chunk": shown}
    )


@routes.read("GET", "/_matrix/client/v3/events/{eventId}")
def get_one_event(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/events/{eventId}. § Getting events for a room."""
    event = find_event(db, call.parameter("eventId"))
    view = None if event is None else find_view(db, get_room(db, event.room_nid), call.user_id)
    if event is None or view is None or not HistoryVisibility(db, view.room, call.user_id).may_see(event):
        raise NotFound("Event not found.")
    return json_response(show_events(call, db, [event])[0])


@routes.read("GET", "/_matrix/client/v3/initialSync")
def get_initial_sync(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/initialSync. § Syncing."""
    archived = call.query.boolean("archived")
    return json_response(
        build_initial_sync(db, reader_of(call), limit=_limit(call), archived=archived, now_ms=call.now_ms)
    )


@routes.read("GET", "/_matrix/client/v3/rooms/{roomId}/initialSync")
def get_room_initial_sync(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/rooms/{roomId}/initialSync. § Room Previews."""
    return json_response(
        build_room_info(db, view_of(call, db), reader_of(call), limit=_limit(call), now_ms=call.now_ms)
    )


def _start(call: Call, db: Db) -> int:
    """The position that the caller knows the rooms up to: without a token, the newest. Raises InvalidParam."""
    newest = select_position(db)
    start = query_token(call, "from")
    if start is not None and start > newest:
        raise InvalidParam("This token comes from another time of this server.")
    return newest if start is None else start


async def _wait_for_events(call: Call, look: Callable[[Db], EventPage]) -> EventPage:
    """Look until there are events, or the time is up. Without a `timeout` nobody waits."""
    loop, notifier = asyncio.get_running_loop(), call.context.notifier
    cap_ms = call.context.configuration.sync_timeout_cap_ms or _MAX_TIMEOUT_MS
    deadline = loop.time() + min(max(call.query.integer("timeout", 0), 0), cap_ms) / 1000
    while True:
        seen = notifier.position
        page = await call.context.database.read(look)
        wait_ms = int((deadline - loop.time()) * 1000)
        if page.events or wait_ms <= 0:
            return page
        if notifier.position == seen and not await notifier.wait(wait_ms):
            return page


def _limit(call: Call) -> int:
    limit = call.query.integer("limit", _DEFAULT_LIMIT)
    if limit < 0:
        raise InvalidParam("'limit' must not be negative.")
    return min(limit, _MAX_LIMIT)
