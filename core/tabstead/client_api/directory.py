"""Room aliases and the room directory. Client-Server API, § Room aliases, § Published room directory."""

from functools import partial
from typing import TYPE_CHECKING

from tabstead.accounts.moderation import check_not_suspended
from tabstead.client_api.call import Access, Call
from tabstead.client_api.other_servers import ask_others, elsewhere, may_ask
from tabstead.client_api.rate_limits import LOOKING_UP
from tabstead.client_api.rooms import get_known_room
from tabstead.client_api.routes import Elsewhere, Routes
from tabstead.errors import Forbidden, InvalidParam
from tabstead.http import Response, json_response
from tabstead.protocol.identifiers import ServerName, parse_room_alias, parse_room_id, parse_server_name
from tabstead.rooms.aliases import create_alias, remove_alias, resolve_alias, select_alias_servers
from tabstead.rooms.directory import (
    DirectoryQuery,
    parse_directory_body,
    parse_directory_parameters,
    read_directory,
    set_directory_visibility,
)
from tabstead.rooms.history_visibility import is_world_readable
from tabstead.storage.database import Db
from tabstead.storage.memberships import is_joined
from tabstead.storage.room_aliases import select_aliases
from tabstead.storage.rooms import find_room

if TYPE_CHECKING:
    from tabstead.federation.federation import Federation

routes = Routes()


@routes.write("PUT", "/_matrix/client/v3/directory/room/{roomAlias}", access=Access.USER)
def put_alias(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/directory/room/{roomAlias}. § Room aliases."""
    check_not_suspended(db, call.user_id)
    room_alias = parse_room_alias(call.parameter("roomAlias"))
    room = get_known_room(db, parse_room_id(call.body().string("room_id")))
    create_alias(db, call.context.local_server, room_alias, room, call.user_id)
    return json_response({})


@routes.read("GET", "/_matrix/client/v3/directory/room/{roomAlias}", access=Access.NONE, limit=LOOKING_UP)
def get_alias(call: Call, db: Db) -> Response | Elsewhere:
    """GET /_matrix/client/v3/directory/room/{roomAlias}. § Room aliases."""
    server, room_alias = call.context.local_server, parse_room_alias(call.parameter("roomAlias"))
    if may_ask(call, room_alias):
        return elsewhere(call, partial(_find_alias_remotely, room_alias=room_alias))
    room_id = resolve_alias(db, server, room_alias)
    return json_response({"room_id": room_id, "servers": select_alias_servers(db, server, room_id)})


async def _find_alias_remotely(federation: "Federation", room_alias: str) -> Response:
    from tabstead.federation.directory import find_alias_remotely

    found = await find_alias_remotely(federation, room_alias)
    return json_response({"room_id": found.room_id, "servers": found.servers})


@routes.write("DELETE", "/_matrix/client/v3/directory/room/{roomAlias}", access=Access.USER)
def delete_alias(call: Call, db: Db) -> Response:
    """DELETE /_matrix/client/v3/directory/room/{roomAlias}. § Room aliases."""
    remove_alias(db, call.context.local_server, call.parameter("roomAlias"), call.user_id)
    return json_response({})


@routes.read("GET", "/_matrix/client/v3/rooms/{roomId}/aliases")
def get_aliases(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/rooms/{roomId}/aliases. § Room aliases."""
    room = find_room(db, parse_room_id(call.parameter("roomId")))
    if room is None or not (is_joined(db, call.user_id, room.room_nid) or is_world_readable(db, room)):
        raise Forbidden("You are not a member of the room.")
    return json_response({"aliases": select_aliases(db, room.room_id)})


@routes.read("GET", "/_matrix/client/v3/directory/list/room/{roomId}", access=Access.NONE)
def get_visibility(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/directory/list/room/{roomId}. § Published room directory."""
    room = get_known_room(db, call.parameter("roomId"))
    return json_response({"visibility": "public" if room.is_public else "private"})


@routes.write("PUT", "/_matrix/client/v3/directory/list/room/{roomId}", access=Access.USER)
def put_visibility(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/directory/list/room/{roomId}. § Published room directory."""
    check_not_suspended(db, call.user_id)
    room = get_known_room(db, call.parameter("roomId"))
    visibility = call.request.optional_json_object().string("visibility", "public")
    if visibility not in {"public", "private"}:
        raise InvalidParam("'visibility' must be public or private.")
    set_directory_visibility(db, room, call.user_id, is_public=visibility == "public")
    return json_response({})


@routes.waiting("GET", "/_matrix/client/v3/publicRooms", access=Access.NONE, limit=LOOKING_UP)
async def get_public_rooms(call: Call) -> Response:
    """GET /_matrix/client/v3/publicRooms. § Published room directory."""
    query = parse_directory_parameters(call.query)
    server_name = _other_server(call)
    if server_name is None:
        return json_response(await read_directory(call.context.database, query))
    # The whole world may look into this directory, and not through it into all others.
    await call.context.database.read(lambda db: Call.authenticated(call.context, call.request, db, Access.GUEST))
    return await _ask_for_rooms(call, server_name, query)


@routes.waiting("POST", "/_matrix/client/v3/publicRooms", limit=LOOKING_UP)
async def post_public_rooms(call: Call) -> Response:
    """POST /_matrix/client/v3/publicRooms. § Published room directory."""
    query = parse_directory_body(call.request.optional_json_object())
    server_name = _other_server(call)
    if server_name is None:
        return json_response(await read_directory(call.context.database, query))
    return await _ask_for_rooms(call, server_name, query)


def _other_server(call: Call) -> ServerName | None:
    """Whose directory is asked for, if not this server's. Raises Forbidden, InvalidParam."""
    named = call.query.get("server")
    if not named or named == call.context.local_server.name:
        return None
    if call.context.federation is None:
        raise Forbidden("Other servers' directories cannot be asked from here.")
    return parse_server_name(named)


async def _ask_for_rooms(call: Call, server_name: ServerName, query: DirectoryQuery) -> Response:
    from tabstead.federation.directory import fetch_public_rooms

    return json_response(await ask_others(call, lambda federation: fetch_public_rooms(federation, server_name, query)))
