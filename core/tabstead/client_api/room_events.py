"""Sending events to a room. Client-Server API, § Sending events to a room, § Redactions."""

from dataclasses import replace

from tabstead.client_api import remote_membership
from tabstead.client_api.call import Access, Call
from tabstead.client_api.delayed_events import DELAY_PARAMETER, schedule
from tabstead.client_api.other_servers import may_ask
from tabstead.client_api.rate_limits import SENDING
from tabstead.client_api.rooms import get_own_room
from tabstead.client_api.routes import Elsewhere, Routes
from tabstead.http import Response, json_response
from tabstead.protocol.identifiers import is_user_id
from tabstead.rooms.draft import Draft, build_redaction
from tabstead.rooms.send import send_event
from tabstead.rooms.sticky_events import check_sticky_ms
from tabstead.storage.client_transactions import ClientTransaction
from tabstead.storage.database import Db

routes = Routes()

_STICKY_PARAMETER = "org.matrix.msc4354.sticky_duration_ms"


@routes.write("PUT", "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}", limit=SENDING)
def put_message_event(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}. § Sending events to a room."""
    event_type, content = call.parameter("eventType"), call.body().values_dict
    is_redaction = event_type == "m.room.redaction"
    draft = build_redaction(None, content) if is_redaction else Draft(type=event_type, content=content)
    draft = _with_duration(call, draft)
    if DELAY_PARAMETER in call.query:
        return schedule(call, db, draft, call.query.integer(DELAY_PARAMETER, 0), call.parameter("txnId"))
    return _send_once(call, db, f"send/{event_type}", draft)


@routes.write("PUT", "/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}", access=Access.USER, limit=SENDING)
def put_redaction(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}. § Redactions."""
    event_id = call.parameter("eventId")
    draft = build_redaction(event_id, call.request.optional_json_object().values_dict)
    return _send_once(call, db, f"redact/{event_id}", draft)


@routes.write(
    "PUT",
    "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}",
    "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/",
    "/_matrix/client/v3/rooms/{roomId}/state/{eventType}",
    access=Access.USER,
    limit=SENDING,
)
def put_state_event(call: Call, db: Db) -> Response | Elsewhere:
    """PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}. § Sending events to a room."""
    draft = Draft(
        type=call.parameter("eventType"),
        state_key=call.request.path_parameters.get("stateKey", ""),
        content=call.body().values_dict,
    )
    draft = _with_duration(call, draft)
    if DELAY_PARAMETER in call.query:
        return schedule(call, db, draft, call.query.integer(DELAY_PARAMETER, 0), None)
    room = get_own_room(db, call.parameter("roomId"))
    if _invites_others_user(call, draft):
        return remote_membership.invite_as_drafted(call, room, draft)
    sent = send_event(db, call.context.local_server, room, call.user_id, draft)
    return json_response({"event_id": sent.event_id})


def _invites_others_user(call: Call, draft: Draft) -> bool:
    """Whether another server's user is invited, who can be asked."""
    if draft.type != "m.room.member" or draft.content.get("membership") != "invite":
        return False
    return draft.state_key is not None and is_user_id(draft.state_key) and may_ask(call, draft.state_key)


def _with_duration(call: Call, draft: Draft) -> Draft:
    """The draft as the request's parameter wants it: sticky or not (MSC4354). Raises InvalidParam."""
    if _STICKY_PARAMETER not in call.query:
        return draft
    return replace(draft, sticky_ms=check_sticky_ms(call.query.integer(_STICKY_PARAMETER, 0)))


def _send_once(call: Call, db: Db, path: str, draft: Draft) -> Response:
    """Send under the request's transaction id; `path` is what the id counts for, within the room."""
    room = get_own_room(db, call.parameter("roomId"))
    transaction = ClientTransaction(
        user_id=call.user_id,
        device_id=call.requester.device_id,
        path=f"{room.room_id}/{path}",
        transaction_id=call.parameter("txnId"),
    )
    sent = send_event(db, call.context.local_server, room, call.user_id, draft, transaction=transaction)
    return json_response({"event_id": sent.event_id})
