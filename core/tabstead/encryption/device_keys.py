"""Device keys, and what somebody sees of the keys of others. § Device keys"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tabstead.encryption.signed_keys import check_signatures_form, is_same_key, visible_key
from tabstead.errors import BadJson, InvalidParam
from tabstead.http import JsonObject
from tabstead.storage.cross_signing import KeySignature, select_cross_signing_keys, select_key_signatures
from tabstead.storage.database import Db
from tabstead.storage.device_keys import DeviceKeys, find_device_keys, insert_device_keys, select_device_keys
from tabstead.storage.device_lists import find_device_change, insert_device_list_change
from tabstead.storage.users import find_user

RESULT_OF_USAGE: Final = {
    "master": "master_keys",
    "self_signing": "self_signing_keys",
    "user_signing": "user_signing_keys",
}


@dataclass(slots=True, kw_only=True)
class QueriedKeys:
    """What a query found, as the response has it: by user, devices by their ID."""

    device_keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    master_keys: dict[str, Any] = field(default_factory=dict)
    self_signing_keys: dict[str, Any] = field(default_factory=dict)
    user_signing_keys: dict[str, Any] = field(default_factory=dict)


def upload_device_keys(db: Db, user_id: str, device_id: str, keys: JsonObject) -> None:
    """Set the keys of a device. Raises BadJson, InvalidParam."""
    if keys.string("user_id") != user_id or keys.string("device_id") != device_id:
        raise InvalidParam("These are not the keys of the device that you are logged in with.")
    keys.strings("algorithms")
    if not all(isinstance(key, str) for key in keys.object("keys").values()):
        raise BadJson("'keys' must be an object of strings.")
    check_signatures_form(keys)
    stored = find_device_keys(db, user_id, device_id)
    if stored is not None and is_same_key(stored, keys.values_dict):
        return
    insert_device_keys(db, user_id, device_id, keys.values_dict)
    insert_device_list_change(db, user_id, [device_id])


def query_keys(db: Db, viewer: str | None, queried: Mapping[str, Sequence[str]]) -> QueriedKeys:
    """The keys of this server's users: of the devices named, or of all where none is.

    `viewer` is who asks; None for another server. A user who does not exist is missing from the result.
    """
    found = QueriedKeys()
    for user_id, device_ids in queried.items():
        user = find_user(db, user_id)
        if user is not None and not user.is_deactivated:
            _query_user(db, viewer, user_id, device_ids, found)
    return found


def describe_device(db: Db, user_id: str, device_id: str) -> dict[str, Any]:
    """A device as an m.device_list_update says it is: its keys and its name, or that it was deleted."""
    devices = select_device_keys(db, user_id, [device_id])
    if not devices:
        return {"deleted": True}
    signatures = [each for each in select_key_signatures(db, user_id, {user_id}) if each.key_name == device_id]
    name = devices[0].display_name
    keys = visible_key(devices[0].keys, user_id, None, signatures)
    return {"keys": keys} if name is None else {"keys": keys, "device_display_name": name}


def describe_device_list(db: Db, user_id: str) -> dict[str, Any]:
    """All of a user's devices that have keys, and the cross-signing keys that other servers know."""
    device_ids = [device.device_id for device in select_device_keys(db, user_id)]
    return {
        **describe_cross_signing_keys(db, user_id),
        "stream_id": find_device_change(db, user_id) or 0,
        "devices": [{"device_id": each, **describe_device(db, user_id, each)} for each in device_ids],
    }


def describe_cross_signing_keys(db: Db, user_id: str) -> dict[str, Any]:
    """The cross-signing keys that other servers know, as an m.signing_key_update says them."""
    found = QueriedKeys()
    _query_user(db, None, user_id, (), found)
    keys = {"master_key": found.master_keys, "self_signing_key": found.self_signing_keys}
    return {"user_id": user_id} | {name: by_user[user_id] for name, by_user in keys.items() if user_id in by_user}


def _query_user(db: Db, viewer: str | None, user_id: str, device_ids: Sequence[str], found: QueriedKeys) -> None:
    signers = {user_id} if viewer is None else {user_id, viewer}
    added: dict[str, list[KeySignature]] = {}
    for signature in select_key_signatures(db, user_id, signers):
        added.setdefault(signature.key_name, []).append(signature)
    found.device_keys[user_id] = {
        device.device_id: show_device(device, user_id, viewer, added.get(device.device_id, []))
        for device in select_device_keys(db, user_id, device_ids)
    }
    for usage, key in select_cross_signing_keys(db, user_id).items():
        if usage != "user_signing" or viewer == user_id:
            shown = visible_key(key.key, user_id, viewer, added.get(key.public_key, []))
            getattr(found, RESULT_OF_USAGE[usage])[user_id] = shown


def show_device(device: DeviceKeys, user_id: str, viewer: str | None, added: list[KeySignature]) -> dict[str, Any]:
    """A device as the viewer sees it."""
    shown = visible_key(device.keys, user_id, viewer, added)
    if device.display_name is not None:
        shown["unsigned"] = {"device_display_name": device.display_name}
    return shown
