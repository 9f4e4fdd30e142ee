"""Power levels: who may do what, read from `m.room.power_levels` with its defaults; and the rule that guards changes.

`PowerLevels` is a view: it parses no more of the event than what is asked, so that a room with 50,000 listed users
costs no more than one with two. A room creator of version 12 and later has a level above all integers, `math.inf`.
A level that cannot be read (which only a room's first power levels event in versions 1 to 9 can hold) counts as absent.
(client-server API, `m.room.power_levels`)
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tabstead.protocol.auth_rules.verdict import ALLOWED, Rejected, Verdict
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import is_user_id
from tabstead.protocol.room_versions import RoomVersion

PowerLevel: TypeAlias = float
"""An integer, or infinity for room creators since version 12."""

CREATOR_LEVEL_WITHOUT_EVENT: Final = 100

_DEFAULTS: Final[Mapping[str, int]] = {
    "users_default": 0,
    "events_default": 0,
    "state_default": 50,
    "ban": 50,
    "redact": 50,
    "kick": 50,
    "invite": 0,
}
_NOTIFICATION_DEFAULT: Final = 50

_integer_string = re.compile(r"\s*[+-]?[0-9]{1,400}\s*").fullmatch


def parse_power_level(value: Any, room_version: RoomVersion) -> int | None:
    """The integer that a value in a power levels event denotes, or None if it denotes none.

    v1-v9: strings like `" +0100 "` and floats, which are truncated, too. v10-: integers alone.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if room_version.integer_power_levels:
        return None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else None
    if isinstance(value, str) and _integer_string(value):
        return int(value)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLevels:
    """The power levels of a room, as its current `m.room.power_levels` or the lack of one has it."""

    content: JsonDict | None
    """The event's content; None if the room has no such event."""
    creators: frozenset[str]
    room_version: RoomVersion

    def user_power_level(self, user_id: str) -> PowerLevel:
        """The power level of a user, who need not be in the room."""
        if user_id in self.creators and self.room_version.privileged_creators:  # v12-
            return math.inf
        if self.content is None:  # v1-v11: creator 100; all: others 0
            return CREATOR_LEVEL_WITHOUT_EVENT if user_id in self.creators else 0
        level = self._entry("users", user_id)
        return self._named("users_default") if level is None else level

    def event_power_level_required(self, event_type: str, *, is_state: bool) -> int:
        """The *required power level* to send an event of this type. Memberships have levels of their own."""
        level = self._entry("events", event_type)
        if level is not None:
            return level
        return self._named("state_default" if is_state else "events_default")

    def notification_power_level_required(self, key: str) -> int:
        """The level to notify everyone by a mention like `@room`, whose key is `room`."""
        level = self._entry("notifications", key)
        return _NOTIFICATION_DEFAULT if level is None else level

    @property
    def invite(self) -> int:
        return self._named("invite")

    @property
    def kick(self) -> int:
        return self._named("kick")

    @property
    def ban(self) -> int:
        return self._named("ban")

    @property
    def redact(self) -> int:
        return self._named("redact")

    def _named(self, name: str) -> int:
        level = parse_power_level((self.content or {}).get(name), self.room_version)
        return _DEFAULTS[name] if level is None else level

    def _entry(self, name: str, key: str) -> int | None:
        entries = (self.content or {}).get(name)
        if not isinstance(entries, dict):
            return None
        return parse_power_level(entries.get(key), self.room_version)


