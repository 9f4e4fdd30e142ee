"""What several state sets agree on, and what they do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabstead.protocol.identifiers import EventID, StateTuple


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
    unconflicted = dict(first)
    for other in others:
        unconflicted = {key: event_id for key, event_id in unconflicted.items() if other.get(key) == event_id}
    conflicted = [
        {key: event_id for key, event_id in state_set.items() if key not in unconflicted}
        if len(state_set) > len(unconflicted)
        else {}
        for state_set in state_sets
    ]
    return Conflict(unconflicted=unconflicted, conflicted=conflicted)
