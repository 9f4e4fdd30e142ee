"""Reading a room's state and members. Client-Server API, § Getting events for a room."""

from collections.abc import Iterable

from tabstead.client_api.call import Access, Call
from tabstead.client_api.routes import Routes
from tabstead.errors import Forbidden, NotFound
from tabstead.http import Query, Response, json_response
from tabstead.protocol.canonical_json import JsonDict
from tabstead.rooms.client_events import Reader, client_events
from tabstead.rooms.history_visibility import RoomView, get_view
from tabstead.rooms.view_state import find_view_event, read_view_state, view_at
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, select_events
from tabstead.storage.memberships import is_joined, select_members
from tabstead.storage.rooms import find_room
from tabstead.streams.tokens import parse_timeline_token

routes = Routes()


@routes.read("GET", "/_matrix/client/v3/rooms/{roomId}/state")
def get_state(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/rooms/{roomId}/state. § Getting events for a room."""
    return json_response(show_state(call, db, read_view_state(db, view_of(call, db))))


@routes.read(
    "GET",
    "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}",
    "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/",
    "/_matrix/client/v3/rooms/{roomId}/state/{eventType}",
)
def get_state_event(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}. § Getting events for a room."""
    as_event = call.query.choice("format", ("content", "event"), "content") == "event"
    state_key = call.request.path_parameters.get("stateKey", "")
    found = find_view_event(db, view_of(call, db), call.parameter("eventType"), state_key)
    if found is None:
        raise NotFound("The room has no state with this type and key.")
    return json_response(show_state(call, db, [found])[0] if as_event else found.event.content)


@routes.read("GET", "/_matrix/client/v3/rooms/{roomId}/members")
def get_members(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/rooms/{roomId}/members. § Getting events for a room."""
    now = view_of(call, db)
    view = view_at(db, now, parse_timeline_token(call.query["at"])) if "at" in call.query else now
    members = [] if view is None else read_view_state(db, view, ("m.room.member",))
    wanted = [member for member in members if _is_wanted(member, call.query)]
    return json_response({"chunk": show_state(call, db, wanted)})


@routes.read("GET", "/_matrix/client/v3/rooms/{roomId}/joined_members", access=Access.USER)
def get_joined_members(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/rooms/{roomId}/joined_members. § Getting events for a room."""
    room = find_room(db, call.parameter("roomId"))
    if room is None or not is_joined(db, call.user_id, room.room_nid):
        raise Forbidden("You aren't a member of the room.")
    members = select_events(db, (row.event_nid for row in select_members(db, room.room_nid)))
    return json_response({"joined": {str(row.event.state_key): _profile_of(row) for row in members.values()}})


def view_of(call: Call, db: Db) -> RoomView:
    """What the caller may read of the room in the path. Raises Forbidden."""
    return get_view(db, find_room(db, call.parameter("roomId")), call.user_id)


def reader_of(call: Call) -> Reader:
    """The caller as a reader of events."""
    return Reader(user_id=call.user_id, device_id=call.requester.device_id)


def show_state(call: Call, db: Db, events: Iterable[PersistedEvent]) -> list[JsonDict]:
    """State events as the caller sees them."""
    return client_events(db, list(events), reader=reader_of(call), now_ms=call.now_ms, in_timeline=False)


def _is_wanted(member: PersistedEvent, query: Query) -> bool:
    """Both parameters together mean: the one membership, or any but the other."""
    membership = member.event.membership
    wanted = [membership == query["membership"]] if "membership" in query else []
    wanted += [membership != query["not_membership"]] if "not_membership" in query else []
    return any(wanted) if wanted else True


def _profile_of(member: PersistedEvent) -> JsonDict:
    content = member.event.content
    return {
        shown: content[key]
        for key, shown in (("displayname", "display_name"), ("avatar_url", "avatar_url"))
        if isinstance(content.get(key), str)
    }
