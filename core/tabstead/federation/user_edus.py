"""Presence, devices and messages to devices, from other servers.

Server-server API, § Presence, § Device Management, § Send-to-device messaging.
"""

from typing import Any, Final

from tabstead.encryption.remote_devices import apply_device_update, apply_signing_key_update, is_list_kept
from tabstead.errors import BadJson, InvalidParam, MatrixError
from tabstead.federation.edu_context import EduContext, check_owner
from tabstead.http import JsonObject
from tabstead.protocol.identifiers import ServerName
from tabstead.storage.database import Db
from tabstead.storage.remote_devices import insert_inbound_message
from tabstead.storage.room_servers import is_server_near
from tabstead.streams.presence import take_remote_presence
from tabstead.streams.to_device import deliver, is_message_map

_MAX_PUSHES: Final = 1000
_MAX_STATUS_LENGTH: Final = 2048
_MAX_ID_LENGTH: Final = 255
_MAX_RECEIVERS: Final = 5000
"""Users that a message may be for."""


def receive_presence(db: Db, context: EduContext, origin: ServerName, content: JsonObject) -> None:
    """m.presence: of several users. One that means nothing leaves the others alone."""
    for push in content.array("push")[:_MAX_PUSHES]:
        try:
            _take_presence(db, context, origin, push)
        except MatrixError:
            continue


def _take_presence(db: Db, context: EduContext, origin: ServerName, push: Any) -> None:
    given = JsonObject(push if isinstance(push, dict) else {})
    user_id, status_msg = given.string("user_id"), given.find_string("status_msg")
    check_owner(origin, user_id)
    if not is_server_near(db, user_id, context.server.name):
        return
    take_remote_presence(
        db,
        user_id,
        given.string("presence"),
        None if status_msg is None else status_msg[:_MAX_STATUS_LENGTH],
        last_active_ago=max(given.integer("last_active_ago", 0), 0),
        now_ms=context.server.now_ms(),
    )


def receive_device_update(db: Db, context: EduContext, origin: ServerName, content: JsonObject) -> None:
    """m.device_list_update."""
    user_id = content.string("user_id")
    check_owner(origin, user_id)
    if is_list_kept(db, context.server, user_id):
        apply_device_update(db, user_id, content, context.server.now_ms())


def receive_signing_keys(db: Db, context: EduContext, origin: ServerName, content: JsonObject) -> None:
    """m.signing_key_update."""
    user_id = content.string("user_id")
    check_owner(origin, user_id)
    if is_list_kept(db, context.server, user_id):
        apply_signing_key_update(db, user_id, content)


def receive_messages(db: Db, context: EduContext, origin: ServerName, content: JsonObject) -> None:
    """m.direct_to_device: each message counts once, however often it is sent."""
    sender, event_type, message_id = (content.string(name) for name in ("sender", "type", "message_id"))
    check_owner(origin, sender)
    messages = content.object("messages")
    if not all(map(is_message_map, messages.values())):
        raise BadJson("'messages' must map user ids to device ids to objects.")
    if len(message_id) > _MAX_ID_LENGTH or len(event_type) > _MAX_ID_LENGTH or len(messages) > _MAX_RECEIVERS:
        raise InvalidParam("The message is too long.")
    if not insert_inbound_message(db, origin, message_id, context.server.now_ms()):
        return
    for user_id, by_device in messages.items():
        if context.server.owns(user_id):
            deliver(db, user_id, by_device, sender=sender, event_type=event_type)