def check_power_levels_content(content: JsonDict, creators: frozenset[str], room_version: RoomVersion) -> Verdict:
    """Whether the content is of the right form, whoever sends it."""
    if room_version.integer_power_levels:
        # v10-: "If any of the properties users_default, events_default, state_default, ban, redact, kick, or invite in
        # content are present and not an integer, reject."
        for name in _DEFAULTS:
            if name in content and parse_power_level(content[name], room_version) is None:
                return Rejected(f"{name} is not an integer")
        # v10-: "If either of the properties events or notifications in content are present and not an object with
        # values that are integers, reject."
        for name in ("events", "notifications"):
            if not _is_levels(content.get(name, {}), room_version):
                return Rejected(f"{name} is not an object of integers")
    # v1-v9: "If the users property in content is not an object with keys that are valid user IDs with values that are
    # integers (or a string that is an integer), reject." v10-: integers alone.
    users = content.get("users", {})
    if not _is_levels(users, room_version) or not all(is_user_id(user_id) for user_id in users):
        return Rejected("users is not an object of user IDs and integers")
    # v12-: "If the users property in content contains the sender of the m.room.create event or any of the
    # additional_creators array, reject."
    if room_version.privileged_creators and not creators.isdisjoint(users):
        return Rejected("users lists a room creator, whose power level cannot be changed")
    return ALLOWED


def check_power_levels_change(content: JsonDict, sender: str, current: PowerLevels) -> Verdict:
    """Whether the sender may change the current power levels to these, whose form was checked."""
    # All: "If there is no previous m.room.power_levels event in the room, allow."
    if current.content is None:
        return ALLOWED
    sender_level = current.user_power_level(sender)
    for change in _changes(current.content, content, current.room_version):
        reason = _refuse(change, sender, sender_level)
        if reason is not None:
            return Rejected(reason)
    return ALLOWED


@dataclass(frozen=True, slots=True)
class _Change:
    group: str
    """`users`, `events`, `notifications`, or nothing for a property of the content itself."""
    key: str
    old: int | None
    new: int | None
    is_readable: bool


def _refuse(change: _Change, sender: str, sender_level: PowerLevel) -> str | None:
    """The reason why this sender may not make this change, or None."""
    name = f"{change.group} {change.key}" if change.group else change.key
    if not change.is_readable:
        return f"the level of {name} is not an integer"
    if change.old is not None:
        if change.group == "users":
            # All: "For each entry being changed in, or removed from, the users property, other than the sender's own
            # entry: if the current value is greater than or equal to the sender's current power level, reject."
            if change.key != sender and change.old >= sender_level:
                return f"{name} has a power level that the sender does not exceed"
        # All: "If the current value is greater than the sender's current power level, reject."
        elif change.old > sender_level:
            return f"the level of {name} is above the sender's"
    # All: "If the new value is greater than the sender's current power level, reject."
    if change.new is not None and change.new > sender_level:
        return f"the new level of {name} is above the sender's"
    return None


def _changes(old: JsonDict, new: JsonDict, room_version: RoomVersion) -> Iterator[_Change]:
    # All: "For the properties users_default, events_default, state_default, ban, redact, kick, invite check if they
    # were added, changed or removed."
    named = tuple(_DEFAULTS)
    yield from _changes_between(
        "",
        {name: old[name] for name in named if name in old},
        {name: new[name] for name in named if name in new},
        room_version,
    )
    # v6-: notifications too.
    groups = ("events", "notifications", "users") if room_version.guards_notification_levels else ("events", "users")
    for group in groups:
        yield from _changes_between(group, old.get(group, {}), new.get(group, {}), room_version)


def _changes_between(group: str, old: Any, new: Any, room_version: RoomVersion) -> Iterator[_Change]:
    if old == new:
        return
    if new in ([], ""):  # v1-v9: how some write an empty object; there are no entries either
        new = {}
    if not isinstance(new, dict):
        yield _Change(group, "", None, None, is_readable=False)
        return
    if not isinstance(old, dict):
        old = {}
    for key in {**old, **new}:
        if key in old and key in new and old[key] == new[key]:
            continue
        old_level = parse_power_level(old.get(key), room_version)
        new_level = parse_power_level(new.get(key), room_version)
        if old_level != new_level or new_level is None:
            yield _Change(group, key, old_level, new_level, is_readable=key not in new or new_level is not None)


def _is_levels(value: Any, room_version: RoomVersion) -> bool:
    return isinstance(value, dict) and all(
        parse_power_level(level, room_version) is not None for level in value.values()
    )
