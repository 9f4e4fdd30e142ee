"""Rooms as those see them who are not in them yet: spaces and previews. Client-Server API, § Spaces."""

from typing import Final

from tabstead.client_api.call import Access, Call
from tabstead.client_api.rate_limits import LOOKING_UP
from tabstead.client_api.routes import Routes
from tabstead.errors import InvalidParam, NotFound
from tabstead.http import Response, json_response
from tabstead.protocol.identifiers import parse_room_id
from tabstead.rooms.aliases import resolve_alias
from tabstead.rooms.hierarchy import HierarchyQuery, walk_hierarchy
from tabstead.rooms.membership import membership_of
from tabstead.rooms.summary import may_preview, summarise_room
from tabstead.storage.database import Db
from tabstead.storage.rooms import find_room

routes = Routes()

DEFAULT_ROOMS: Final = 50
MAX_ROOMS: Final = 100
MAX_DEPTH: Final = 50


@routes.read("GET", "/_matrix/client/v1/rooms/{roomId}/hierarchy")
def get_hierarchy(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v1/rooms/{roomId}/hierarchy. § Discovering rooms within spaces."""
    limit, max_depth = call.query.integer("limit", DEFAULT_ROOMS), call.query.integer("max_depth", MAX_DEPTH)
    if limit <= 0 or max_depth < 0:
        raise InvalidParam("'limit' must be greater than zero, and 'max_depth' not negative.")
    query = HierarchyQuery(
        limit=min(limit, MAX_ROOMS),
        max_depth=min(max_depth, MAX_DEPTH),
        suggested_only=call.query.boolean("suggested_only"),
    )
    root = find_room(db, call.parameter("roomId"))
    page = walk_hierarchy(db, root, call.user_id, query=query, token=call.query.get("from"))
    return json_response({"rooms": page.rooms, **({} if page.next_batch is None else {"next_batch": page.next_batch})})


@routes.read(
    "GET",
    "/_matrix/client/v1/room_summary/{roomIdOrAlias}",
    "/_matrix/client/unstable/im.nheko.summary/summary/{roomIdOrAlias}",
    access=Access.OPTIONAL,
    limit=LOOKING_UP,
)
def get_room_summary(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v1/room_summary/{roomIdOrAlias}. § Room membership."""
    named = call.parameter("roomIdOrAlias")
    server = call.context.local_server
    room = find_room(db, resolve_alias(db, server, named) if named.startswith("#") else parse_room_id(named))
    user_id = None if call.optional_requester is None else call.user_id
    if room is None or not may_preview(db, room, user_id):
        raise NotFound("Room not found.")
    summary = summarise_room(db, room)
    if user_id is not None:
        summary["membership"] = membership_of(db, room, user_id) or "leave"
    return json_response(summary)
