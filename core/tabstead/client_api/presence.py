"""Presence. Client-Server API, § Presence."""

from tabstead.client_api.call import Call
from tabstead.client_api.own_data import check_own
from tabstead.client_api.routes import Routes
from tabstead.errors import Forbidden, NotFound
from tabstead.http import Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.memberships import share_room
from tabstead.storage.presence import find_presence
from tabstead.streams.presence import presence_at, set_presence

routes = Routes()


@routes.write("PUT", "/_matrix/client/v3/presence/{userId}/status")
def put_presence(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/presence/{userId}/status. § Presence."""
    check_own(call)
    body = call.body()
    set_presence(db, call.user_id, body.string("presence"), body.find_string("status_msg"), call.now_ms)
    return json_response({})


@routes.read("GET", "/_matrix/client/v3/presence/{userId}/status")
def get_presence(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/presence/{userId}/status. § Presence."""
    user_id = call.parameter("userId")
    if user_id != call.user_id and not share_room(db, call.user_id, user_id):
        raise Forbidden("You share no room with this user.")
    stored = find_presence(db, user_id)
    if stored is None:
        raise NotFound("This user has no presence.")
    return json_response(presence_at(stored, call.now_ms).content())
