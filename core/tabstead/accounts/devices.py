"""Devices: made by logging in, ended by logging out; a device's tokens and keys end with it."""

import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tabstead.accounts.access import Grant, grant_tokens
from tabstead.accounts.moderation import check_not_locked
from tabstead.errors import InvalidParam, NotFound
from tabstead.storage import access_tokens, devices
from tabstead.storage.cross_signing import delete_key_signatures, select_cross_signing_keys
from tabstead.storage.database import Db
from tabstead.storage.dehydrated_devices import delete_dehydrated_device
from tabstead.storage.device_keys import delete_device_keys, find_device_keys
from tabstead.storage.device_lists import insert_device_list_change
from tabstead.storage.devices import Device
from tabstead.storage.one_time_keys import delete_one_time_keys
from tabstead.storage.pushers import delete_device_pushers
from tabstead.storage.sliding_sync import delete_connections
from tabstead.storage.to_device import delete_to_device_messages

_MAX_DEVICE_ID_BYTES: Final = 512
_MAX_DISPLAY_NAME_CHARACTERS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDevice:
    """What a client asks for when it logs in."""

    device_id: str | None = None
    """An existing device's, a new one's, or None: the server chooses."""
    display_name: str | None = None
    """Of a new device."""
    refreshable: bool = False
    """The client can refresh its access token."""
    address: str = ""
    oauth_client_id: str | None = None
    """The client that logs in over the OAuth 2.0 API."""


def log_in(db: Db, user_id: str, new: NewDevice, now_ms: int) -> Grant:
    """Tokens for a device of the user, new or known; a known device's old tokens end.

    Raises InvalidParam, or UserLocked.
    """
    check_not_locked(db, user_id)
    device_id = _check_device_id(db, user_id, new.device_id) if new.device_id is not None else _generate_device_id()
    known = devices.find_device(db, user_id, device_id)
    if known is None:
        devices.insert_device(
            db,
            user_id,
            Device(
                device_id=device_id,
                display_name=check_display_name(new.display_name),
                last_seen_ts=now_ms,
                last_seen_ip=new.address,
            ),
        )
    else:
        access_tokens.delete_access_tokens(db, user_id, device_id)
    return grant_tokens(
        db, user_id, device_id, refreshable=new.refreshable, now_ms=now_ms, oauth_client_id=new.oauth_client_id
    )


def delete_devices(db: Db, user_id: str, device_ids: Iterable[str]) -> None:
    """End devices with all that is theirs; unknown ones are no error."""
    had_keys = [device_id for device_id in device_ids if _delete_device(db, user_id, device_id)]
    if had_keys:
        insert_device_list_change(db, user_id, had_keys)


def delete_other_devices(db: Db, user_id: str, device_id: str) -> None:
    """End all of the user's devices but this one."""
    others = [device.device_id for device in devices.select_devices(db, user_id)]
    delete_devices(db, user_id, [other for other in others if other != device_id])


def delete_all_devices(db: Db, user_id: str) -> None:
    """End all of the user's devices."""
    delete_devices(db, user_id, [device.device_id for device in devices.select_devices(db, user_id)])


def rename_device(db: Db, user_id: str, device_id: str, display_name: str) -> None:
    """Give a device another name, which those who share rooms with the user learn. Raises InvalidParam, NotFound."""
    device = get_device(db, user_id, device_id)
    if check_display_name(display_name) == device.display_name:
        return
    devices.update_display_name(db, user_id, device_id, display_name)
    if find_device_keys(db, user_id, device_id) is not None:
        insert_device_list_change(db, user_id, [device_id])


def get_device(db: Db, user_id: str, device_id: str) -> Device:
    """Raises NotFound."""
    device = devices.find_device(db, user_id, device_id)
    if device is None:
        raise NotFound("You have no such device.")
    return device


def _delete_device(db: Db, user_id: str, device_id: str) -> bool:
    """Whether it had keys, so that others have to be told."""
    access_tokens.delete_access_tokens(db, user_id, device_id)
    devices.delete_device(db, user_id, device_id)
    delete_dehydrated_device(db, user_id, device_id)
    delete_one_time_keys(db, user_id, device_id)
    delete_key_signatures(db, user_id, device_id)
    delete_to_device_messages(db, user_id, device_id)
    delete_connections(db, user_id, device_id)
    delete_device_pushers(db, user_id, device_id)
    return delete_device_keys(db, user_id, device_id)


def check_display_name(display_name: str | None) -> str | None:
    """Raises InvalidParam for a name that is too long."""
    if display_name is not None and len(display_name) > _MAX_DISPLAY_NAME_CHARACTERS:
        raise InvalidParam(f"A device's display name has at most {_MAX_DISPLAY_NAME_CHARACTERS} characters.")
    return display_name


def _check_device_id(db: Db, user_id: str, device_id: str) -> str:
    if not device_id or len(device_id.encode("utf-8", "surrogatepass")) > _MAX_DEVICE_ID_BYTES:
        raise InvalidParam(f"A device ID has 1 to {_MAX_DEVICE_ID_BYTES} bytes.")
    # "Servers MUST not allow devices to have the same IDs as cross-signing keys."
    if device_id in {key.public_key for key in select_cross_signing_keys(db, user_id).values()}:
        raise InvalidParam("A device may not have the ID of a cross-signing key.")
    return device_id


def _generate_device_id() -> str:
    return "".join(secrets.choice(string.ascii_uppercase) for _ in range(10))
