"""Events of a room's past for servers in it. Server-server API, § Backfilling and retrieving missing events,
§ Retrieving events."""

from collections.abc import Collection
from typing import Any, Final

from tabstead.errors import Forbidden, InvalidParam, NotFound
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.protocol.canonical_json import JsonDict
from tabstead.rooms.graph_walk import prev_events_of, walk_back
from tabstead.rooms.handshakes import get_once_entered_room
from tabstead.rooms.peer_visibility import PeerVisibility, was_server_in
from tabstead.rooms.time_travel import find_by_time
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, find_event, select_events_by_id
from tabstead.storage.positions import select_position
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import Room, get_room

routes = Routes()

MAX_EVENTS: Final = 100
_DEFAULT_MISSING: Final = 10
_MAX_NAMED: Final = 50
"""Events that a request may name."""


def get_readable_room(call: FederationCall, db: Db, room_id: str, event_ids: Collection[str] = ()) -> Room:
    """A room that the asking server is in, by what this one knows of it, or was in before each of these events.

    Who is thrown out is told so, and may lack what came before that. This server itself may have left: of what it did
    before, nobody else may have heard. Raises NotFound, Forbidden.
    """
    room = get_once_entered_room(db, room_id, call.origin)
    if not (is_server_in(db, room.room_nid, call.origin) or _was_in_before(call, db, room, event_ids)):
        raise Forbidden(f"{call.origin} is not in the room.")
    return room


def _was_in_before(call: FederationCall, db: Db, room: Room, event_ids: Collection[str]) -> bool:
    found = select_events_by_id(db, event_ids).values()
    return bool(found) and all(
        event.room_nid == room.room_nid
        and event.stream_position is not None
        and was_server_in(db, room, call.origin, event)
        for event in found
    )


def get_readable_event(call: FederationCall, db: Db, room: Room, event_id: str) -> PersistedEvent:
    """An event of the room, placed or not. Raises NotFound."""
    event = find_event(db, event_id)
    if event is None or event.room_nid != room.room_nid:
        raise NotFound("This server does not have the event.")
    return event


@routes.read("GET", "/_matrix/federation/v1/backfill/{roomId}")
def get_backfill(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/backfill/{roomId}. § Backfilling and retrieving missing events."""
    room = get_readable_room(call, db, call.parameter("roomId"))
    call.query.string("v")
    named, limit = call.query.all("v"), call.query.integer("limit", MAX_EVENTS)
    if len(named) > _MAX_NAMED or limit < 0:
        raise InvalidParam(f"At most {_MAX_NAMED} events are gone back from, and not less than none.")
    events = walk_back(db, room, named, limit=min(limit, MAX_EVENTS))
    return _transaction(call, _show(call, db, room, events))


@routes.read("POST", "/_matrix/federation/v1/get_missing_events/{roomId}")
def get_missing_events(call: FederationCall, db: Db) -> Response:
    """POST /_matrix/federation/v1/get_missing_events/{roomId}. § Backfilling and retrieving missing events."""
    body = call.body()
    earliest, latest = body.strings("earliest_events"), body.strings("latest_events")
    limit, min_depth = body.integer("limit", _DEFAULT_MISSING), body.integer("min_depth", 0)
    if len(earliest) > _MAX_NAMED or len(latest) > _MAX_NAMED or limit < 0:
        raise InvalidParam(f"At most {_MAX_NAMED} events are gone between, and not less than none.")
    room = get_readable_room(call, db, call.parameter("roomId"), latest)
    found = walk_back(
        db,
        room,
        prev_events_of(db, room, latest),
        limit=min(limit, MAX_EVENTS),
        stop={*earliest, *latest},
        min_depth=min_depth,
    )
    return json_response({"events": _show(call, db, room, found[::-1])})


@routes.read("GET", "/_matrix/federation/v1/event/{eventId}")
def get_event(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/event/{eventId}. § Retrieving events."""
    event = find_event(db, call.parameter("eventId"))
    if event is None:
        raise NotFound("This server does not have the event.")
    room = get_readable_room(call, db, get_room(db, event.room_nid).room_id, [event.event_id])
    return _transaction(call, _show(call, db, room, [event]))


@routes.read("GET", "/_matrix/federation/v1/timestamp_to_event/{roomId}")
def get_timestamp_to_event(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/timestamp_to_event/{roomId}. § Retrieving events."""
    room = get_readable_room(call, db, call.parameter("roomId"))
    call.query.string("ts")
    call.query.string("dir")
    ts, forwards = call.query.integer("ts", 0), call.query.choice("dir", ("b", "f"), "b") == "f"
    visibility = PeerVisibility(db, room, call.origin)
    found = find_by_time(db, room, ts, up_to=select_position(db), forwards=forwards, may_see=visibility.may_see)
    if found is None:
        raise NotFound(f"There is no event {'after' if forwards else 'before'} {ts}.")
    return json_response({"event_id": found.event_id, "origin_server_ts": found.event.origin_server_ts})


def _show(call: FederationCall, db: Db, room: Room, events: list[PersistedEvent]) -> list[JsonDict]:
    visibility = PeerVisibility(db, room, call.origin)
    return [visibility.show(event) for event in events]


def _transaction(call: FederationCall, pdus: list[Any]) -> Response:
    server = call.local_server
    return json_response({"origin": server.name, "origin_server_ts": server.now_ms(), "pdus": pdus})
