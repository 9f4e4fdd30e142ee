"""To-device messages: from one device to others. Client-Server API, § Send-to-Device messaging."""

from typing import Any, Final

from tabstead.errors import BadJson
from tabstead.storage.client_transactions import ClientTransaction, find_transaction, insert_transaction
from tabstead.storage.database import Db
from tabstead.storage.devices import select_devices
from tabstead.storage.to_device import insert_to_device_messages

ALL_DEVICES: Final = "*"


def send_to_devices(
    db: Db, event_type: str, messages: dict[str, Any], *, transaction: ClientTransaction, now_ms: int
) -> None:
    """Leave the messages for their devices; a transaction that comes again does nothing. Raises BadJson.

    `messages` maps user ids to device ids, or "*", to contents. Devices that don't exist get nothing.
    """
    if find_transaction(db, transaction) is not None:
        return
    for user_id, by_device in messages.items():
        if not isinstance(by_device, dict) or not all(isinstance(content, dict) for content in by_device.values()):
            raise BadJson("'messages' must map user ids to device ids to objects.")
        known = [device.device_id for device in select_devices(db, user_id)] if by_device else []
        for device_id, content in by_device.items():
            receivers = known if device_id == ALL_DEVICES else [device_id] if device_id in known else []
            insert_to_device_messages(
                db, user_id, receivers, sender=transaction.user_id, event_type=event_type, content=content
            )
    insert_transaction(db, transaction, None, now_ms)
