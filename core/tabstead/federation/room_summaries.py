"""What another server says of rooms, made fit to be shown: what has the wrong type is left out.

(Client-Server API, § Published room directory, § Spaces)
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import is_room_alias, is_room_id, is_user_id

_MAX_COUNT: Final = 2**53


def read_summary(told: object) -> JsonDict | None:
    """A `PublicRoomsChunk` or `RoomSummary` with the fields that are known; None for what names no room."""
    if not isinstance(told, dict) or not _is_room_id(told.get("room_id")):
        return None
    known = {name: told[name] for name, is_fit in _FIELDS.items() if name in told and is_fit(told[name])}
    return {**_DEFAULTS, **known}


def read_child(told: object) -> JsonDict | None:
    """An `m.space.child` of a space's `children_state`; None for what is none."""
    if not isinstance(told, dict) or told.get("type") != "m.space.child":
        return None
    child = {name: told.get(name) for name in ("type", "state_key", "sender", "content", "origin_server_ts")}
    is_fit = (
        _is_room_id(child["state_key"])
        and _is_text(child["sender"])
        and is_user_id(told["sender"])
        and isinstance(child["content"], dict)
        and isinstance(told["content"].get("via"), list)
        and _is_count(child["origin_server_ts"])
    )
    return child if is_fit else None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT


def _is_room_id(value: object) -> bool:
    return isinstance(value, str) and is_room_id(value)


def _is_alias(value: object) -> bool:
    return isinstance(value, str) and is_room_alias(value)


def _is_picture(value: object) -> bool:
    return isinstance(value, str) and value.startswith("mxc://")


def _are_room_ids(value: object) -> bool:
    return isinstance(value, list) and all(_is_room_id(item) for item in value)


_DEFAULTS: Final[Mapping[str, Any]] = {"num_joined_members": 0, "world_readable": False, "guest_can_join": False}

_FIELDS: Final[Mapping[str, Callable[[object], bool]]] = {
    "room_id": _is_room_id,
    "num_joined_members": _is_count,
    "world_readable": _is_flag,
    "guest_can_join": _is_flag,
    "name": _is_text,
    "topic": _is_text,
    "canonical_alias": _is_alias,
    "avatar_url": _is_picture,
    "join_rule": _is_text,
    "room_type": _is_text,
    "allowed_room_ids": _are_room_ids,
    "encryption": _is_text,
    "room_version": _is_text,
}
