"""How far the user has read. Client-Server API, § Receipts, § Read and unread markers."""

from tabstead.client_api.call import Call
from tabstead.client_api.routes import Routes
from tabstead.errors import Forbidden, InvalidParam
from tabstead.http import JsonObject, Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.memberships import is_joined
from tabstead.storage.rooms import Room, find_room
from tabstead.streams.receipts import FULLY_READ, RECEIPT_TYPES, mark_fully_read, mark_read

routes = Routes()


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}")
def send_receipt(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}. § Receipts."""
    receipt_type, event_id = call.parameter("receiptType"), call.parameter("eventId")
    thread_id = _thread_id(call.request.optional_json_object())
    if receipt_type == FULLY_READ:
        if thread_id is not None:
            raise InvalidParam("The fully-read marker knows no threads.")
        mark_fully_read(db, _joined_room(call, db), call.user_id, event_id)
    elif receipt_type in RECEIPT_TYPES:
        _mark_read(call, db, receipt_type, event_id, thread_id)
    else:
        raise InvalidParam("There is no such type of receipts.")
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/read_markers")
def set_read_markers(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/read_markers. § Read and unread markers."""
    body = call.request.optional_json_object()
    fully_read = body.find_string(FULLY_READ)
    if fully_read is not None:
        mark_fully_read(db, _joined_room(call, db), call.user_id, fully_read)
    for receipt_type in RECEIPT_TYPES:
        event_id = body.find_string(receipt_type)
        if event_id is not None:
            _mark_read(call, db, receipt_type, event_id, None)
    return json_response({})


def _mark_read(call: Call, db: Db, receipt_type: str, event_id: str, thread_id: str | None) -> None:
    mark_read(
        db,
        _joined_room(call, db),
        call.user_id,
        event_id,
        receipt_type=receipt_type,
        thread_id=thread_id,
        now_ms=call.now_ms,
    )


def _joined_room(call: Call, db: Db) -> Room:
    room = find_room(db, call.parameter("roomId"))
    if room is None or not is_joined(db, call.user_id, room.room_nid):
        raise Forbidden("You are not joined to this room.")
    return room


def _thread_id(body: JsonObject) -> str | None:
    if "thread_id" not in body:
        return None
    thread_id = body["thread_id"]
    if not isinstance(thread_id, str) or not thread_id:
        raise InvalidParam("'thread_id' must be a string that is not empty.")
    return thread_id
