"""Events that relate to others. Client-Server API, § Relationships API, § Querying threads in a room."""

from typing import Final

from tabstead.client_api.call import Call
from tabstead.client_api.room_history import query_limit, query_token, show_events, visible_event
from tabstead.client_api.room_state import view_of
from tabstead.client_api.routes import Routes
from tabstead.errors import InvalidParam
from tabstead.http import Response, json_response
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.filters import EventFilter
from tabstead.rooms.relations import MAX_DEPTH, RelationsQuery, select_related_events, select_threads
from tabstead.storage.database import Db
from tabstead.streams.tokens import encode_timeline_token

routes = Routes()

MAX_RELATED: Final = 100


@routes.read(
    "GET",
    "/_matrix/client/v1/rooms/{roomId}/relations/{eventId}",
    "/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}",
    "/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}",
)
def get_relations(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}. § Relationships API."""
    view, event = visible_event(call, db)
    recurse = call.query.boolean("recurse")
    query = RelationsQuery(
        relation_type=call.request.path_parameters.get("relType"),
        event_type=call.request.path_parameters.get("eventType"),
        start=query_token(call, "from"),
        stop=query_token(call, "to"),
        forwards=call.query.choice("dir", ("b", "f"), "b") == "f",
        limit=_limit(call),
        recurse=recurse,
    )
    page = select_related_events(db, view, call.user_id, event, query)
    answer: JsonDict = {"chunk": show_events(call, db, page.events)}
    if query.start is not None:
        answer["prev_batch"] = encode_timeline_token(query.start)
    if page.next_position is not None:
        answer["next_batch"] = encode_timeline_token(page.next_position)
    if recurse:
        answer["recursion_depth"] = MAX_DEPTH
    return json_response(answer)


@routes.read("GET", "/_matrix/client/v1/rooms/{roomId}/threads")
def get_threads(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v1/rooms/{roomId}/threads. § Querying threads in a room."""
    participated = call.query.choice("include", ("all", "participated"), "all") == "participated"
    page = select_threads(
        db,
        view_of(call, db),
        call.user_id,
        start=query_token(call, "from"),
        limit=_limit(call),
        participated=participated,
    )
    answer: JsonDict = {"chunk": show_events(call, db, page.events)}
    if page.next_position is not None:
        answer["next_batch"] = encode_timeline_token(page.next_position)
    return json_response(answer)


def _limit(call: Call) -> int:
    """The query's limit, which must be greater than zero. Raises InvalidParam."""
    limit = query_limit(call, EventFilter(limit=MAX_RELATED))
    if limit == 0:
        raise InvalidParam("'limit' must be greater than zero.")
    return limit
