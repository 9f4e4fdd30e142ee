"""Devices and cross-signing keys of other servers' users: what is kept of what their servers tell.

A list is kept as long as its user shares a room with a user of this server, since so long changes of it are told. Each
change names the one before it. Where that is not the last one that the list has, something was missed: the list is
stale, and is asked for as a whole. What nobody tells of is not kept. (server-server API, § Device Management)

Keys are kept as they came; whether their signatures hold, the clients have to see for themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tabstead.encryption.device_keys import RESULT_OF_USAGE, QueriedKeys, show_device
from tabstead.encryption.signed_keys import find_signatures, visible_key
from tabstead.errors import BadJson
from tabstead.http import JsonObject
from tabstead.protocol.signatures import ALGORITHM
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.cross_signing import (
    CrossSigningKey,
    KeySignature,
    delete_cross_signing_key,
    insert_cross_signing_key,
    select_cross_signing_keys,
    select_key_signatures,
)
from tabstead.storage.database import Db
from tabstead.storage.device_keys import DeviceKeys
from tabstead.storage.device_lists import insert_device_list_change
from tabstead.storage.events import PersistedEvent
from tabstead.storage.memberships import select_joined_users
from tabstead.storage.remote_devices import (
    RemoteDeviceList,
    delete_remote_devices,
    delete_remote_list,
    find_remote_list,
    select_remote_devices,
    update_remote_devices,
    update_remote_list,
)
from tabstead.storage.room_servers import is_server_in, is_server_near

MAX_DEVICES: Final = 1000
"""Of a user; whoever claims more has no list here."""
MAX_STREAM_ID: Final = 2**53

_ASK_AGAIN_MS: Final = 60_000
_MAX_ID_LENGTH: Final = 512
_MAX_NAME_LENGTH: Final = 512
_USAGES: Final = ("master", "self_signing")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldList:
    """A user's list as the user's server told it."""

    user_id: str
    stream_id: int
    devices: tuple[DeviceKeys, ...]
    cross_signing_keys: tuple[CrossSigningKey, ...]


def parse_told_list(user_id: str, body: JsonObject) -> ToldList:
    """The answer of /user/devices. Devices without keys, or with somebody else's, are left out. Raises BadJson."""
    given = body.array("devices")
    if body.string("user_id") != user_id or len(given) > MAX_DEVICES:
        raise BadJson("This is no list of the user's devices.")
    devices = [parse_device(user_id, JsonObject(device)) for device in given if isinstance(device, dict)]
    return ToldList(
        user_id=user_id,
        stream_id=parse_stream_id(body.integer("stream_id")),
        devices=tuple(device for device in devices if device is not None),
        cross_signing_keys=tuple(parse_cross_signing_keys(user_id, body)),
    )


def parse_device(user_id: str, device: JsonObject) -> DeviceKeys | None:
    """A device of a list or of an update; None for one without keys of its own. Raises BadJson, MissingParam."""
    device_id, name = device.string("device_id"), device.find_string("device_display_name")
    keys = device.find_object("keys")
    if len(device_id) > _MAX_ID_LENGTH:
        raise BadJson("The device ID is too long.")
    if keys is None or not is_device_keys(user_id, device_id, keys.values_dict):
        return None
    return DeviceKeys(
        device_id=device_id, keys=keys.values_dict, display_name=None if name is None else name[:_MAX_NAME_LENGTH]
    )


def is_device_keys(user_id: str, device_id: str, keys: object) -> bool:
    """Whether a key object is that of the user's device."""
    return isinstance(keys, dict) and keys.get("user_id") == user_id and keys.get("device_id") == device_id


def parse_cross_signing_keys(user_id: str, body: JsonObject) -> Iterable[CrossSigningKey]:
    """The master and the self-signing key of a list or of an update, as far as they are that."""
    for usage in _USAGES:
        key = body.find_object(f"{usage}_key")
        found = None if key is None else find_cross_signing_key(user_id, usage, key.values_dict)
        if found is not None:
            yield found


def find_cross_signing_key(user_id: str, usage: str, key: Mapping[str, Any]) -> CrossSigningKey | None:
    """The key object as a cross-signing key of the user; None if it isn't one."""
    keys, usages = key.get("keys"), key.get("usage")
    if key.get("user_id") != user_id or not isinstance(keys, dict) or len(keys) != 1:
        return None
    if not isinstance(usages, list) or usage not in usages:
        return None
    ((key_id, public_key),) = keys.items()
    if not isinstance(public_key, str) or key_id != f"{ALGORITHM}:{public_key}":
        return None
    return CrossSigningKey(usage=usage, public_key=public_key, key=dict(key))


def parse_stream_id(stream_id: int) -> int:
    """Raises BadJson for what no server counts to."""
    if not 0 <= stream_id <= MAX_STREAM_ID:
        raise BadJson("This is no stream_id.")
    return stream_id


def is_list_kept(db: Db, server: LocalServer, user_id: str) -> bool:
    """Whether a list of this user is to be kept: the user shares a room with users of this server."""
    return is_server_near(db, user_id, server.name)


