"""Searching events. Client-Server API, § Server Side Search."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from tabstead.client_api.call import Call
from tabstead.client_api.rate_limits import LOOKING_UP
from tabstead.client_api.room_history import show_events
from tabstead.client_api.room_state import show_state
from tabstead.client_api.routes import Routes
from tabstead.errors import BadJson, BadRequest, InvalidParam
from tabstead.http import JsonObject, Response, json_response
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.filters import EventFilter, parse_event_filter
from tabstead.rooms.history_visibility import get_view
from tabstead.rooms.pagination import paginate
from tabstead.rooms.search import (
    GroupKey,
    SearchGroup,
    SearchPage,
    SearchPlace,
    SearchQuery,
    SearchResult,
    encode_place,
    parse_place,
    search_events,
)
from tabstead.rooms.search_index import index_next, is_index_behind
from tabstead.rooms.state import find_event_after
from tabstead.rooms.view_state import read_view_state
from tabstead.storage.database import Db
from tabstead.storage.event_words import TextKind
from tabstead.storage.events import PersistedEvent
from tabstead.storage.rooms import get_room
from tabstead.streams.tokens import encode_timeline_token

routes = Routes()

Choice = TypeVar("Choice")

DEFAULT_RESULTS: Final = 10
MAX_RESULTS: Final = 100
DEFAULT_CONTEXT: Final = 5
MAX_CONTEXT: Final = 50

_KINDS: Final[Mapping[str, TextKind]] = {
    "content.body": TextKind.BODY,
    "content.name": TextKind.NAME,
    "content.topic": TextKind.TOPIC,
}
_GROUP_KEYS: Final[Mapping[str, GroupKey]] = {"room_id": "room_id", "sender": "sender"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """What of its surroundings a result is shown with."""

    before: int
    after: int
    profiles: bool


@routes.waiting("POST", "/_matrix/client/v3/search", limit=LOOKING_UP)
async def post_search(call: Call) -> Response:
    """POST /_matrix/client/v3/search. § Server Side Search."""
    criteria = call.body().object("search_categories").find_object("room_events")
    if criteria is None:
        return json_response({"search_categories": {}})
    query, context = _parse_query(criteria), _parse_context(criteria)
    with_state = criteria.boolean("include_state", False)
    token = call.query.get("next_batch")
    place = SearchPlace() if token is None else parse_place(token)
    if not call.context.configuration.search.enabled:
        raise BadRequest("Messages cannot be searched on this server.", errcode="M_UNKNOWN")
    await _catch_up(call)

    def search(db: Db) -> JsonDict:
        page = search_events(db, call.user_id, query, place)
        return _show_page(call, db, page, context, with_state=with_state)

    return json_response({"search_categories": {"room_events": await call.context.database.read(search)}})


async def _catch_up(call: Call) -> None:
    """Index what is not indexed yet, a slice in each transaction."""
    database = call.context.database
    if await database.read(is_index_behind):
        while await database.write(index_next):
            continue


def _parse_query(criteria: JsonObject) -> SearchQuery:
    event_filter = parse_event_filter(criteria.object("filter", {}).values_dict)
    limit = DEFAULT_RESULTS if event_filter.limit is None else event_filter.limit
    if limit == 0:
        raise InvalidParam("'limit' must be greater than zero.")
    order = criteria.string("order_by", "rank")
    if order not in {"rank", "recent"}:
        raise InvalidParam("'order_by' must be rank or recent.")
    kinds = frozenset(_choose(_KINDS, key, "keys") for key in criteria.strings("keys", []))
    return SearchQuery(
        term=criteria.string("search_term"),
        kinds=kinds or frozenset(TextKind),
        event_filter=event_filter,
        limit=min(limit, MAX_RESULTS),
        by_rank=order == "rank",
        group_by=_parse_groupings(criteria),
    )


def _parse_groupings(criteria: JsonObject) -> tuple[GroupKey, ...]:
    groups = criteria.object("groupings", {}).array("group_by", [])
    if not all(isinstance(group, dict) for group in groups):
        raise BadJson("'group_by' must be an array of objects.")
    return tuple(dict.fromkeys(_choose(_GROUP_KEYS, JsonObject(group).string("key"), "key") for group in groups))


def _choose(choices: Mapping[str, Choice], key: str, name: str) -> Choice:
    if key not in choices:
        raise InvalidParam(f"'{name}' must be of {', '.join(choices)}.")
    return choices[key]


def _parse_context(criteria: JsonObject) -> _Context | None:
    wanted = criteria.find_object("event_context")
    if wanted is None:
        return None
    before, after = (wanted.integer(name, DEFAULT_CONTEXT) for name in ("before_limit", "after_limit"))
    if before < 0 or after < 0:
        raise InvalidParam("'before_limit' and 'after_limit' must not be negative.")
    return _Context(
        before=min(before, MAX_CONTEXT),
        after=min(after, MAX_CONTEXT),
        profiles=wanted.boolean("include_profile", False),
    )


def _show_page(call: Call, db: Db, page: SearchPage, context: _Context | None, *, with_state: bool) -> JsonDict:
    shown = show_events(call, db, [result.event for result in page.results])
    answer: JsonDict = {
        "count": page.count,
        "highlights": page.highlights,
        "results": [
            {
                "rank": result.rank,
                "result": event,
                **({} if context is None else {"context": _show_context(call, db, result, context)}),
            }
            for result, event in zip(page.results, shown, strict=True)
        ],
    }
    if page.next_place is not None:
        answer["next_batch"] = encode_place(page.next_place)
    if page.groups:
        answer["groups"] = {
            key: {name: _show_group(group) for name, group in groups.items()} for key, groups in page.groups.items()
        }
    if with_state:
        rooms = [get_room(db, nid) for nid in dict.fromkeys(result.event.room_nid for result in page.results)]
        states = {room.room_id: read_view_state(db, get_view(db, room, call.user_id)) for room in rooms}
        answer["state"] = {room_id: show_state(call, db, events) for room_id, events in states.items()}
    return answer


def _show_group(group: SearchGroup) -> JsonDict:
    shown: JsonDict = {"order": group.order, "results": group.event_ids}
    if group.next_place is not None:
        shown["next_batch"] = encode_place(group.next_place)
    return shown


def _show_context(call: Call, db: Db, result: SearchResult, context: _Context) -> JsonDict:
    event = result.event
    view = get_view(db, get_room(db, event.room_nid), call.user_id)
    everything = EventFilter()
    before = paginate(
        db,
        view,
        call.user_id,
        start=event.position - 1,
        forwards=False,
        limit=context.before,
        event_filter=everything,
    ).events
    after = paginate(
        db, view, call.user_id, start=event.position, forwards=True, limit=context.after, event_filter=everything
    ).events
    first, last = before[-1] if before else event, after[-1] if after else event
    shown: JsonDict = {
        "start": encode_timeline_token(first.position - 1),
        "end": encode_timeline_token(last.position),
        "events_before": show_events(call, db, before),
        "events_after": show_events(call, db, after),
    }
    if context.profiles:
        shown["profile_info"] = _show_profiles(db, [*before, event, *after])
    return shown


def _show_profiles(db: Db, events: list[PersistedEvent]) -> JsonDict:
    """The profiles of who sent the events, as the newest of each has them."""
    newest = {event.event.sender: event for event in events}
    members = {sender: find_event_after(db, event, "m.room.member", sender) for sender, event in newest.items()}
    return {
        sender: {
            key: member.event.content[key]
            for key in ("displayname", "avatar_url")
            if isinstance(member.event.content.get(key), str)
        }
        for sender, member in members.items()
        if member is not None
    }
