"""Subscribing to threads (MSC4306), and what changed of that (MSC4308), under their unstable names."""

from tabstead.client_api.call import Call
from tabstead.client_api.routes import Routes
from tabstead.errors import InvalidParam, NotFound
from tabstead.http import Response, json_response
from tabstead.rooms.history_visibility import HistoryVisibility
from tabstead.storage.database import Db
from tabstead.storage.events import find_event
from tabstead.storage.memberships import is_joined
from tabstead.storage.positions import select_position
from tabstead.storage.rooms import Room, find_room
from tabstead.streams.thread_subscriptions import build_subscription_changes, get_subscription, subscribe, unsubscribe
from tabstead.streams.tokens import encode_timeline_token, parse_timeline_token

routes = Routes()

_SUBSCRIPTION = "/_matrix/client/unstable/io.element.msc4306/rooms/{roomId}/thread/{threadId}/subscription"

_DEFAULT_LIMIT = 100
_MAX_LIMIT = 1000


@routes.write("PUT", _SUBSCRIPTION)
def put_subscription(call: Call, db: Db) -> Response:
    """PUT …/rooms/{roomId}/thread/{threadId}/subscription. MSC4306."""
    cause = call.request.optional_json_object().find_string("automatic")
    subscribe(db, call.user_id, _room_of_thread(call, db), call.parameter("threadId"), cause)
    return json_response({})


@routes.write("DELETE", _SUBSCRIPTION)
def delete_subscription(call: Call, db: Db) -> Response:
    """DELETE …/rooms/{roomId}/thread/{threadId}/subscription. MSC4306."""
    unsubscribe(db, call.user_id, _room_of_thread(call, db), call.parameter("threadId"))
    return json_response({})


@routes.read("GET", _SUBSCRIPTION)
def get_one_subscription(call: Call, db: Db) -> Response:
    """GET …/rooms/{roomId}/thread/{threadId}/subscription. MSC4306."""
    found = get_subscription(db, call.user_id, _room_of_thread(call, db), call.parameter("threadId"))
    return json_response({"automatic": found.is_automatic})


@routes.read("GET", "/_matrix/client/unstable/io.element.msc4308/thread_subscriptions")
def get_subscription_changes(call: Call, db: Db) -> Response:
    """GET …/thread_subscriptions. MSC4308. Backwards, from a token or from now."""
    if call.query.string("dir") != "b":
        raise InvalidParam("'dir' must be b.")
    limit = call.query.integer("limit", _DEFAULT_LIMIT)
    if limit <= 0:
        raise InvalidParam("'limit' must be positive.")
    start, stop = call.query.get("from"), call.query.get("to")
    body, more = build_subscription_changes(
        db,
        call.user_id,
        after=0 if stop is None else parse_timeline_token(stop),
        up_to=select_position(db) if start is None else parse_timeline_token(start),
        limit=min(limit, _MAX_LIMIT),
    )
    return json_response(body if more is None else {**body, "end": encode_timeline_token(more)})


def _room_of_thread(call: Call, db: Db) -> Room:
    """The room of a thread that the user may see. Raises NotFound."""
    room, root = find_room(db, call.parameter("roomId")), find_event(db, call.parameter("threadId"))
    if room is None or root is None or root.room_nid != room.room_nid or not is_joined(db, call.user_id, room.room_nid):
        raise NotFound("There is no such thread.")
    if not HistoryVisibility(db, room, call.user_id).may_see(root):
        raise NotFound("There is no such thread.")
    return room
