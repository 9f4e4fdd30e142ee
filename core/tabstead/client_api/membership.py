"""Room membership. Client-Server API, § Room membership."""

from tabstead.client_api.call import Access, Call
from tabstead.client_api.rate_limits import JOINING
from tabstead.client_api.rooms import get_known_room, get_own_room
from tabstead.client_api.routes import Routes
from tabstead.errors import Forbidden
from tabstead.http import Response, json_response
from tabstead.protocol.identifiers import parse_room_id, parse_user_id
from tabstead.rooms import membership
from tabstead.rooms.aliases import resolve_alias
from tabstead.storage.database import Db
from tabstead.storage.rooms import Room

routes = Routes()


@routes.write("POST", "/_matrix/client/v3/join/{roomIdOrAlias}", limit=JOINING)
def post_join(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/join/{roomIdOrAlias}. § Joining rooms."""
    return _join(call, db, _resolve(call, db))


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/join", limit=JOINING)
def post_room_join(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/join. § Joining rooms."""
    return _join(call, db, get_known_room(db, parse_room_id(call.parameter("roomId"))))


@routes.write("POST", "/_matrix/client/v3/knock/{roomIdOrAlias}", access=Access.USER, limit=JOINING)
def post_knock(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/knock/{roomIdOrAlias}. § Knocking on rooms."""
    room = _resolve(call, db)
    membership.knock_on_room(db, call.context.local_server, room, call.user_id, reason=_reason(call))
    return json_response({"room_id": room.room_id})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/leave")
def post_leave(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/leave. § Leaving rooms."""
    room = get_known_room(db, call.parameter("roomId"))
    membership.leave_room(db, call.context.local_server, room, call.user_id, reason=_reason(call))
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/forget")
def post_forget(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/forget. § Leaving rooms."""
    membership.forget_room(db, get_known_room(db, call.parameter("roomId")), call.user_id)
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/invite", access=Access.USER, limit=JOINING)
def post_invite(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/invite. § Joining rooms, § Third-party invites."""
    if "medium" in call.body():
        raise Forbidden("This server does not invite third-party identifiers.", errcode="M_THREEPID_DENIED")
    room, target = get_own_room(db, call.parameter("roomId")), _target(call)
    membership.invite_user(db, call.context.local_server, room, call.user_id, target, reason=_reason(call))
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/kick", access=Access.USER)
def post_kick(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/kick. § Leaving rooms."""
    room, target = get_own_room(db, call.parameter("roomId")), _target(call)
    membership.kick_user(db, call.context.local_server, room, call.user_id, target, reason=_reason(call))
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/ban", access=Access.USER)
def post_ban(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/ban. § Banning users in a room."""
    room, target = get_own_room(db, call.parameter("roomId")), _target(call)
    membership.ban_user(db, call.context.local_server, room, call.user_id, target, reason=_reason(call))
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/unban", access=Access.USER)
def post_unban(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/unban. § Banning users in a room."""
    room, target = get_own_room(db, call.parameter("roomId")), _target(call)
    membership.unban_user(db, call.context.local_server, room, call.user_id, target, reason=_reason(call))
    return json_response({})


def _join(call: Call, db: Db, room: Room) -> Response:
    server, requester = call.context.local_server, call.requester
    membership.join_room(db, server, room, requester.user_id, is_guest=requester.is_guest, reason=_reason(call))
    return json_response({"room_id": room.room_id})


def _resolve(call: Call, db: Db) -> Room:
    """The room of an id or alias in the path. Raises InvalidParam, NotFound."""
    text = call.parameter("roomIdOrAlias")
    is_alias = text.startswith("#")
    return get_known_room(db, resolve_alias(db, call.context.local_server, text) if is_alias else parse_room_id(text))


def _target(call: Call) -> str:
    return parse_user_id(call.body().string("user_id"))


def _reason(call: Call) -> str | None:
    return call.request.optional_json_object().find_string("reason")
