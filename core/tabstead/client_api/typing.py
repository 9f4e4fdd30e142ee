"""Who is typing. Client-Server API, § Typing Notifications."""

from tabstead.client_api.call import Call
from tabstead.client_api.own_data import check_own
from tabstead.client_api.routes import Routes
from tabstead.errors import Forbidden
from tabstead.http import Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.memberships import is_joined
from tabstead.storage.rooms import find_room

routes = Routes()

_DEFAULT_TIMEOUT_MS = 30_000
_MAX_TIMEOUT_MS = 120_000


@routes.waiting("PUT", "/_matrix/client/v3/rooms/{roomId}/typing/{userId}")
async def set_typing(call: Call) -> Response:
    """PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}. § Typing Notifications."""
    check_own(call)
    body = call.body()
    is_typing = body.boolean("typing")
    timeout_ms = min(max(body.integer("timeout", _DEFAULT_TIMEOUT_MS), 0), _MAX_TIMEOUT_MS)
    room_id = call.parameter("roomId")
    await call.context.database.read(lambda db: _check_joined(db, call.user_id, room_id))
    typing_users = call.context.typing_users
    if is_typing:
        typing_users.start(room_id, call.user_id, timeout_ms)
    else:
        typing_users.stop(room_id, call.user_id)
    call.context.notifier.wake()
    return json_response({})


def _check_joined(db: Db, user_id: str, room_id: str) -> None:
    room = find_room(db, room_id)
    if room is None or not is_joined(db, user_id, room.room_nid):
        raise Forbidden("You are not joined to this room.")
