"""Joining rooms through this server. Server-server API, § Joining Rooms."""

import json
from typing import Any

from tabstead.errors import Forbidden
from tabstead.federation.admission import HandedIn, admit, encode_room_before
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.protocol.identifiers import find_server_name_of, parse_user_id
from tabstead.rooms.handshakes import build_template, get_resident_room
from tabstead.storage.database import Db

routes = Routes()

_VERSION_OF_NO_VERSION = "1"
"""`ver`: "Defaults to [1]"."""


@routes.read("GET", "/_matrix/federation/v1/make_join/{roomId}/{userId}")
def get_make_join(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/make_join/{roomId}/{userId}. § Joining Rooms."""
    return json_response(make_template(call, db, "join"))


@routes.waiting("PUT", "/_matrix/federation/v2/send_join/{roomId}/{eventId}")
async def put_send_join(call: FederationCall) -> Response:
    """PUT /_matrix/federation/v2/send_join/{roomId}/{eventId}. § Joining Rooms."""
    return _json(await _admit_join(call))


@routes.waiting("PUT", "/_matrix/federation/v1/send_join/{roomId}/{eventId}")
async def put_send_join_v1(call: FederationCall) -> Response:
    """PUT /_matrix/federation/v1/send_join/{roomId}/{eventId}: as it was before version 2."""
    return _json(b"[200,%b]" % await _admit_join(call))


def make_template(call: FederationCall, db: Db, membership: str, *, needs_version: bool = True) -> dict[str, Any]:
    """The template that the path asks for, for a user of the server that asks. Raises Forbidden, NotFound, …"""
    user_id = parse_user_id(call.parameter("userId"))
    if find_server_name_of(user_id) != call.origin:
        raise Forbidden(f"{user_id} is not a user of {call.origin}.")
    room = get_resident_room(db, call.local_server, call.parameter("roomId"), call.origin)
    versions = (call.query.all("ver") or [_VERSION_OF_NO_VERSION]) if needs_version else None
    return build_template(db, call.local_server, room, user_id, membership, versions=versions)


def handed_in(call: FederationCall, membership: str) -> HandedIn:
    """The event in the body. Raises NotJson, BadJson."""
    return HandedIn(
        origin=call.origin,
        room_id=call.parameter("roomId"),
        event_id=call.parameter("eventId"),
        membership=membership,
        pdu=call.body().values_dict,
    )


async def _admit_join(call: FederationCall) -> bytes:
    """The body of the answer. Members are never left out of it."""
    join = await admit(call.federation, handed_in(call, "join"))
    state, auth_chain = await encode_room_before(call.federation, join)
    rest = {
        "event": join.pdu,
        "members_omitted": False,
        "origin": call.local_server.name,
        "servers_in_room": join.servers_before,
    }
    encoded = json.dumps(rest, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return b'%b,"state":[%b],"auth_chain":[%b]}' % (encoded[:-1], state, auth_chain)


def _json(body: bytes) -> Response:
    return Response(headers={"content-type": "application/json"}, body=body)
