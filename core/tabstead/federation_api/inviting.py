"""Invites of this server's users. Server-server API, § Inviting to a room."""

from typing import Final

from tabstead.federation.invites import GivenInvite, accept_invite
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.storage.rooms import find_room

routes = Routes()

_FIRST_API_VERSIONS: Final = ("1", "2")


@routes.waiting("PUT", "/_matrix/federation/v2/invite/{roomId}/{eventId}")
async def put_invite(call: FederationCall) -> Response:
    """PUT /_matrix/federation/v2/invite/{roomId}/{eventId}. § Inviting to a room."""
    body = call.body()
    given = GivenInvite(
        origin=call.origin,
        room_id=call.parameter("roomId"),
        event_id=call.parameter("eventId"),
        room_version=body.string("room_version"),
        pdu=body.object("event").values_dict,
        shown_state=body.array("invite_room_state", []),
    )
    return json_response({"event": await accept_invite(call.federation, given)})


@routes.waiting("PUT", "/_matrix/federation/v1/invite/{roomId}/{eventId}")
async def put_invite_v1(call: FederationCall) -> Response:
    """PUT /_matrix/federation/v1/invite/{roomId}/{eventId}: of rooms of versions 1 and 2."""
    body = call.body()
    unsigned = body.find_object("unsigned")
    given = GivenInvite(
        origin=call.origin,
        room_id=call.parameter("roomId"),
        event_id=call.parameter("eventId"),
        room_version=await _find_version(call),
        pdu=body.values_dict,
        shown_state=[] if unsigned is None else unsigned.array("invite_room_state", []),
    )
    return json_response([200, {"event": await accept_invite(call.federation, given)}])


async def _find_version(call: FederationCall) -> str:
    """ "Servers which receive a v1 invite request must assume that the room version is either "1" or "2"." """
    room = await call.federation.read(lambda db: find_room(db, call.parameter("roomId")))
    known = None if room is None else room.version.name
    return known if known in _FIRST_API_VERSIONS else _FIRST_API_VERSIONS[0]
