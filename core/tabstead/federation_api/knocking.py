"""Knocking upon rooms through this server. Server-server API, § Knocking upon a room."""

from tabstead.federation.admission import admit, show_room
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.joining import handed_in, make_template
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.storage.database import Db

routes = Routes()


@routes.read("GET", "/_matrix/federation/v1/make_knock/{roomId}/{userId}")
def get_make_knock(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/make_knock/{roomId}/{userId}. § Knocking upon a room."""
    return json_response(make_template(call, db, "knock"))


@routes.waiting("PUT", "/_matrix/federation/v1/send_knock/{roomId}/{eventId}")
async def put_send_knock(call: FederationCall) -> Response:
    """PUT /_matrix/federation/v1/send_knock/{roomId}/{eventId}. § Knocking upon a room."""
    knock = await admit(call.federation, handed_in(call, "knock"))
    return json_response({"knock_room_state": await show_room(call.federation, knock)})
