"""The state after several events: the resolution of the states after each, from what storage keeps for that.

Events are read only where the snapshots differ. Which entries those are, the state history tells; which other events
decide about them, the index over auth chains. What all snapshots agree on is looked up entry by entry, as the
authorisation rules ask for it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import EventID, StateTuple
from tabstead.protocol.state_resolution import Conflict, MissingEvents, resolve_conflict
from tabstead.storage.auth_chains import select_auth_difference, select_conflicted_subgraph
from tabstead.storage.database import Db
from tabstead.storage.events import (
    PersistedEvent,
    Standing,
    find_event,
    select_event_ids,
    select_event_nids,
    select_events,
)
from tabstead.storage.rooms import Room
from tabstead.storage.state_history import StateMap, add_snapshot, find_conflict, find_state_event, read_state


def resolve_snapshots(db: Db, room: Room, snapshots: Sequence[int]) -> int:
    """The one snapshot that these make by the room version's state resolution."""
    first, *others = dict.fromkeys(snapshots)
    if not others:
        return first
    conflicted = find_conflict(db, (first, *others))
    events = _Events(db, {event_nid for state in conflicted for event_nid in state.values()})
    agreed = _AgreedState(db, first, {state_tuple for state in conflicted for state_tuple in state})
    resolved = resolve_conflict(
        Conflict(
            unconflicted=agreed,
            conflicted=[
                {state_tuple: events.event_ids[event_nid] for state_tuple, event_nid in state.items()}
                for state in conflicted
            ],
        ),
        get_event=events.find,
        auth_chains=_StoredAuthChains(db, agreed),
        room_version=room.version,
        rejected=events,
    )
    assert not isinstance(resolved, MissingEvents), "an accepted event's auth chain is here"
    event_nids = select_event_nids(db, resolved.values())
    lost: dict[StateTuple, int | None] = dict.fromkeys(state_tuple for state in conflicted for state_tuple in state)
    won = {state_tuple: event_nids[event_id] for state_tuple, event_id in resolved.items()}
    return add_snapshot(db, room.room_nid, first, {**lost, **won})


class _Events:
    """Events by id, the conflicted ones read together. As a container: the ids of those that were rejected."""

    def __init__(self, db: Db, conflicted: Collection[int]) -> None:
        self._db = db
        found = select_events(db, conflicted)
        self.event_ids = {event_nid: stored.event_id for event_nid, stored in found.items()}
        self._stored: dict[EventID, PersistedEvent | None] = {stored.event_id: stored for stored in found.values()}

    def find(self, event_id: EventID) -> Event | None:
        stored = self._find(event_id)
        return None if stored is None else stored.event

    def __contains__(self, event_id: object) -> bool:
        stored = self._find(EventID(str(event_id)))
        return stored is not None and stored.standing is Standing.REJECTED

    def _find(self, event_id: EventID) -> PersistedEvent | None:
        if event_id not in self._stored:
            self._stored[event_id] = find_event(self._db, event_id)
        return self._stored[event_id]


class _AgreedState(Mapping[StateTuple, EventID]):
    """What all snapshots hold: one of them, without what is conflicted. An entry is read when it is asked for."""

    def __init__(self, db: Db, snapshot: int, conflicted: Collection[StateTuple]) -> None:
        self._db = db
        self._snapshot = snapshot
        self._conflicted = conflicted
        self._state: StateMap | None = None
        self._found: dict[StateTuple, EventID | None] = {}

    def __getitem__(self, state_tuple: StateTuple) -> EventID:
        if state_tuple not in self._found:
            event_nid = None if state_tuple in self._conflicted else self._find(state_tuple)
            self._found[state_tuple] = None if event_nid is None else select_event_ids(self._db, [event_nid])[event_nid]
        event_id = self._found[state_tuple]
        if event_id is None:
            raise KeyError(state_tuple)
        return event_id

    def __iter__(self) -> Iterator[StateTuple]:
        return (state_tuple for state_tuple in self._whole() if state_tuple not in self._conflicted)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def event_nids(self) -> Iterator[int]:
        """The events by numeric id. Nothing is read before the first is asked for."""
        for state_tuple, event_nid in self._whole().items():
            if state_tuple not in self._conflicted:
                yield event_nid

    def _find(self, state_tuple: StateTuple) -> int | None:
        if self._state is not None:
            return self._state.get(state_tuple)
        return find_state_event(self._db, self._snapshot, *state_tuple)

    def _whole(self) -> StateMap:
        if self._state is None:
            self._state = read_state(self._db, self._snapshot)
        return self._state


class _StoredAuthChains:
    """What the index over auth chains says; the agreed state is asked for numbers instead of event ids."""

    def __init__(self, db: Db, agreed: _AgreedState) -> None:
        self._db = db
        self._agreed = agreed

    def auth_difference(
        self, unconflicted: Collection[EventID], conflicted: Sequence[Collection[EventID]]
    ) -> set[EventID]:
        sets = [self._nids(event_ids) for event_ids in conflicted]
        return self._event_ids(select_auth_difference(self._db, sets, self._agreed.event_nids()))

    def conflicted_subgraph(self, conflicted: Collection[EventID]) -> set[EventID]:
        return self._event_ids(select_conflicted_subgraph(self._db, self._nids(conflicted)))

    def _nids(self, event_ids: Collection[EventID]) -> list[int]:
        return list(select_event_nids(self._db, event_ids).values())

    def _event_ids(self, event_nids: Collection[int]) -> set[EventID]:
        return set(select_event_ids(self._db, event_nids).values())
