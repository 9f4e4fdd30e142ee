"""What several state sets agree on, and what they do not.

The sets are compared, not copied: a room of 50,000 members in which few quarrel costs one look at each entry.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from itertools import chain, compress, islice
from operator import is_not
from types import MappingProxyType
from typing import Any, Final

from tabstead.protocol.identifiers import EventID, StateTuple

_NOTHING: Final[Mapping[StateTuple, EventID]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Several state sets, split. A caller that stores states as deltas can make one without the whole states."""

    unconflicted: Mapping[StateTuple, EventID]
    """The *unconflicted state map*: the keys that all sets have, with the same event."""
    conflicted: Sequence[Mapping[StateTuple, EventID]]
    """What is left of each set. Their events are the *conflicted state set*."""

    @property
    def event_ids(self) -> set[EventID]:
        """The conflicted state set."""
        return {event_id for state_set in self.conflicted for event_id in state_set.values()}


def find_conflict(state_sets: Sequence[Mapping[StateTuple, EventID]]) -> Conflict:
    """Split the state sets. There must be at least one."""
    first, *others = state_sets
    conflicted: dict[StateTuple, None] = {}
    for other in others:
        conflicted |= _differing(first, other)
    return Conflict(
        unconflicted=Overlay(first, hidden=conflicted),
        conflicted=[{key: state_set[key] for key in conflicted if key in state_set} for state_set in state_sets],
    )


def _differing(one: Mapping[StateTuple, EventID], other: Mapping[StateTuple, EventID]) -> dict[StateTuple, None]:
    """The keys that not both have with the same event."""
    keys = list(one)
    other_keys = list(other)
    step = min(len(keys), len(other_keys))
    # States that have parted have most of their entries at the same place: those need not be looked up.
    if keys[:step] != other_keys[:step]:
        step = 0
    suspects = chain(compress(keys, map(is_not, islice(one.values(), step), other.values())), keys[step:])
    differing = {key: None for key in suspects if other.get(key) != one[key]}
    missing = sum(key not in other for key in differing)
    if len(other) > len(one) - missing:
        differing |= dict.fromkeys(key for key in other_keys[step:] if key not in one)
    return differing


class Overlay(Mapping[StateTuple, EventID]):
    """A state without some keys, and with some entries of another over it. Neither is copied, or may change."""

    __slots__ = ("_base", "_hidden", "_over")

    def __init__(
        self,
        base: Mapping[StateTuple, EventID],
        over: Mapping[StateTuple, EventID] = _NOTHING,
        *,
        hidden: Collection[StateTuple] = (),
    ) -> None:
        self._base = base
        self._over = over
        self._hidden = hidden

    def __getitem__(self, key: StateTuple) -> EventID:
        event_id: EventID | None = self.get(key)
        if event_id is None:
            raise KeyError(key)
        return event_id

    def __contains__(self, key: object) -> bool:
        return key in self._over or (key not in self._hidden and key in self._base)

    def __iter__(self) -> Iterator[StateTuple]:
        yield from self._over
        yield from (key for key in self._base if key not in self._hidden and key not in self._over)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Overlay({dict(self)!r})"

    def get(self, key: StateTuple, default: Any = None, /) -> Any:
        return self._over.get(key) or (default if key in self._hidden else self._base.get(key, default))

    def values(self) -> "ValuesView[EventID]":
        return _Values(self)

    def event_ids(self) -> Iterator[EventID]:
        """The values, without looking each up."""
        yield from self._over.values()
        for key, event_id in self._base.items():
            if key not in self._hidden and key not in self._over:
                yield event_id


class _Values(ValuesView[EventID]):
    _mapping: Overlay

    def __iter__(self) -> Iterator[EventID]:
        return self._mapping.event_ids()
