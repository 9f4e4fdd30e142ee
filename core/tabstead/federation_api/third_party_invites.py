"""Invites of addresses that became users'. Server-server API, § Third-party invites."""

from tabstead.errors import OutboundFailed
from tabstead.federation.answers import explain
from tabstead.federation.third_party_invites import exchange, follow_bound, parse_bound, parse_partial_event
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.protocol.identifiers import parse_user_id

routes = Routes()


@routes.waiting("PUT", "/_matrix/federation/v1/exchange_third_party_invite/{roomId}")
async def put_exchange(call: FederationCall) -> Response:
    """PUT /_matrix/federation/v1/exchange_third_party_invite/{roomId}. § Cases where an association doesn't exist."""
    invite = parse_partial_event(call.parameter("roomId"), call.body().values_dict)
    try:
        await exchange(call.federation, call.origin, invite)
    except OutboundFailed as failure:
        raise explain(failure) from failure
    return json_response({})


@routes.waiting("PUT", "/_matrix/federation/v1/3pid/onbind", is_signed=False)
async def put_onbind(call: FederationCall) -> Response:
    """PUT /_matrix/federation/v1/3pid/onbind. § Cases where an association doesn't exist.

    An identity server asks, which signs no requests: what it signed is in the invites, and the rooms check it.
    """
    body = call.body()
    body.string("medium")
    address, user_id = body.string("address"), parse_user_id(body.string("mxid"))
    invites = parse_bound(address, user_id, body.array("invites"))
    if call.local_server.owns(user_id):
        await follow_bound(call.federation, invites)
    return json_response({})
