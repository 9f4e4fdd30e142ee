"""The user's own account. Client-Server API, § Account management, § Current account information."""

from tabstead.client_api.call import Call
from tabstead.client_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.storage.database import Db

routes = Routes()


@routes.read("GET", "/_matrix/client/v3/account/whoami")
def whoami(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/account/whoami. § Current account information."""
    requester = call.requester
    return json_response(
        {"user_id": requester.user_id, "device_id": requester.device_id, "is_guest": requester.is_guest}
    )


@routes.read("GET", "/_matrix/client/v3/account/3pid")
def get_third_party_identifiers(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/account/3pid. § Adding Account Administrative Contact Information.

    This server keeps no third-party identifiers.
    """
    return json_response({"threepids": []})
