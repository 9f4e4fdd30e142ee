"""A room's state at an event, and auth chains, for servers in it. Server-server API, § Retrieving a room's state,
§ Retrieve the auth chain of an event."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from tabstead.errors import NotFound
from tabstead.federation.event_lists import encode_events
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.history import get_readable_event, get_readable_room
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.storage.auth_chains import select_auth_chain
from tabstead.storage.database import Db
from tabstead.storage.events import select_event_ids, select_event_nids
from tabstead.storage.state_history import read_state

routes = Routes()


@routes.waiting("GET", "/_matrix/federation/v1/state/{roomId}")
async def get_state(call: FederationCall) -> Response:
    """GET /_matrix/federation/v1/state/{roomId}. § Retrieving a room's state."""
    async with call.federation.inbound.turn_of(f"{call.origin} reads"):
        found = await call.federation.read(partial(_read_state, call))
        pdus = await encode_events(call.federation, found.state)
        auth_chain = await encode_events(call.federation, sorted(found.auth_chain))
    return _json_bytes(b'{"pdus":[%b],"auth_chain":[%b]}' % (pdus, auth_chain))


@routes.read("GET", "/_matrix/federation/v1/state_ids/{roomId}")
def get_state_ids(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/state_ids/{roomId}. § Retrieving a room's state."""
    found = _read_state(call, db)
    return json_response({"pdu_ids": _ids(db, found.state), "auth_chain_ids": _ids(db, found.auth_chain)})


@routes.waiting("GET", "/_matrix/federation/v1/event_auth/{roomId}/{eventId}")
async def get_event_auth(call: FederationCall) -> Response:
    """GET /_matrix/federation/v1/event_auth/{roomId}/{eventId}. § Retrieve the auth chain of an event."""
    async with call.federation.inbound.turn_of(f"{call.origin} reads"):
        found = await call.federation.read(partial(_read_auth_chain, call))
        auth_chain = await encode_events(call.federation, sorted(found))
    return _json_bytes(b'{"auth_chain":[%b]}' % auth_chain)


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """By their numeric ids."""

    state: list[int]
    auth_chain: set[int]


def _read_state(call: FederationCall, db: Db) -> _State:
    """The state before the event that the query names. Raises NotFound, Forbidden."""
    event_id = call.query.string("event_id")
    room = get_readable_room(call, db, call.parameter("roomId"), [event_id])
    event = get_readable_event(call, db, room, event_id)
    if event.stream_position is None:
        raise NotFound("This server does not know the state at the event.")
    state = list(read_state(db, event.state_before).values())
    return _State(state=state, auth_chain=select_auth_chain(db, state))


def _read_auth_chain(call: FederationCall, db: Db) -> set[int]:
    event_id = call.parameter("eventId")
    room = get_readable_room(call, db, call.parameter("roomId"), [event_id])
    event = get_readable_event(call, db, room, event_id)
    named = set(select_event_nids(db, event.event.auth_events).values())  # a message event is in no index
    return named | select_auth_chain(db, named)


def _ids(db: Db, event_nids: Iterable[int]) -> list[str]:
    return list(select_event_ids(db, event_nids).values())


def _json_bytes(body: bytes) -> Response:
    return Response(headers={"content-type": "application/json"}, body=body)
