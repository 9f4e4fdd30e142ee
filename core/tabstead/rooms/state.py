"""Room state: reading it as events, and making one state of the states after several events.

State is handed about as snapshots of `tabstead.storage.state_history`; the functions here turn what is asked of a
snapshot into events. The state after several events is the resolution of the states after each.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from tabstead.protocol.auth_rules import PowerLevels, RoomState, select_auth_event_types
from tabstead.protocol.auth_rules.room_state import CREATE, POWER_LEVELS
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import EventID, StateTuple
from tabstead.protocol.state_resolution import MissingEvents, WalkedAuthChains, resolve_state
from tabstead.storage.current_state import find_current
from tabstead.storage.database import Db
from tabstead.storage.events import (
    PersistedEvent,
    Standing,
    find_event,
    get_event,
    select_event_ids,
    select_event_nids,
    select_events,
)
from tabstead.storage.rooms import Room
from tabstead.storage.state_history import (
    StateMap,
    add_snapshot,
    find_state_event,
    find_state_events,
    read_state,
)


def find_current_event(db: Db, room: Room, event_type: str, state_key: str = "") -> PersistedEvent | None:
    """A state event of the room's current state."""
    event_nid = find_current(db, room.room_nid, event_type, state_key)
    return None if event_nid is None else get_event(db, event_nid)


def find_event_in(db: Db, snapshot: int, event_type: str, state_key: str = "") -> PersistedEvent | None:
    """A state event of a snapshot."""
    event_nid = find_state_event(db, snapshot, event_type, state_key)
    return None if event_nid is None else get_event(db, event_nid)


def read_state_events(db: Db, snapshot: int, types: Iterable[str] | None = None) -> dict[StateTuple, PersistedEvent]:
    """A snapshot's state events, or those of these types."""
    return _load(db, read_state(db, snapshot, types))


def read_auth_state(
    db: Db, room: Room, snapshot: int, *, event_type: str, state_key: str | None, sender: str, content: JsonDict
) -> dict[StateTuple, Event]:
    """What the authorisation rules look at in a snapshot for such an event: its auth events, and the create event."""
    wanted = select_auth_event_types(event_type, state_key, sender, content, room.version)
    found = _load(db, find_state_events(db, snapshot, dict.fromkeys([*wanted, CREATE])))
    return {state_tuple: persisted.event for state_tuple, persisted in found.items()}


def read_room_state(db: Db, room: Room, *more: StateTuple) -> RoomState:
    """The current state as the rules see it: who created the room, its power levels, and what else is named."""
    found = _load(db, find_state_events(db, room.state_snapshot, (CREATE, POWER_LEVELS, *more)))
    return RoomState({state_tuple: persisted.event for state_tuple, persisted in found.items()}, room.version)


def read_power_levels(db: Db, room: Room) -> PowerLevels:
    """The power levels of the current state."""
    return read_room_state(db, room).power_levels


def state_after(db: Db, event: PersistedEvent) -> int:
    """The snapshot of the state after an event: a rejected one changes nothing."""
    if not event.event.is_state or event.standing is Standing.REJECTED:
        return event.state_before
    return add_snapshot(db, event.room_nid, event.state_before, {event.event.state_tuple: event.event_nid})


def find_event_after(db: Db, event: PersistedEvent, event_type: str, state_key: str = "") -> PersistedEvent | None:
    """A state event of the state after an event. Writes nothing."""
    if event.event.state_key == state_key and event.event.type == event_type:
        return event
    return find_event_in(db, event.state_before, event_type, state_key)


def read_state_after(db: Db, event: PersistedEvent, types: Iterable[str] | None = None) -> StateMap:
    """The state after an event. Writes nothing."""
    state = read_state(db, event.state_before, types)
    if event.event.is_state and (types is None or event.event.type in set(types)):
        state[event.event.state_tuple] = event.event_nid
    return state


def resolve_snapshots(db: Db, room: Room, snapshots: Sequence[int]) -> int:
    """The one snapshot that these make by the room version's state resolution."""
    distinct = list(dict.fromkeys(snapshots))
    if len(distinct) == 1:
        return distinct[0]
    states = [read_state(db, snapshot) for snapshot in distinct]
    event_ids = select_event_ids(db, {event_nid for state in states for event_nid in state.values()})
    find = _remembered(partial(find_event, db))
    resolved = resolve_state(
        [{state_tuple: event_ids[event_nid] for state_tuple, event_nid in state.items()} for state in states],
        get_event=lambda event_id: _event_of(find(event_id)),
        auth_chains=WalkedAuthChains(lambda event_id: _auth_events_of(find(event_id))),
        room_version=room.version,
        rejected=_RejectedEvents(find),
    )
    assert not isinstance(resolved, MissingEvents), "an accepted event's auth chain is here"
    return _add_resolved(db, room, distinct[0], states[0], resolved)


def _add_resolved(db: Db, room: Room, base: int, base_state: StateMap, resolved: dict[StateTuple, EventID]) -> int:
    event_nids = select_event_nids(db, resolved.values())
    changes: dict[StateTuple, int | None] = dict.fromkeys(base_state.keys() - resolved.keys())
    for state_tuple, event_id in resolved.items():
        if base_state.get(state_tuple) != event_nids[event_id]:
            changes[state_tuple] = event_nids[event_id]
    return add_snapshot(db, room.room_nid, base, changes)


class _RejectedEvents:
    """Which events were rejected, as a container to ask."""

    def __init__(self, find: Callable[[EventID], PersistedEvent | None]) -> None:
        self._find = find

    def __contains__(self, event_id: object) -> bool:
        found = self._find(EventID(str(event_id)))
        return found is not None and found.standing is Standing.REJECTED


def _remembered(
    find: Callable[[EventID], PersistedEvent | None],
) -> Callable[[EventID], PersistedEvent | None]:
    known: dict[EventID, PersistedEvent | None] = {}

    def remembered(event_id: EventID) -> PersistedEvent | None:
        if event_id not in known:
            known[event_id] = find(event_id)
        return known[event_id]

    return remembered


def _event_of(found: PersistedEvent | None) -> Event | None:
    return None if found is None else found.event


def _auth_events_of(found: PersistedEvent | None) -> Sequence[EventID] | None:
    return None if found is None else found.event.auth_events


def _load(db: Db, state: StateMap) -> dict[StateTuple, PersistedEvent]:
    events = select_events(db, state.values())
    return {state_tuple: events[event_nid] for state_tuple, event_nid in state.items()}
