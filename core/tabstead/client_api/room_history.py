"""Reading a room's history. Client-Server API, § Getting events for a room, § Event context."""

from typing import Final

from tabstead.client_api.call import Call
from tabstead.client_api.gaps import MAX_ASKS, after_filling, after_looking, may_fill_gaps
from tabstead.client_api.room_state import reader_of, show_state, view_of
from tabstead.client_api.routes import Elsewhere, Routes
from tabstead.errors import InvalidParam, NotFound
from tabstead.http import Response, json_response, parse_json
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.filters import EventFilter, parse_event_filter
from tabstead.rooms.client_events import client_events
from tabstead.rooms.history_visibility import RoomView, build_reader_visibility, find_view
from tabstead.rooms.pagination import paginate, passes
from tabstead.rooms.state import find_event_after
from tabstead.rooms.time_travel import find_event_by_time, find_gap_beside
from tabstead.rooms.view_state import read_view_state, view_at
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, find_event
from tabstead.storage.rooms import find_room
from tabstead.streams.tokens import encode_timeline_token, parse_timeline_token

routes = Routes()

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 1000


@routes.read("GET", "/_matrix/client/v3/rooms/{roomId}/messages")
def get_messages(call: Call, db: Db) -> Response | Elsewhere:
    """GET /_matrix/client/v3/rooms/{roomId}/messages. § Getting events for a room."""
    return _show_messages(call, db)


def _show_messages(call: Call, db: Db, *, asks: int = MAX_ASKS) -> Response | Elsewhere:
    """A page; who is at a gap from its beginning has other servers asked for what is missing, so often."""
    view = view_of(call, db)
    event_filter = query_filter(call)
    page = paginate(
        db,
        view,
        call.user_id,
        start=query_token(call, "from"),
        stop=query_token(call, "to"),
        forwards=_is_forwards(call),
        limit=query_limit(call, event_filter),
        event_filter=event_filter,
        past_gaps=not (asks and may_fill_gaps(call, db, view.room)),
    )
    if page.gap is not None and not page.events:
        return after_filling(call, page.gap, lambda db, came: _show_messages(call, db, asks=asks - 1 if came else 0))
    answer: JsonDict = {
        "start": call.query.get("from") or encode_timeline_token(page.start),
        "chunk": show_events(call, db, page.events),
    }
    if page.end is not None:
        answer["end"] = encode_timeline_token(page.end)
    if event_filter.lazy_load_members and page.events:
        answer["state"] = show_state(call, db, _members_of(db, page.events))
    return json_response(answer)


