"""Filters that clients keep on the server. Client-Server API, § Filtering."""

from tabstead.client_api.call import Call
from tabstead.client_api.own_data import check_own
from tabstead.client_api.routes import Routes
from tabstead.errors import NotFound
from tabstead.http import Response, json_response
from tabstead.protocol.filters import parse_sync_filter
from tabstead.storage.database import Db
from tabstead.storage.filters import find_filter, insert_filter

routes = Routes()


@routes.write("POST", "/_matrix/client/v3/user/{userId}/filter")
def create_filter(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/user/{userId}/filter. § Filtering."""
    check_own(call)
    definition = call.body().values_dict
    parse_sync_filter(definition)
    return json_response({"filter_id": insert_filter(db, call.user_id, definition)})


@routes.read("GET", "/_matrix/client/v3/user/{userId}/filter/{filterId}")
def get_filter(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/user/{userId}/filter/{filterId}. § Filtering."""
    check_own(call)
    definition = find_filter(db, call.user_id, call.parameter("filterId"))
    if definition is None:
        raise NotFound("There is no such filter.")
    return json_response(definition)
