"""Events by ID while a state is resolved: looked up once, and a missing one ends the resolution with its name."""

from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from tabstead.protocol.auth_rules.room_state import CREATE, POWER_LEVELS, RoomState
from tabstead.protocol.events.event import Event
from tabstead.protocol.identifiers import EventID, StateTuple
from tabstead.protocol.room_versions import RoomVersion

GetEvent: TypeAlias = Callable[[EventID], Event | None]


class Missing(Exception):
    """These events are needed and not there."""

    def __init__(self, event_ids: Iterable[EventID]) -> None:
        super().__init__()
        self.event_ids = frozenset(event_ids)


class EventLookup(dict[EventID, Event]):
    """The events that one resolution needs, each asked for once, and what is known of their auth events.

    `events[event_id]` raises Missing where there is none.
    """

    def __init__(self, get_event: GetEvent, room_version: RoomVersion) -> None:
        super().__init__()
        self._get_event = get_event
        self._room_version = room_version
        self._power_levels_of: dict[EventID, EventID | None] = {}

    def __missing__(self, event_id: EventID) -> Event:
        event = self._get_event(event_id)
        if event is None:
            raise Missing([event_id])
        self[event_id] = event
        return event

    def require(self, event_ids: Collection[EventID]) -> list[Event]:
        """All of these events and their auth events. Missing names all that are not there."""
        events = self._find_all(event_ids)
        missing = set(event_ids) - self.keys()
        named = set().union(*(event.auth_events for event in events)) - self.keys()
        if named:
            self._find_all(named)
            missing |= named - self.keys()
        if missing:
            raise Missing(missing)
        return events

    def _find_all(self, event_ids: Collection[EventID]) -> list[Event]:
        """Those of these events that are there."""
        found = [event for event in map(self._get_event, event_ids) if event is not None]
        self.update((event.event_id, event) for event in found)
        return found

    def auth_event_of(self, event: Event, key: StateTuple) -> Event | None:
        """The event with this key among the auth events, the create event that a room ID names included."""
        if key == CREATE and self._room_version.room_id_is_create_hash:  # v12-
            return self[EventID("$" + event.room_id[1:])]
        for auth_event_id in event.auth_events:
            auth_event = self[auth_event_id]
            if auth_event.type == key[0] and auth_event.state_key == key[1]:
                return auth_event
        return None

    def power_levels_of(self, event: Event) -> EventID | None:
        """The `m.room.power_levels` among an event's auth events."""
        event_id = event.event_id
        if event_id not in self._power_levels_of:
            power_levels = self.auth_event_of(event, POWER_LEVELS)
            self._power_levels_of[event_id] = None if power_levels is None else power_levels.event_id
        return self._power_levels_of[event_id]

    def sender_power_level(self, event: Event) -> float:
        """The power level of an event's sender by the event's own auth events."""
        state = {key: found for key in (CREATE, POWER_LEVELS) if (found := self.auth_event_of(event, key)) is not None}
        if event.type == CREATE[0]:
            state[CREATE] = event
        return RoomState(state, self._room_version).power_levels.user_power_level(event.sender)
