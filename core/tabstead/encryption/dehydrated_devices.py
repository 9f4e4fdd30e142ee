"""Dehydrated devices: a device that no client runs, which is sent room keys while its user is logged in nowhere.

A client that logs in reads it, decrypts its secrets and fetches what it was sent; then it makes another one, which
takes its place. The server sees a device with keys like any other, without a token. (MSC3814, version 2)
"""

from typing import Any, Final

from tabstead.accounts.devices import check_display_name, delete_devices
from tabstead.encryption.device_keys import upload_device_keys
from tabstead.encryption.one_time_keys import upload_fallback_keys, upload_one_time_keys
from tabstead.errors import InvalidParam, NotFound
from tabstead.http import JsonObject
from tabstead.storage.database import Db
from tabstead.storage.dehydrated_devices import DehydratedDevice, find_dehydrated_device, insert_dehydrated_device
from tabstead.storage.devices import Device, find_device, insert_device
from tabstead.storage.positions import select_position
from tabstead.storage.to_device import ToDeviceMessage, select_to_device_messages

MESSAGES_PER_PAGE: Final = 100
_MAX_DEVICE_ID_LENGTH: Final = 512


def set_dehydrated_device(db: Db, user_id: str, body: JsonObject, now_ms: int) -> str:
    """Make a dehydrated device in place of the one before; its id. Raises BadJson, MissingParam, InvalidParam."""
    device_id, data = body.string("device_id"), body.object("device_data")
    data.string("algorithm")
    known = find_dehydrated_device(db, user_id)
    if known is not None:
        delete_devices(db, user_id, [known.device_id])
    if not 0 < len(device_id) <= _MAX_DEVICE_ID_LENGTH or find_device(db, user_id, device_id) is not None:
        raise InvalidParam("The device ID must be a new one.")
    name = check_display_name(body.find_string("initial_device_display_name"))
    insert_device(db, user_id, Device(device_id=device_id, display_name=name, last_seen_ts=now_ms, last_seen_ip=""))
    insert_dehydrated_device(db, user_id, DehydratedDevice(device_id=device_id, data=data.values_dict))
    upload_device_keys(db, user_id, device_id, body.object("device_keys"))
    upload_one_time_keys(db, user_id, device_id, body.object("one_time_keys", {}))
    upload_fallback_keys(db, user_id, device_id, body.object("fallback_keys", {}))
    return device_id


def get_dehydrated_device(db: Db, user_id: str) -> DehydratedDevice:
    """Raises NotFound."""
    device = find_dehydrated_device(db, user_id)
    if device is None:
        raise NotFound("You have no dehydrated device.")
    return device


def remove_dehydrated_device(db: Db, user_id: str) -> str:
    """Its id. Raises NotFound."""
    device = get_dehydrated_device(db, user_id)
    delete_devices(db, user_id, [device.device_id])
    return device.device_id


def select_dehydrated_messages(db: Db, user_id: str, device_id: str, after: int) -> list[ToDeviceMessage]:
    """A page of what the device was sent. They stay until the device goes. Raises NotFound for another device."""
    if get_dehydrated_device(db, user_id).device_id != device_id:
        raise NotFound("This is not your dehydrated device.")
    return select_to_device_messages(
        db, user_id, device_id, after=after, up_to=select_position(db), limit=MESSAGES_PER_PAGE
    )


def describe_message(message: ToDeviceMessage) -> dict[str, Any]:
    """A to-device message as clients see it."""
    return {"sender": message.sender, "type": message.type, "content": message.content}
