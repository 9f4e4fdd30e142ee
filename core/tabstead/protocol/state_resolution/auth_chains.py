"""What state resolution asks of the graph that `auth_events` make, and the plain answer: walking it.

An event counts as part of its own auth chain here, as in all implementations: an event that all state sets hold is then
in all their chains, and never in the auth difference.

`WalkedAuthChains` needs no preparation. It walks the chains of the conflicted events, and only if these differ, what
the unconflicted events name, until it knows which of the differing events are in everyone's chain. A storage that keeps
an index over auth chains answers the same two questions without walking.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import Protocol

from tabstead.protocol.identifiers import EventID


class AuthChains(Protocol):
    """Answers about the auth chains of a room's events."""

    def auth_difference(
        self, unconflicted: Collection[EventID], conflicted: Sequence[Collection[EventID]]
    ) -> set[EventID]:
        """The events in some state sets' full auth chains but not in all.

        `conflicted` has what is left of each set without the events in `unconflicted`, which all sets have. Its events,
        which are resolved in any case, are left out of the answer.
        """

    def conflicted_subgraph(self, conflicted: Collection[EventID]) -> set[EventID]:
        """The events on the paths along `auth_events` between any two of these, the ends included."""


class WalkedAuthChains:
    """Auth chains found by walking. `auth_events_of` gives an event's auth events, None for an unknown event.

    Unknown events that were met are kept in `missing`; the answers are as if they had no auth events.
    """

    def __init__(self, auth_events_of: Callable[[EventID], Sequence[EventID] | None]) -> None:
        self._auth_events_of = auth_events_of
        self.missing: set[EventID] = set()

    def auth_difference(
        self, unconflicted: Collection[EventID], conflicted: Sequence[Collection[EventID]]
    ) -> set[EventID]:
        chains = [self._chain(event_ids) for event_ids in conflicted]
        first, *others = chains
        difference = (first.union(*others) - first.intersection(*others)).difference(*conflicted)
        return self._without_chain_of(unconflicted, difference) if difference else difference

    def conflicted_subgraph(self, conflicted: Collection[EventID]) -> set[EventID]:
        cited_by: dict[EventID, list[EventID]] = {}
        for event_id in self._chain(conflicted):
            for auth_event_id in self._auth_events(event_id):
                cited_by.setdefault(auth_event_id, []).append(event_id)
        # All of the chain is reached from a conflicted event; what reaches one too is between two of them.
        subgraph = set(conflicted)
        unvisited = list(conflicted)
        while unvisited:
            for citing in cited_by.get(unvisited.pop(), ()):
                if citing not in subgraph:
                    subgraph.add(citing)
                    unvisited.append(citing)
        return subgraph

    def _chain(self, event_ids: Iterable[EventID]) -> set[EventID]:
        chain = set(event_ids)
        unvisited = list(chain)
        while unvisited:
            for auth_event_id in self._auth_events(unvisited.pop()):
                if auth_event_id not in chain:
                    chain.add(auth_event_id)
                    unvisited.append(auth_event_id)
        return chain

    def _without_chain_of(self, event_ids: Collection[EventID], candidates: set[EventID]) -> set[EventID]:
        """The candidates that are in no chain of these events.

        Only events that others name are remembered: of a room's many memberships, few are.
        """
        remaining = candidates.difference(event_ids)
        named = set(chain.from_iterable(map(self._auth_events, event_ids)))
        unvisited = list(named)
        while unvisited and remaining:
            event_id = unvisited.pop()
            remaining.discard(event_id)
            for auth_event_id in self._auth_events(event_id):
                if auth_event_id not in named:
                    named.add(auth_event_id)
                    unvisited.append(auth_event_id)
        return remaining

    def _auth_events(self, event_id: EventID) -> Sequence[EventID]:
        auth_events = self._auth_events_of(event_id)
        if auth_events is None:
            self.missing.add(event_id)
            return ()
        return auth_events
