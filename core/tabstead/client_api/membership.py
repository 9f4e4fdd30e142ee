"""Room membership. Client-Server API, § Room membership.

What a room's other servers have no part in happens in one transaction; `client_api.remote_membership` has what happens
with them.
"""

from tabstead.client_api import remote_membership
from tabstead.client_api.call import Access, Call
from tabstead.client_api.other_servers import may_ask
from tabstead.client_api.rate_limits import JOINING
from tabstead.client_api.rooms import get_known_room, get_own_room
from tabstead.client_api.routes import Elsewhere, Routes
from tabstead.errors import Forbidden, NotFound, UnableToAuthoriseJoin, UnableToGrantJoin
from tabstead.http import Response, json_response
from tabstead.protocol.identifiers import parse_room_alias, parse_room_id, parse_user_id
from tabstead.rooms import membership
from tabstead.rooms.aliases import resolve_alias, select_alias_servers
from tabstead.rooms.membership import needs_others
from tabstead.storage.database import Db
from tabstead.storage.rooms import find_room

routes = Routes()


@routes.write("POST", "/_matrix/client/v3/join/{roomIdOrAlias}", limit=JOINING)
def post_join(call: Call, db: Db) -> Response | Elsewhere:
    """POST /_matrix/client/v3/join/{roomIdOrAlias}. § Joining rooms."""
    text = call.parameter("roomIdOrAlias")
    if text.startswith("#") and may_ask(call, parse_room_alias(text)):
        return remote_membership.resolve(call, text, join)
    room_id, servers = _resolve(call, db, text)
    return join(call, db, room_id, servers)


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/join", limit=JOINING)
def post_room_join(call: Call, db: Db) -> Response | Elsewhere:
    """POST /_matrix/client/v3/rooms/{roomId}/join. § Joining rooms."""
    return join(call, db, parse_room_id(call.parameter("roomId")), [])


@routes.write("POST", "/_matrix/client/v3/knock/{roomIdOrAlias}", access=Access.USER, limit=JOINING)
def post_knock(call: Call, db: Db) -> Response | Elsewhere:
    """POST /_matrix/client/v3/knock/{roomIdOrAlias}. § Knocking on rooms."""
    text = call.parameter("roomIdOrAlias")
    if text.startswith("#") and may_ask(call, parse_room_alias(text)):
        return remote_membership.resolve(call, text, knock)
    room_id, servers = _resolve(call, db, text)
    return knock(call, db, room_id, servers)


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/leave")
def post_leave(call: Call, db: Db) -> Response | Elsewhere:
    """POST /_matrix/client/v3/rooms/{roomId}/leave. § Leaving rooms."""
    room = get_known_room(db, call.parameter("roomId"))
    if call.context.federation is not None and needs_others(db, call.context.local_server, room):
        return remote_membership.leave(call, db, room, reason_of(call))
    membership.leave_room(db, call.context.local_server, room, call.user_id, reason=reason_of(call))
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/forget")
def post_forget(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/forget. § Leaving rooms."""
    membership.forget_room(db, get_known_room(db, call.parameter("roomId")), call.user_id)
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/invite", access=Access.USER, limit=JOINING)
def post_invite(call: Call, db: Db) -> Response | Elsewhere:
    """POST /_matrix/client/v3/rooms/{roomId}/invite. § Joining rooms, § Third-party invites."""
    if "medium" in call.body():
        raise Forbidden("This server does not invite third-party identifiers.", errcode="M_THREEPID_DENIED")
    room, target = get_own_room(db, call.parameter("roomId")), _target(call)
    if may_ask(call, target):
        return remote_membership.invite(call, db, room, target, reason_of(call))
    membership.invite_user(db, call.context.local_server, room, call.user_id, target, reason=reason_of(call))
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/kick", access=Access.USER)
def post_kick(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/kick. § Leaving rooms."""
    room, target = get_own_room(db, call.parameter("roomId")), _target(call)
    membership.kick_user(db, call.context.local_server, room, call.user_id, target, reason=reason_of(call))
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/ban", access=Access.USER)
def post_ban(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/ban. § Banning users in a room."""
    room, target = get_own_room(db, call.parameter("roomId")), _target(call)
    membership.ban_user(db, call.context.local_server, room, call.user_id, target, reason=reason_of(call))
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/unban", access=Access.USER)
def post_unban(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/unban. § Banning users in a room."""
    room, target = get_own_room(db, call.parameter("roomId")), _target(call)
    membership.unban_user(db, call.context.local_server, room, call.user_id, target, reason=reason_of(call))
    return json_response({})


def join(call: Call, db: Db, room_id: str, servers: list[str]) -> Response | Elsewhere:
    """Join the caller to a room, of which `servers` are said to know."""
    server, requester = call.context.local_server, call.requester
    room = find_room(db, room_id)
    if call.context.federation is not None and (room is None or needs_others(db, server, room)):
        return remote_membership.join(call, db, room_id, servers)
    if room is None:
        raise NotFound("This room is not known here.")
    try:
        membership.join_room(db, server, room, requester.user_id, is_guest=requester.is_guest, reason=reason_of(call))
    except (UnableToAuthoriseJoin, UnableToGrantJoin) as error:
        if not remote_membership.is_shared(call, db, room):
            raise Forbidden(error.sentence) from error
        return remote_membership.join(call, db, room_id, servers)
    return json_response({"room_id": room.room_id})


def knock(call: Call, db: Db, room_id: str, servers: list[str]) -> Response | Elsewhere:
    """Let the caller knock on a room, of which `servers` are said to know."""
    room = find_room(db, room_id)
    if call.context.federation is not None and (room is None or needs_others(db, call.context.local_server, room)):
        return remote_membership.knock(call, db, room_id, servers)
    if room is None:
        raise NotFound("This room is not known here.")
    membership.knock_on_room(db, call.context.local_server, room, call.user_id, reason=reason_of(call))
    return json_response({"room_id": room.room_id})


def _resolve(call: Call, db: Db, text: str) -> tuple[str, list[str]]:
    """The room of an id or alias in the path, and servers that know of it. Raises InvalidParam, NotFound."""
    if not text.startswith("#"):
        return parse_room_id(text), []
    server = call.context.local_server
    room_id = resolve_alias(db, server, text)
    return room_id, list(select_alias_servers(db, server, room_id))


def _target(call: Call) -> str:
    return parse_user_id(call.body().string("user_id"))


def reason_of(call: Call) -> str | None:
    return call.request.optional_json_object().find_string("reason")
