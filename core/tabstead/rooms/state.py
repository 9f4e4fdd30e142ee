"""Room state, read as events.

State is handed about as snapshots of `tabstead.storage.state_history`; the functions here turn what is asked of a
snapshot into events. The state after several events is the resolution of the states after each (`rooms.resolution`).
"""

from collections.abc import Iterable

from tabstead.protocol.auth_rules import PowerLevels, RoomState, select_auth_event_types
from tabstead.protocol.auth_rules.room_state import CREATE, POWER_LEVELS
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import StateTuple
from tabstead.storage.current_state import find_current, select_current_of_type
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, Standing, get_event, select_events
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


def find_current_events(db: Db, room: Room, state_tuples: Iterable[StateTuple]) -> dict[StateTuple, PersistedEvent]:
    """Those of the state events that the room's current state has."""
    return _load(db, find_state_events(db, room.state_snapshot, state_tuples))


def select_current_events(db: Db, room: Room, event_type: str) -> list[PersistedEvent]:
    """The state events of one type, of which a room has few, in its current state."""
    return list(select_events(db, select_current_of_type(db, room.room_nid, event_type)).values())


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


def _load(db: Db, state: StateMap) -> dict[StateTuple, PersistedEvent]:
    events = select_events(db, state.values())
    return {state_tuple: events[event_nid] for state_tuple, event_nid in state.items()}
