"""Rooms as those see them who are not in them yet: spaces and previews. Client-Server API, § Spaces."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from tabstead.client_api.call import Access, Call
from tabstead.client_api.other_servers import elsewhere, may_ask
from tabstead.client_api.rate_limits import LOOKING_UP
from tabstead.client_api.routes import Elsewhere, Routes
from tabstead.errors import InvalidParam, NotFound
from tabstead.http import Response, json_response
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import is_server_name, parse_room_alias, parse_room_id
from tabstead.rooms.aliases import resolve_alias
from tabstead.rooms.hierarchy import HierarchyPage, HierarchyQuery, Told, UntoldRooms, find_servers, walk_hierarchy
from tabstead.rooms.membership import membership_of
from tabstead.rooms.summary import is_held, may_preview, may_preview_told, summarise_room
from tabstead.storage.database import Db
from tabstead.storage.rooms import find_room

if TYPE_CHECKING:
    from tabstead.federation.federation import Federation

routes = Routes()

DEFAULT_ROOMS: Final = 50
MAX_ROOMS: Final = 100
MAX_DEPTH: Final = 50


@routes.read("GET", "/_matrix/client/v1/rooms/{roomId}/hierarchy")
def get_hierarchy(call: Call, db: Db) -> Response | Elsewhere:
    """GET /_matrix/client/v1/rooms/{roomId}/hierarchy. § Discovering rooms within spaces."""
    limit, max_depth = call.query.integer("limit", DEFAULT_ROOMS), call.query.integer("max_depth", MAX_DEPTH)
    if limit <= 0 or max_depth < 0:
        raise InvalidParam("'limit' must be greater than zero, and 'max_depth' not negative.")
    query = HierarchyQuery(
        limit=min(limit, MAX_ROOMS),
        max_depth=min(max_depth, MAX_DEPTH),
        suggested_only=call.query.boolean("suggested_only"),
    )
    root_id, token = call.parameter("roomId"), call.query.get("from")
    told: Told | None = None if call.context.federation is None else {}
    page = walk_hierarchy(db, call.context.local_server, root_id, call.user_id, query=query, token=token, told=told)
    if isinstance(page, UntoldRooms):
        return elsewhere(call, partial(_walk_with_others, call, query))
    return _show_page(page)


async def _walk_with_others(call: Call, query: HierarchyQuery, federation: "Federation") -> Response:
    root_id, token = call.parameter("roomId"), call.query.get("from")
    return _show_page(await federation.hierarchy.walk(root_id, call.user_id, query=query, token=token))


def _show_page(page: HierarchyPage) -> Response:
    return json_response({"rooms": page.rooms, **({} if page.next_batch is None else {"next_batch": page.next_batch})})


@routes.read(
    "GET",
    "/_matrix/client/v1/room_summary/{roomIdOrAlias}",
    "/_matrix/client/unstable/im.nheko.summary/summary/{roomIdOrAlias}",
    access=Access.OPTIONAL,
    limit=LOOKING_UP,
)
def get_room_summary(call: Call, db: Db) -> Response | Elsewhere:
    """GET /_matrix/client/v1/room_summary/{roomIdOrAlias}. § Room membership."""
    named, server = call.parameter("roomIdOrAlias"), call.context.local_server
    may_be_elsewhere = call.optional_requester is not None and call.context.federation is not None
    if may_be_elsewhere and named.startswith("#") and may_ask(call, parse_room_alias(named)):
        return elsewhere(call, partial(_summarise_alias, call, named))
    room_id = parse_room_id(resolve_alias(db, server, named) if named.startswith("#") else named)
    room = find_room(db, room_id)
    if may_be_elsewhere and (room is None or not is_held(db, server, room)):
        servers = [*call.query.all("via"), *find_servers(db, server, room_id, call.user_id)]
        return elsewhere(call, partial(_summarise_remotely, call, room_id, servers))
    return _summarise(call, db, room_id)


def _summarise(call: Call, db: Db, room_id: str) -> Response:
    user_id = None if call.optional_requester is None else call.user_id
    room = find_room(db, room_id)
    if room is None or not may_preview(db, room, user_id):
        raise NotFound("Room not found.")
    summary = summarise_room(db, room)
    if user_id is not None:
        summary["membership"] = membership_of(db, room, user_id) or "leave"
    return json_response(summary)


async def _summarise_alias(call: Call, room_alias: str, federation: "Federation") -> Response:
    from tabstead.federation.directory import find_alias_remotely

    found = await find_alias_remotely(federation, room_alias)
    return await _summarise_remotely(call, found.room_id, [*call.query.all("via"), *found.servers], federation)


async def _summarise_remotely(call: Call, room_id: str, servers: Sequence[str], federation: "Federation") -> Response:
    def find_here(db: Db) -> Response | None:
        room = find_room(db, room_id)
        return _summarise(call, db, room_id) if room is not None and is_held(db, federation.server, room) else None

    here = await federation.read(find_here)
    if here is not None:
        return here
    told = await federation.hierarchy.fetch_room(room_id, filter(is_server_name, servers))
    if told is None:
        raise NotFound("Room not found.")
    return await federation.read(lambda db: _show_told(call, db, told.summary))


def _show_told(call: Call, db: Db, summary: JsonDict) -> Response:
    if not may_preview_told(db, summary, call.user_id):
        raise NotFound("Room not found.")
    room = find_room(db, summary["room_id"])
    membership = None if room is None else membership_of(db, room, call.user_id)
    return json_response({**summary, "membership": membership or "leave"})
