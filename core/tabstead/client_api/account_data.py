"""Data that clients keep for their user. Client-Server API, § Client Config."""

from tabstead.client_api.call import Call
from tabstead.client_api.own_data import check_own, room_id_parameter
from tabstead.client_api.routes import Routes
from tabstead.errors import BadJson, NotFound
from tabstead.http import Response, json_response
from tabstead.storage.account_data import GLOBAL, find_account_data, update_account_data
from tabstead.storage.database import Db
from tabstead.streams.push_rules import PUSH_RULES, read_rules
from tabstead.streams.receipts import FULLY_READ

routes = Routes()

_SERVERS_OWN = frozenset({FULLY_READ, PUSH_RULES})
"""Types that clients read here, but change through endpoints of their own."""

_GLOBAL = "/_matrix/client/v3/user/{userId}/account_data/{type}"
_ROOM = "/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}"


@routes.write("PUT", _GLOBAL)
def set_account_data(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/user/{userId}/account_data/{type}. § Client Config."""
    return _set(call, db, GLOBAL)


@routes.write("PUT", _ROOM)
def set_room_account_data(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}. § Client Config."""
    return _set(call, db, room_id_parameter(call))


@routes.read("GET", _GLOBAL)
def get_account_data(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/user/{userId}/account_data/{type}. § Client Config."""
    if call.parameter("type") == PUSH_RULES:
        check_own(call)
        return json_response(read_rules(db, call.user_id))
    return _get(call, db, GLOBAL)


@routes.read("GET", _ROOM)
def get_room_account_data(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}. § Client Config."""
    return _get(call, db, room_id_parameter(call))


def _set(call: Call, db: Db, room_id: str) -> Response:
    check_own(call)
    event_type = call.parameter("type")
    if event_type in _SERVERS_OWN:
        raise BadJson(f"{event_type} is the server's own; another endpoint sets it.", status=405)
    update_account_data(db, call.user_id, event_type, call.body().values_dict, room_id)
    return json_response({})


def _get(call: Call, db: Db, room_id: str) -> Response:
    check_own(call)
    content = find_account_data(db, call.user_id, call.parameter("type"), room_id)
    if content is None:
        raise NotFound("There is no account data of this type.")
    return json_response(content)
