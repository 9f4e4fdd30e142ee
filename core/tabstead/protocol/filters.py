"""Filters: what a client wants to see of the streams.

`parse_` functions take the JSON that a client uploaded, or put into a query, and raise BadJson naming what is wrong
with it. What a filter doesn't mention, it lets through.
(client-server API, "Filtering")
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from tabstead.errors import BadJson
from tabstead.protocol.canonical_json import JsonDict

MAX_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """An EventFilter or RoomEventFilter. None stands for "all"."""

    limit: int | None = None
    """At most MAX_LIMIT; None: the default of the place."""
    types: tuple[str, ...] | None = None
    not_types: tuple[str, ...] = ()
    """Types may contain `*` for any characters."""
    senders: frozenset[str] | None = None
    not_senders: frozenset[str] = frozenset()
    rooms: frozenset[str] | None = None
    not_rooms: frozenset[str] = frozenset()
    contains_url: bool | None = None
    lazy_load_members: bool = False
    include_redundant_members: bool = False
    unread_thread_notifications: bool = False
    related_by_types: tuple[str, ...] | None = None
    related_by_senders: tuple[str, ...] | None = None
    """The relation types and senders of the events of which one must relate to the event; storage knows them."""

    def allows_room(self, room_id: str) -> bool:
        return room_id not in self.not_rooms and (self.rooms is None or room_id in self.rooms)

    def allows_type(self, event_type: str) -> bool:
        if any(matches_type(pattern, event_type) for pattern in self.not_types):
            return False
        return self.types is None or any(matches_type(pattern, event_type) for pattern in self.types)

    def allows_sender(self, sender: str) -> bool:
        return sender not in self.not_senders and (self.senders is None or sender in self.senders)

    def allows(self, event_type: str, sender: str, content: Mapping[str, Any]) -> bool:
        """Whether the event passes; `rooms` and `limit` are the caller's."""
        if self.contains_url is not None and ("url" in content) is not self.contains_url:
            return False
        return self.allows_sender(sender) and self.allows_type(event_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncFilter:
    """What a client wants to see of the answers of /sync."""

    event_fields: tuple[tuple[str, ...], ...] | None = None
    """Paths of the fields to show."""
    federation_format: bool = False
    presence: EventFilter = EventFilter()
    account_data: EventFilter = EventFilter()
    rooms: EventFilter = EventFilter()
    """Only its `rooms` and `not_rooms`: they count before those of the other filters."""
    include_leave: bool = False
    timeline: EventFilter = EventFilter()
    state: EventFilter = EventFilter()
    ephemeral: EventFilter = EventFilter()
    room_account_data: EventFilter = EventFilter()


def parse_sync_filter(definition: JsonDict) -> SyncFilter:
    """The filter of a definition. Raises BadJson."""
    room = _object(definition, "room")
    event_format = definition.get("event_format", "client")
    if event_format not in ("client", "federation"):
        raise BadJson("event_format: neither client nor federation.")
    fields = _strings(definition, "event_fields")
    return SyncFilter(
        event_fields=None if fields is None else tuple(split_path(field) for field in fields),
        federation_format=event_format == "federation",
        presence=parse_event_filter(_object(definition, "presence")),
        account_data=parse_event_filter(_object(definition, "account_data")),
        rooms=parse_event_filter({key: room[key] for key in ("rooms", "not_rooms") if key in room}),
        include_leave=_boolean(room, "include_leave") or False,
        timeline=parse_event_filter(_object(room, "timeline")),
        state=parse_event_filter(_object(room, "state")),
        ephemeral=parse_event_filter(_object(room, "ephemeral")),
        room_account_data=parse_event_filter(_object(room, "account_data")),
    )


def parse_event_filter(definition: JsonDict) -> EventFilter:
    """The EventFilter or RoomEventFilter of a definition. Raises BadJson."""
    types, senders, rooms = (_strings(definition, key) for key in ("types", "senders", "rooms"))
    related_types, related_senders = (
        _strings(definition, key) for key in ("related_by_rel_types", "related_by_senders")
    )
    return EventFilter(
        limit=_limit(definition),
        types=None if types is None else tuple(types),
        not_types=tuple(_strings(definition, "not_types") or ()),
        senders=None if senders is None else frozenset(senders),
        not_senders=frozenset(_strings(definition, "not_senders") or ()),
        rooms=None if rooms is None else frozenset(rooms),
        not_rooms=frozenset(_strings(definition, "not_rooms") or ()),
        contains_url=_boolean(definition, "contains_url"),
        lazy_load_members=_boolean(definition, "lazy_load_members") or False,
        include_redundant_members=_boolean(definition, "include_redundant_members") or False,
        unread_thread_notifications=_boolean(definition, "unread_thread_notifications") or False,
        related_by_types=None if related_types is None else tuple(related_types),
        related_by_senders=None if related_senders is None else tuple(related_senders),
    )


def matches_type(pattern: str, event_type: str) -> bool:
    """Whether an event type is the pattern's, in which `*` stands for any characters."""
    return bool(_type_matcher(pattern)(event_type)) if "*" in pattern else pattern == event_type


def select_fields(event: JsonDict, paths: tuple[tuple[str, ...], ...]) -> JsonDict:
    """The event with nothing but the fields at these paths, as far as it has them."""
    selected: JsonDict = {}
    for path in paths:
        _copy_field(event, selected, path)
    return selected


def split_path(path: str) -> tuple[str, ...]:
    """The keys of a dot-separated property path, where a backslash takes a dot's or a backslash's meaning.

    (appendices, "Dot-separated property paths")
    """
    keys = [""]
    for token in re.findall(r"\\[\\.]|.", path, re.DOTALL):
        if token == ".":
            keys.append("")
        else:
            keys[-1] += token[-1]
    return tuple(keys)


def _copy_field(source: JsonDict, target: JsonDict, path: tuple[str, ...]) -> None:
    *parents, last = path or ("",)
    for key in parents:
        value = source.get(key)
        if not isinstance(value, dict):
            return
        source = value
    if last not in source:
        return
    for key in parents:
        target = target.setdefault(key, {})
    target[last] = source[last]


@lru_cache(maxsize=256)
def _type_matcher(pattern: str) -> Callable[[str], object]:
    expression = ".*".join(re.escape(part) for part in re.split(r"\*+", pattern))
    return re.compile(expression, re.DOTALL).fullmatch


def _limit(definition: JsonDict) -> int | None:
    limit = definition.get("limit")
    if limit is None:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise BadJson("limit: not a positive integer.")
    return min(limit, MAX_LIMIT)


def _object(definition: JsonDict, key: str) -> JsonDict:
    value = definition.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadJson(f"{key}: not an object.")
    return value


def _strings(definition: JsonDict, key: str) -> list[str] | None:
    value = definition.get(key)
    if value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        raise BadJson(f"{key}: not an array of strings.")
    return value


def _boolean(definition: JsonDict, key: str) -> bool | None:
    value = definition.get(key)
    if value is not None and not isinstance(value, bool):
        raise BadJson(f"{key}: not a boolean.")
    return value
