"""A room state that is being resolved, as authorisation reads it: what was resolved, over what was never in doubt.

Nothing is copied: a room of 50,000 members with one quarrel costs one quarrel.
"""

from collections.abc import Container, Mapping

from tabstead.protocol.events.event import Event
from tabstead.protocol.identifiers import EventID, StateTuple
from tabstead.protocol.state_resolution.event_lookup import EventLookup


class LayeredState:
    """Finds the event with a key: in `resolved`, which may go on growing, else in `base`."""

    __slots__ = ("_base", "_events", "_resolved")

    def __init__(
        self,
        resolved: Mapping[StateTuple, EventID],
        base: Mapping[StateTuple, EventID],
        events: EventLookup,
    ) -> None:
        self._resolved = resolved
        self._base = base
        self._events = events

    def get(self, key: StateTuple) -> Event | None:
        event_id = self._resolved.get(key) or self._base.get(key)
        return None if event_id is None else self._events[event_id]

    def with_event(self, event: Event) -> "StateWith":
        """This state with this event in it."""
        return StateWith(self, event)


class StateWith:
    __slots__ = ("_event", "_state")

    def __init__(self, state: LayeredState, event: Event) -> None:
        self._state = state
        self._event = event

    def get(self, key: StateTuple) -> Event | None:
        return self._event if key == self._event.state_tuple else self._state.get(key)


class ReplayedState:
    """A state that grows by the events that it allows, one after the other.

    An event whose turn it is finds what was allowed before, else what is in `base`, else what its own auth events say,
    unless they were rejected. What was found once in `base` is at hand: most turns ask for the same few events.
    """

    __slots__ = ("_agreed", "_allowed", "_base", "_events", "_rejected", "turn")

    def __init__(self, base: Mapping[StateTuple, EventID], events: EventLookup, rejected: Container[EventID]) -> None:
        self.turn: Event | None = None
        """Whose auth events to fall back on."""
        self._allowed: dict[StateTuple, Event] = {}
        self._agreed: dict[StateTuple, Event] = {}
        self._base = base
        self._events = events
        self._rejected = rejected

    @property
    def resolved(self) -> dict[StateTuple, EventID]:
        """The events that were allowed."""
        return {key: event.event_id for key, event in self._allowed.items()}

    def get(self, key: StateTuple) -> Event | None:
        return self._allowed.get(key) or self._agreed.get(key) or self._find(key)

    def allow(self, event: Event) -> None:
        self._allowed[event.state_tuple] = event

    def _find(self, key: StateTuple) -> Event | None:
        event_id = self._base.get(key)
        if event_id is not None:
            event = self._agreed[key] = self._events[event_id]
            return event
        if self.turn is None:
            return None
        auth_event = self._events.auth_event_of(self.turn, key)
        return None if auth_event is None or auth_event.event_id in self._rejected else auth_event
