"""To-device messages: from one device to others. Client-Server API, § Send-to-Device messaging.

A message for devices of another server's users is left for that server, in parts of which each fits into an EDU.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tabstead.errors import BadJson
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import find_server_name_of, is_user_id
from tabstead.storage.client_transactions import ClientTransaction, find_transaction, insert_transaction
from tabstead.storage.database import Db
from tabstead.storage.devices import select_devices
from tabstead.storage.outbound_to_device import insert_outbound_to_device
from tabstead.storage.to_device import insert_to_device_messages

ALL_DEVICES: Final = "*"

_PART_CHARACTERS: Final = 50_000
"""Of JSON in an EDU, about; a single message may have more."""


def send_to_devices(
    db: Db,
    event_type: str,
    messages: Mapping[str, Any],
    *,
    transaction: ClientTransaction,
    server_name: str,
    federates: bool,
    now_ms: int,
) -> None:
    """Leave the messages for their devices; a transaction that comes again does nothing. Raises BadJson.

    `messages` maps user ids to device ids, or "*", to contents. Devices that don't exist get nothing, nor do those of
    other servers unless this one `federates`.
    """
    if find_transaction(db, transaction) is not None:
        return
    elsewhere: dict[str, dict[str, JsonDict]] = {}
    for user_id, by_device in messages.items():
        if not is_message_map(by_device):
            raise BadJson("'messages' must map user ids to device ids to objects.")
        server = find_server_name_of(user_id)
        if server == server_name:
            deliver(db, user_id, by_device, sender=transaction.user_id, event_type=event_type)
        elif federates and server is not None and is_user_id(user_id):
            elsewhere.setdefault(server, {})[user_id] = by_device
    for destination, for_server in elsewhere.items():
        insert_outbound_to_device(db, destination, _build_edus(transaction.user_id, event_type, for_server))
    insert_transaction(db, transaction, None, now_ms)


def is_message_map(by_device: object) -> bool:
    """Whether it maps device ids, or "*", to contents."""
    return isinstance(by_device, dict) and all(isinstance(content, dict) for content in by_device.values())


def deliver(db: Db, user_id: str, by_device: Mapping[str, JsonDict], *, sender: str, event_type: str) -> None:
    """Leave messages for devices of a user of this server, those of them that exist."""
    known = [device.device_id for device in select_devices(db, user_id)] if by_device else []
    for device_id, content in by_device.items():
        receivers = known if device_id == ALL_DEVICES else [device_id] if device_id in known else []
        insert_to_device_messages(db, user_id, receivers, sender=sender, event_type=event_type, content=content)


def _build_edus(sender: str, event_type: str, messages: Mapping[str, Mapping[str, JsonDict]]) -> Iterator[JsonDict]:
    """The contents of m.direct_to_device, each with an id of its own."""
    part: dict[str, dict[str, JsonDict]] = {}
    size = 0
    for user_id, by_device in messages.items():
        for device_id, content in by_device.items():
            length = len(json.dumps(content, ensure_ascii=False))
            if part and size + length > _PART_CHARACTERS:
                yield _edu(sender, event_type, part)
                part, size = {}, 0
            part.setdefault(user_id, {})[device_id] = content
            size += length
    if part:
        yield _edu(sender, event_type, part)


def _edu(sender: str, event_type: str, messages: Mapping[str, Mapping[str, JsonDict]]) -> JsonDict:
    return {"sender": sender, "type": event_type, "message_id": secrets.token_urlsafe(18), "messages": messages}
