"""Events that are sent later: to have one sent so, and to change one's mind (MSC4140), under its unstable name."""

from collections.abc import Callable

from tabstead.client_api.call import Call
from tabstead.client_api.rate_limits import SENDING
from tabstead.client_api.rooms import get_own_room
from tabstead.client_api.routes import Routes
from tabstead.errors import InvalidParam
from tabstead.http import JsonDict, Response, json_response
from tabstead.rooms.delayed_events import (
    cancel_delayed_event,
    get_delayed_event,
    restart_delayed_event,
    schedule_event,
    send_delayed_event,
)
from tabstead.rooms.draft import Draft
from tabstead.storage.database import Db
from tabstead.storage.delayed_events import DelayedEvent, select_finalised, select_scheduled

routes = Routes()

DELAY_PARAMETER = "org.matrix.msc4140.delay"

_BASE = "/_matrix/client/unstable/org.matrix.msc4140"
_EVENTS = _BASE + "/delayed_events"
_EVENT = _EVENTS + "/{delayId}"

_MAX_LISTED = 1000


@routes.write("PUT", _BASE + "/rooms/{roomId}/delayed_event/{eventType}/{txnId}", limit=SENDING)
def put_delayed_event(call: Call, db: Db) -> Response:
    """PUT …/rooms/{roomId}/delayed_event/{eventType}/{txnId}. MSC4140."""
    body = call.body()
    draft = Draft(
        type=call.parameter("eventType"),
        content=body.object("content").values_dict,
        state_key=body.find_string("state_key"),
    )
    return schedule(call, db, draft, body.integer("delay_ms"), call.parameter("txnId"))


@routes.read("GET", _EVENTS)
def get_delayed_events(call: Call, db: Db) -> Response:
    """GET …/delayed_events. MSC4140. Clients ask for `scheduled` and `finalised` ones in an older form."""
    scheduled = [_describe(delayed) for delayed in select_scheduled(db, call.user_id)]
    finalised = [
        {"delayed_event": _describe(delayed), **_outcome(delayed)}
        for delayed in select_finalised(db, call.user_id, _MAX_LISTED)
    ]
    return json_response({"delayed_events": scheduled, "scheduled": scheduled, "finalised": finalised})


@routes.read("GET", _EVENT)
def get_one_delayed_event(call: Call, db: Db) -> Response:
    """GET …/delayed_events/{delayId}. MSC4140."""
    delayed = get_delayed_event(db, call.user_id, call.parameter("delayId"))
    return json_response({**_describe(delayed), **_outcome(delayed)})


@routes.write("POST", _EVENT, limit=SENDING)
def update_delayed_event(call: Call, db: Db) -> Response:
    """POST …/delayed_events/{delayId}. MSC4140, in its older form: the action is in the body."""
    action = call.body().string("action")
    if action not in _ACTIONS:
        raise InvalidParam(f"'action' must be one of {', '.join(_ACTIONS)}.")
    return _act(call, db, action)


@routes.write("POST", _EVENT + "/cancel", limit=SENDING)
def cancel(call: Call, db: Db) -> Response:
    """POST …/delayed_events/{delayId}/cancel. MSC4140."""
    return _act(call, db, "cancel")


@routes.write("POST", _EVENT + "/restart", limit=SENDING)
def restart(call: Call, db: Db) -> Response:
    """POST …/delayed_events/{delayId}/restart. MSC4140."""
    return _act(call, db, "restart")


@routes.write("POST", _EVENT + "/send", limit=SENDING)
def send(call: Call, db: Db) -> Response:
    """POST …/delayed_events/{delayId}/send. MSC4140."""
    return _act(call, db, "send")


def schedule(call: Call, db: Db, draft: Draft, delay_ms: int, transaction_id: str | None) -> Response:
    """Have an event sent later, once per transaction id; a request without one counts once per dispatch."""
    if delay_ms <= 0:
        raise InvalidParam("A delay must be a positive number of milliseconds.")
    room = get_own_room(db, call.parameter("roomId"))
    device_id = call.requester.device_id
    dispatch = call.request.dispatch_key
    if transaction_id is not None:
        key: str | None = f"{call.user_id} {device_id} {room.room_id} {draft.type} {transaction_id}"
    else:
        key = None if dispatch is None else f"dispatch {dispatch.value}"
    delayed = DelayedEvent(
        delay_id="",
        user_id=call.user_id,
        device_id=device_id,
        room_id=room.room_id,
        type=draft.type,
        state_key=draft.state_key,
        content=draft.content,
        sticky_ms=draft.sticky_ms,
        delay_ms=delay_ms,
        scheduled_ts=call.now_ms,
    )
    return json_response({"delay_id": schedule_event(db, delayed, key)})


_ACTIONS: dict[str, Callable[[Call, Db, DelayedEvent], None]] = {
    "cancel": lambda call, db, delayed: cancel_delayed_event(db, delayed, call.now_ms),
    "restart": lambda call, db, delayed: restart_delayed_event(db, delayed, call.now_ms),
    "send": lambda call, db, delayed: send_delayed_event(db, call.context.local_server, delayed),
}


def _act(call: Call, db: Db, action: str) -> Response:
    _ACTIONS[action](call, db, get_delayed_event(db, call.user_id, call.parameter("delayId")))
    return json_response({})


def _describe(delayed: DelayedEvent) -> JsonDict:
    """`delay` and `running_since` are older names of `delay_ms` and `scheduled_at`."""
    described: JsonDict = {
        "delay_id": delayed.delay_id,
        "room_id": delayed.room_id,
        "type": delayed.type,
        "delay_ms": delayed.delay_ms,
        "delay": delayed.delay_ms,
        "scheduled_at": delayed.scheduled_ts,
        "running_since": delayed.scheduled_ts,
        "content": delayed.content,
    }
    return described if delayed.state_key is None else {**described, "state_key": delayed.state_key}


def _outcome(delayed: DelayedEvent) -> JsonDict:
    outcome = {"event_id": delayed.event_id, "error": delayed.error, "finalised_ts": delayed.finalised_ts}
    return {key: value for key, value in outcome.items() if value is not None}
