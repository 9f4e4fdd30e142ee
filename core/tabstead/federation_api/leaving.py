"""Leaving rooms through this server. Server-server API, § Leaving Rooms (Rejecting Invites)."""

from tabstead.federation.admission import admit
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.joining import handed_in, make_template
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.storage.database import Db

routes = Routes()


@routes.read("GET", "/_matrix/federation/v1/make_leave/{roomId}/{userId}")
def get_make_leave(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/make_leave/{roomId}/{userId}. § Leaving Rooms (Rejecting Invites)."""
    return json_response(make_template(call, db, "leave", needs_version=False))


@routes.waiting("PUT", "/_matrix/federation/v2/send_leave/{roomId}/{eventId}")
async def put_send_leave(call: FederationCall) -> Response:
    """PUT /_matrix/federation/v2/send_leave/{roomId}/{eventId}. § Leaving Rooms (Rejecting Invites)."""
    await admit(call.federation, handed_in(call, "leave"))
    return json_response({})


@routes.waiting("PUT", "/_matrix/federation/v1/send_leave/{roomId}/{eventId}")
async def put_send_leave_v1(call: FederationCall) -> Response:
    """PUT /_matrix/federation/v1/send_leave/{roomId}/{eventId}: as it was before version 2."""
    await admit(call.federation, handed_in(call, "leave"))
    return json_response([200, {}])
