"""Rooms and users of other networks, which application services bridge to. Client-Server API, § Third-party Networks.

No application service is connected to this server: it knows no protocols, finds nothing of them, and no caller is one.
"""

from typing import NoReturn

from tabstead.client_api.call import Call
from tabstead.client_api.routes import Routes
from tabstead.errors import Forbidden, NotFound
from tabstead.http import Response, json_response
from tabstead.protocol.identifiers import parse_room_alias, parse_user_id
from tabstead.storage.database import Db

routes = Routes()


@routes.read("GET", "/_matrix/client/v3/thirdparty/protocols")
def get_protocols(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/thirdparty/protocols. § Third-party Networks."""
    return json_response({})


@routes.read(
    "GET",
    "/_matrix/client/v3/thirdparty/protocol/{protocol}",
    "/_matrix/client/v3/thirdparty/location/{protocol}",
    "/_matrix/client/v3/thirdparty/user/{protocol}",
)
def get_by_protocol(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/thirdparty/protocol/{protocol}, …/location/… and …/user/…. § Third-party Networks."""
    raise NotFound("This protocol is not known here.")


@routes.read("GET", "/_matrix/client/v3/thirdparty/location")
def get_locations(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/thirdparty/location. § Third-party Networks."""
    parse_room_alias(call.query.string("alias"))
    raise NotFound("No room of another network has this alias.")


@routes.read("GET", "/_matrix/client/v3/thirdparty/user")
def get_users(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/thirdparty/user. § Third-party Networks."""
    parse_user_id(call.query.string("userid"))
    raise NotFound("This is not a user of another network.")


@routes.write("PUT", "/_matrix/client/v3/directory/list/appservice/{networkId}/{roomId}")
def put_network_listing(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/directory/list/appservice/{networkId}/{roomId}. Application Service API."""
    _refuse()


@routes.write("POST", "/_matrix/client/v1/appservice/{appserviceId}/ping")
def post_ping(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v1/appservice/{appserviceId}/ping. Application Service API. Added in v1.7."""
    _refuse()


def _refuse() -> NoReturn:
    raise Forbidden("Only an application service may do this.")
