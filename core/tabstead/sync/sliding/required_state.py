"""Which state of a room a client wants: patterns of event types and state keys.

Two forms say it. The older one is an array of pairs, in which `*` stands for anything, `$ME` for the user and `$LAZY`
for the members that the timeline needs; beside `["*", "*"]`, every other pair takes all of its type out but its own
key. The newer one has `include`, `exclude` and `lazy_members`.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tabstead.errors import BadJson
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import StateTuple

MEMBER: Final = "m.room.member"
_ANY: Final = "*"
_ME: Final = "$ME"
_LAZY: Final = "$LAZY"

_MAX_PATTERNS: Final = 200
"""Of one wish."""

Pattern: TypeAlias = tuple[str | None, str | None]
"""An event type and a state key; None matches any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One list's, or one subscription's, `required_state`."""

    always: tuple[Pattern, ...] = ()
    """Wanted, whatever else is said."""
    include: tuple[Pattern, ...] = ()
    """Wanted unless excluded."""
    exclude: tuple[Pattern, ...] = ()
    lazy_members: bool = False

    def wants(self, state_tuple: StateTuple) -> bool:
        if _matches_any(self.always, state_tuple):
            return True
        return _matches_any(self.include, state_tuple) and not _matches_any(self.exclude, state_tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredState:
    """The union of wishes: a room may be in several lists."""

    wishes: frozenset[Wish] = field(default=frozenset())

    def wants(self, state_tuple: StateTuple) -> bool:
        return any(wish.wants(state_tuple) for wish in self.wishes)

    @property
    def lazy_members(self) -> bool:
        return any(wish.lazy_members for wish in self.wishes)

    def __or__(self, other: "RequiredState") -> "RequiredState":
        return RequiredState(wishes=self.wishes | other.wishes)

    @property
    def exact(self) -> list[StateTuple] | None:
        """All that is wanted, where it is a few entries by name; None where there are wildcards."""
        patterns = [pattern for wish in self.wishes for pattern in (*wish.always, *wish.include)]
        entries = [(event_type, key) for event_type, key in patterns if event_type is not None and key is not None]
        return entries if len(entries) == len(patterns) else None

    @property
    def types(self) -> list[str] | None:
        """The event types of which something may be wanted; None for all."""
        patterns = [pattern for wish in self.wishes for pattern in (*wish.always, *wish.include)]
        types = {event_type for event_type, _ in patterns if event_type is not None}
        return None if any(event_type is None for event_type, _ in patterns) else sorted(types)

    def encode(self) -> str:
        """As text, to be kept; equal for what is equal."""
        wishes = [[wish.always, wish.include, wish.exclude, wish.lazy_members] for wish in self.wishes]
        return json.dumps(sorted(wishes, key=json.dumps), ensure_ascii=False, separators=(",", ":"))


def decode_required_state(text: str) -> RequiredState:
    """The reverse of `encode`."""
    return RequiredState(
        wishes=frozenset(
            Wish(
                always=tuple((event_type, key) for event_type, key in always),
                include=tuple((event_type, key) for event_type, key in include),
                exclude=tuple((event_type, key) for event_type, key in exclude),
                lazy_members=lazy_members,
            )
            for always, include, exclude, lazy_members in json.loads(text)
        )
    )


def parse_required_state(value: Any, user_id: str) -> RequiredState:
    """Either form, as a client sends it. Raises BadJson."""
    if isinstance(value, dict):
        wish = _parse_object(value, user_id)
    elif isinstance(value, list):
        wish = _parse_pairs(value, user_id)
    else:
        raise BadJson("'required_state' must be an array or an object.")
    if len(wish.always) + len(wish.include) + len(wish.exclude) > _MAX_PATTERNS:
        raise BadJson(f"'required_state' must have at most {_MAX_PATTERNS} elements.")
    return RequiredState(wishes=frozenset((wish,)))


def _parse_pairs(pairs: list[Any], user_id: str) -> Wish:
    parsed: set[tuple[str, str]] = set()
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise BadJson("An element of 'required_state' must be an event type and a state key.")
        parsed.add((pair[0], user_id if pair[1] == _ME else pair[1]))
    lazy = (MEMBER, _LAZY) in parsed
    patterns = [
        (None if event_type == _ANY else event_type, None if key == _ANY else key)
        for event_type, key in sorted(parsed)
        if key != _LAZY
    ]
    if (None, None) not in patterns:
        if lazy and (MEMBER, None) in patterns:
            lazy = False
        return Wish(always=tuple(patterns), lazy_members=lazy)
    taken_out = {event_type for event_type, _ in parsed if event_type != _ANY}
    return Wish(
        always=tuple(pattern for pattern in patterns if None not in pattern),
        include=((None, None),),
        exclude=tuple((event_type, None) for event_type in sorted(taken_out)),
        lazy_members=lazy,
    )


def _parse_object(value: JsonDict, user_id: str) -> Wish:
    lazy = value.get("lazy_members", False)
    if not isinstance(lazy, bool):
        raise BadJson("'lazy_members' must be a boolean.")
    include, exclude = (_parse_elements(value.get(name, []), user_id) for name in ("include", "exclude"))
    if lazy:
        # "Every type" has no members in it then: those come as they are needed.
        named = [pattern for pattern in include if pattern[0] == MEMBER]
        exclude_members = [] if (MEMBER, None) in named else [(MEMBER, None)]
        kept = [pattern for pattern in named if not _matches_any(exclude, (MEMBER, pattern[1] or ""))]
        return Wish(always=tuple(kept), include=tuple(include), exclude=(*exclude, *exclude_members), lazy_members=True)
    return Wish(include=tuple(include), exclude=tuple(exclude))


def _parse_elements(elements: Any, user_id: str) -> list[Pattern]:
    if not isinstance(elements, list):
        raise BadJson("'include' and 'exclude' must be arrays.")
    patterns: list[Pattern] = []
    for element in elements:
        if not isinstance(element, dict):
            raise BadJson("An element of 'required_state' must be an object.")
        event_type, key = element.get("type"), element.get("state_key")
        if not all(part is None or isinstance(part, str) for part in (event_type, key)):
            raise BadJson("'type' and 'state_key' must be strings.")
        patterns.append((event_type, user_id if key == _ME else key))
    return sorted(set(patterns), key=lambda pattern: (pattern[0] or "", pattern[1] or ""))


def _matches_any(patterns: Iterable[Pattern], state_tuple: StateTuple) -> bool:
    event_type, state_key = state_tuple
    return any(
        (wanted_type is None or wanted_type == event_type) and (wanted_key is None or wanted_key == state_key)
        for wanted_type, wanted_key in patterns
    )
