"""Typing notices and receipts of other servers' users. Server-server API, § Typing Notifications, § Receipts."""

from typing import Any, Final

from tabstead.errors import BadJson, MatrixError
from tabstead.federation.edu_context import EduContext, check_member, find_shared_room
from tabstead.http import JsonObject
from tabstead.protocol.identifiers import ServerName
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Db
from tabstead.storage.rooms import Room
from tabstead.streams.receipts import take_receipt

_TYPING_MS: Final = 60_000
"""How long a notice holds that nothing follows."""

_MAX_RECEIPTS: Final = 1000
"""Of an EDU."""
_MAX_THREAD_ID_LENGTH: Final = 255


def receive_typing(db: Db, context: EduContext, origin: ServerName, content: JsonObject) -> None:
    """m.typing."""
    room = find_shared_room(db, context, origin, content.string("room_id"))
    user_id, is_typing, typing_users = content.string("user_id"), content.boolean("typing"), context.typing_users
    check_member(db, room, origin, user_id)
    if is_typing:
        context.afterwards.append(lambda: typing_users.start(room.room_id, user_id, _TYPING_MS))
    else:
        context.afterwards.append(lambda: typing_users.stop(room.room_id, user_id))


def receive_receipts(db: Db, context: EduContext, origin: ServerName, content: JsonObject) -> None:
    """m.receipt: by room, type and user. One that means nothing leaves the others alone."""
    left = _MAX_RECEIPTS
    for room_id in content:
        try:
            room = find_shared_room(db, context, origin, room_id)
            marks = content.object(room_id).object("m.read", {})
        except MatrixError:
            continue
        for user_id in marks:
            if left == 0:
                return
            left -= 1
            try:
                check_member(db, room, origin, user_id)
                _take(db, context.server, room, user_id, marks.object(user_id))
            except MatrixError:
                continue


def _take(db: Db, server: LocalServer, room: Room, user_id: str, mark: JsonObject) -> None:
    """Raises MatrixError for what is no receipt, or one for an event that is not here."""
    event_ids, data = mark.strings("event_ids"), mark.object("data", {})
    thread_id, ts = data.find_string("thread_id"), _time(data.values_dict.get("ts"), server)
    if not event_ids or thread_id == "" or len(thread_id or "") > _MAX_THREAD_ID_LENGTH:
        raise BadJson("This is no receipt.")
    take_receipt(db, room, user_id, event_ids[0], thread_id=thread_id, ts=ts)


def _time(ts: Any, server: LocalServer) -> int:
    now = server.now_ms()
    return ts if isinstance(ts, int) and not isinstance(ts, bool) and 0 <= ts <= now else now