@routes.read("GET", "/_matrix/client/v3/rooms/{roomId}/event/{eventId}")
def get_event(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/rooms/{roomId}/event/{eventId}. § Getting events for a room."""
    _, event = visible_event(call, db)
    return json_response(show_events(call, db, [event])[0])


@routes.read("GET", "/_matrix/client/v3/rooms/{roomId}/context/{eventId}")
def get_context(call: Call, db: Db) -> Response | Elsewhere:
    """GET /_matrix/client/v3/rooms/{roomId}/context/{eventId}. § Event context."""
    return _show_context(call, db, may_ask=True)


def _show_context(call: Call, db: Db, *, may_ask: bool) -> Response | Elsewhere:
    view, event = visible_event(call, db)
    event_filter = query_filter(call)
    limit = query_limit(call, event_filter)
    before = paginate(
        db,
        view,
        call.user_id,
        start=event.position - 1,
        forwards=False,
        limit=limit // 2,
        event_filter=event_filter,
        past_gaps=not (may_ask and may_fill_gaps(call, db, view.room)),
    )
    if before.gap is not None and len(before.events) < limit // 2:
        return after_filling(call, before.gap, lambda db, _: _show_context(call, db, may_ask=False))
    after = paginate(
        db,
        view,
        call.user_id,
        start=event.position,
        forwards=True,
        limit=limit - limit // 2,
        event_filter=event_filter,
    )
    last = after.events[-1] if after.events else event
    first = before.events[-1] if before.events else event
    state = read_view_state(db, view_at(db, view, last.position) or view)
    if event_filter.lazy_load_members:
        shown = {found.event.sender for found in (*before.events, event, *after.events)}
        state = [found for found in state if found.event.type != "m.room.member" or found.event.state_key in shown]
    return json_response(
        {
            "start": encode_timeline_token(first.position - 1),
            "end": encode_timeline_token(last.position),
            "event": show_events(call, db, [event])[0],
            "events_before": show_events(call, db, before.events),
            "events_after": show_events(call, db, after.events),
            "state": show_state(call, db, [found for found in state if passes(db, event_filter, found)]),
        }
    )


@routes.read("GET", "/_matrix/client/v1/rooms/{roomId}/timestamp_to_event")
def get_timestamp_to_event(call: Call, db: Db) -> Response | Elsewhere:
    """GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event. § Jump to a date."""
    return _show_event_at(call, db, may_ask=True)


def _show_event_at(call: Call, db: Db, *, may_ask: bool) -> Response | Elsewhere:
    view = view_of(call, db)
    call.query.string("ts")
    ts, forwards = call.query.integer("ts", 0), _is_forwards(call)
    found = find_event_by_time(db, view, call.user_id, ts, forwards=forwards)
    if may_ask and may_fill_gaps(call, db, view.room):
        gap = find_gap_beside(db, view, found, ts, forwards=forwards)
        if gap is not None:
            return after_looking(
                call, gap, ts, forwards=forwards, go_on=lambda db, _: _show_event_at(call, db, may_ask=False)
            )
    if found is None:
        raise NotFound(f"There is no event {'after' if forwards else 'before'} {ts} to be seen.")
    return json_response({"event_id": found.event_id, "origin_server_ts": found.event.origin_server_ts})


def visible_event(call: Call, db: Db) -> tuple[RoomView, PersistedEvent]:
    """The event in the path and the caller's view of its room. Raises NotFound if they may not see it."""
    room = find_room(db, call.parameter("roomId"))
    view = None if room is None else find_view(db, room, call.user_id)
    event = None if view is None else find_event(db, call.parameter("eventId"))
    if view is None or event is None or event.room_nid != view.room.room_nid:
        raise NotFound("Event not found.")
    if not build_reader_visibility(db, view.room, call.user_id).may_see(event):
        raise NotFound("Event not found.")
    return view, event


def show_events(call: Call, db: Db, events: list[PersistedEvent]) -> list[JsonDict]:
    """Timeline events as the caller sees them."""
    return client_events(db, events, reader=reader_of(call), now_ms=call.now_ms)


def query_token(call: Call, name: str) -> int | None:
    """The position of a token in the query. Raises InvalidParam."""
    text = call.query.get(name)
    return None if not text else parse_timeline_token(text)


def query_limit(call: Call, event_filter: EventFilter) -> int:
    """The query's `limit`, or the filter's if that is less. Raises InvalidParam."""
    limit = call.query.integer("limit", DEFAULT_LIMIT)
    if limit < 0:
        raise InvalidParam("'limit' must not be negative.")
    return min(limit, MAX_LIMIT, MAX_LIMIT if event_filter.limit is None else event_filter.limit)


def query_filter(call: Call) -> EventFilter:
    """The RoomEventFilter in the query. Raises InvalidParam, NotJson, BadJson."""
    text = call.query.get("filter")
    if not text:
        return EventFilter()
    value = parse_json(text.encode("utf-8", "surrogatepass"))
    if not isinstance(value, dict):
        raise InvalidParam("The query parameter 'filter' must be a JSON object.")
    return parse_event_filter(value)


def _is_forwards(call: Call) -> bool:
    call.query.string("dir")
    return call.query.choice("dir", ("b", "f"), "b") == "f"


def _members_of(db: Db, events: list[PersistedEvent]) -> list[PersistedEvent]:
    """The member events of who sent the events, as they were at the first of them."""
    first, senders = events[0], dict.fromkeys(event.event.sender for event in events)
    members = (find_event_after(db, first, "m.room.member", sender) for sender in senders)
    return [member for member in members if member is not None]
