"""What a client asks of simplified sliding sync, parsed.

The older form of the request, which clients in the wild send, and that of the accepted proposal differ in names: both
are understood, wherever they come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tabstead.errors import BadJson, InvalidParam
from tabstead.http import JsonObject
from tabstead.sync.sliding.required_state import RequiredState, parse_required_state

MAX_LISTS: Final = 100
MAX_SUBSCRIPTIONS: Final = 100
MAX_TIMELINE: Final = 1000
MAX_NAME: Final = 64
"""Characters of a list's name, or a connection's."""

TO_DEVICE: Final = "to_device"
E2EE: Final = "e2ee"
ACCOUNT_DATA: Final = "account_data"
RECEIPTS: Final = "receipts"
TYPING: Final = "typing"
THREAD_SUBSCRIPTIONS: Final = "io.element.msc4308.thread_subscriptions"
STICKY_EVENTS: Final = "org.matrix.msc4354.sticky_events"

EXTENSIONS: Final = (TO_DEVICE, E2EE, ACCOUNT_DATA, RECEIPTS, TYPING, THREAD_SUBSCRIPTIONS, STICKY_EVENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfig:
    """How much of a room is wanted."""

    timeline_limit: int
    required_state: RequiredState

    def __or__(self, other: "RoomConfig") -> "RoomConfig":
        """Enough for both."""
        return RoomConfig(
            timeline_limit=max(self.timeline_limit, other.timeline_limit),
            required_state=self.required_state | other.required_state,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomFilter:
    """Which rooms a list has; None stands for "either"."""

    is_dm: bool | None = None
    is_encrypted: bool | None = None
    is_invited: bool | None = None
    spaces: frozenset[str] | None = None
    room_types: frozenset[str | None] | None = None
    not_room_types: frozenset[str | None] = frozenset()
    tags: frozenset[str] | None = None
    not_tags: frozenset[str] = frozenset()
    name_like: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    ranges: tuple[tuple[int, int], ...] | None
    """First and last index, from 0; None for all of it."""
    filter: RoomFilter
    config: RoomConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """An extension that is switched on."""

    lists: frozenset[str] | None = None
    """The lists whose rooms it is about; None for all."""
    rooms: frozenset[str] | None = None
    """The subscriptions that it is about; None for all."""
    limit: int = 100
    since: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingRequest:
    user_id: str
    device_id: str
    conn_id: str
    pos: str | None
    set_presence: str
    lists: Mapping[str, ListRequest]
    subscriptions: Mapping[str, RoomConfig]
    extensions: Mapping[str, Extension] = field(default_factory=dict)


def parse_lists(body: JsonObject, user_id: str) -> dict[str, ListRequest]:
    """Raises BadJson, or InvalidParam for too many."""
    return {_check_name(name): _parse_list(value, user_id) for name, value in _entries(body, "lists", MAX_LISTS)}


def parse_subscriptions(body: JsonObject, user_id: str) -> dict[str, RoomConfig]:
    """By room id. Raises BadJson, or InvalidParam for too many."""
    entries = _entries(body, "room_subscriptions", MAX_SUBSCRIPTIONS)
    return {room_id: _parse_config(value, user_id) for room_id, value in entries}


def parse_extensions(body: JsonObject) -> dict[str, Extension]:
    """Those that are switched on and known here. Raises BadJson."""
    given = body.object("extensions", {})
    return {
        name: _parse_extension(extension)
        for name in EXTENSIONS
        if (extension := given.find_object(name)) is not None and extension.boolean("enabled", False)
    }


def parse_conn_id(body: JsonObject) -> str:
    return _check_name(body.string("conn_id", ""))


def _entries(body: JsonObject, key: str, limit: int) -> list[tuple[str, JsonObject]]:
    entries = body.object(key, {})
    if len(entries) > limit:
        raise InvalidParam(f"'{key}' may have at most {limit} entries.")
    return [(name, entries.object(name)) for name in entries]


def _check_name(name: str) -> str:
    if len(name) > MAX_NAME:
        raise InvalidParam(f"A name has at most {MAX_NAME} characters.")
    return name


def _parse_list(value: JsonObject, user_id: str) -> ListRequest:
    return ListRequest(
        ranges=_parse_ranges(value),
        filter=_parse_filter(value.object("filters", {})),
        config=_parse_config(value, user_id),
    )


def _parse_config(value: JsonObject, user_id: str) -> RoomConfig:
    limit = value.integer("timeline_limit")
    if limit < 0:
        raise BadJson("'timeline_limit' must not be negative.")
    if "required_state" not in value:
        raise BadJson("'required_state' is missing.")
    return RoomConfig(
        timeline_limit=min(limit, MAX_TIMELINE), required_state=parse_required_state(value["required_state"], user_id)
    )


def _parse_ranges(value: JsonObject) -> tuple[tuple[int, int], ...] | None:
    if value.boolean("slow_get_all_rooms", False):
        return None
    ranges = value.get("ranges")
    if ranges is None and value.get("range") is not None:
        ranges = [value["range"]]
    if ranges is None:
        return None
    if not isinstance(ranges, list):
        raise BadJson("'ranges' must be an array.")
    return tuple(_parse_range(pair) for pair in ranges)


def _parse_range(pair: Any) -> tuple[int, int]:
    is_pair = isinstance(pair, list) and len(pair) == 2
    if not is_pair or not all(isinstance(end, int) and not isinstance(end, bool) and end >= 0 for end in pair):
        raise BadJson("A range must be two indices, from 0.")
    return pair[0], pair[1]


def _parse_filter(value: JsonObject) -> RoomFilter:
    return RoomFilter(
        is_dm=_optional_boolean(value, "is_dm"),
        is_encrypted=_optional_boolean(value, "is_encrypted"),
        is_invited=_optional_boolean(value, "is_invited" if "is_invited" in value else "is_invite"),
        spaces=_optional_strings(value, "spaces"),
        room_types=_room_types(value, "room_types"),
        not_room_types=_room_types(value, "not_room_types") or frozenset(),
        tags=_optional_strings(value, "tags"),
        not_tags=_optional_strings(value, "not_tags") or frozenset(),
        name_like=value.find_string("room_name_like"),
    )


def _optional_boolean(value: JsonObject, key: str) -> bool | None:
    return None if value.get(key) is None else value.boolean(key)


def _optional_strings(value: JsonObject, key: str) -> frozenset[str] | None:
    return None if value.get(key) is None else frozenset(value.strings(key))


def _room_types(value: JsonObject, key: str) -> frozenset[str | None] | None:
    types = value.get(key)
    if types is None:
        return None
    if not isinstance(types, list) or not all(item is None or isinstance(item, str) for item in types):
        raise BadJson(f"'{key}' must be an array of strings and nulls.")
    return frozenset(types)


def _parse_extension(value: JsonObject) -> Extension:
    return Extension(
        lists=_names(value, "lists"),
        rooms=_names(value, "rooms"),
        limit=min(max(value.integer("limit", 100), 0), 1000),
        since=value.find_string("since"),
    )


def _names(value: JsonObject, key: str) -> frozenset[str] | None:
    names = _optional_strings(value, key)
    return None if names is None or "*" in names else names