def apply_device_update(db: Db, user_id: str, update: JsonObject, now_ms: int) -> None:
    """Take a change of one device that the user's server tells. Raises BadJson, MissingParam."""
    stream_id = parse_stream_id(update.integer("stream_id"))
    device_id, previous = update.string("device_id"), update.array("prev_id", [])
    device = None if update.boolean("deleted", False) else parse_device(user_id, update)
    known = find_remote_list(db, user_id)
    if known is None:
        insert_device_list_change(db, user_id)
        return
    if known.is_stale:
        update_remote_list(db, replace(known, heard_stream_id=max(known.heard_stream_id, stream_id)))
        return
    if known.stream_id == stream_id:
        return
    if previous != [known.stream_id]:
        update_remote_list(db, replace(known, heard_stream_id=stream_id, retry_ts=now_ms))
        insert_device_list_change(db, user_id)
        return
    if device is None:
        delete_remote_devices(db, user_id, [device_id])
    else:
        update_remote_devices(db, user_id, [device])
    update_remote_list(db, replace(known, stream_id=stream_id))
    insert_device_list_change(db, user_id)


def apply_signing_key_update(db: Db, user_id: str, update: JsonObject) -> None:
    """Take new cross-signing keys that the user's server tells."""
    if find_remote_list(db, user_id) is not None:
        _replace_cross_signing_keys(db, user_id, parse_cross_signing_keys(user_id, update), is_all=False)
    insert_device_list_change(db, user_id)


def mark_stale(db: Db, user_id: str, now_ms: int) -> None:
    """Have the user's list asked for."""
    known = find_remote_list(db, user_id)
    if known is None:
        known = RemoteDeviceList(user_id=user_id, stream_id=None, heard_stream_id=0, retry_ts=now_ms)
    update_remote_list(db, replace(known, retry_ts=now_ms))


def put_off(db: Db, user_id: str, retry_ts: int) -> None:
    """The list could not be had; ask for it at that time."""
    known = find_remote_list(db, user_id)
    if known is not None and known.is_stale:
        update_remote_list(db, replace(known, retry_ts=retry_ts))


def replace_list(db: Db, server: LocalServer, told: ToldList, now_ms: int) -> None:
    """Keep a list that was asked for, unless the user shares no room any more.

    Where a later change was heard of meanwhile, the list is asked for once more.
    """
    if not is_list_kept(db, server, told.user_id):
        delete_remote_list(db, told.user_id)
        return
    known = find_remote_list(db, told.user_id)
    before = {device.device_id: device for device in select_remote_devices(db, told.user_id)}
    now = {device.device_id: device for device in told.devices}
    delete_remote_devices(db, told.user_id, before.keys() - now.keys())
    changed = [device for device_id, device in now.items() if before.get(device_id) != device]
    update_remote_devices(db, told.user_id, changed)
    has_new_keys = _replace_cross_signing_keys(db, told.user_id, told.cross_signing_keys, is_all=True)
    is_behind = known is not None and known.heard_stream_id > told.stream_id
    update_remote_list(
        db,
        RemoteDeviceList(
            user_id=told.user_id,
            stream_id=told.stream_id,
            heard_stream_id=0,
            retry_ts=now_ms + _ASK_AGAIN_MS if is_behind else None,
        ),
    )
    if changed or has_new_keys or before.keys() - now.keys():
        insert_device_list_change(db, told.user_id)


def query_kept_keys(db: Db, viewer: str, user_id: str, device_ids: Sequence[str], found: QueriedKeys) -> None:
    """Add what is kept of the user to what a local user's query found."""
    added: dict[str, list[KeySignature]] = {}
    for signature in select_key_signatures(db, user_id, {viewer}):
        added.setdefault(signature.key_name, []).append(signature)
    found.device_keys[user_id] = {
        device.device_id: show_device(device, user_id, viewer, added.get(device.device_id, []))
        for device in select_remote_devices(db, user_id, device_ids)
    }
    for usage, key in select_cross_signing_keys(db, user_id).items():
        shown = visible_key(key.key, user_id, viewer, added.get(key.public_key, []))
        getattr(found, RESULT_OF_USAGE[usage])[user_id] = shown


def forget_departed(db: Db, persisted: PersistedEvent, *, server_name: str) -> None:
    """Follow the stream: whoever shares no room any more is not told of, and so not kept."""
    event = persisted.event
    if event.type != "m.room.member" or event.membership not in ("leave", "ban") or event.state_key is None:
        return
    if not event.state_key.endswith(f":{server_name}"):
        _forget_unless_near(db, server_name, [event.state_key])
    elif not is_server_in(db, persisted.room_nid, server_name):
        _forget_unless_near(db, server_name, select_joined_users(db, persisted.room_nid))


def _forget_unless_near(db: Db, server_name: str, user_ids: Iterable[str]) -> None:
    for user_id in user_ids:
        if find_remote_list(db, user_id) is not None and not is_server_near(db, user_id, server_name):
            delete_remote_list(db, user_id)


def _replace_cross_signing_keys(db: Db, user_id: str, keys: Iterable[CrossSigningKey], *, is_all: bool) -> bool:
    """Set these keys, and with `is_all` no others; whether that changed anything."""
    before, now = select_cross_signing_keys(db, user_id), {key.usage: key for key in keys}
    for usage in before.keys() - now.keys() if is_all else ():
        delete_cross_signing_key(db, user_id, usage)
    changed = [key for usage, key in now.items() if usage not in before or not _is_same(before[usage], key)]
    for key in changed:
        insert_cross_signing_key(db, user_id, key)
    return bool(changed) or (is_all and bool(before.keys() - now.keys()))


def _is_same(one: CrossSigningKey, other: CrossSigningKey) -> bool:
    return one.public_key == other.public_key and find_signatures(one.key) == find_signatures(other.key)
