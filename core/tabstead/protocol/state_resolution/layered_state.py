"""A room state that is being resolved, as authorisation reads it: what was resolved, over what was never in doubt.

Nothing is copied: a room of 50,000 members with one quarrel costs one quarrel.
"""

from collections.abc import Container, Mapping

from tabstead.protocol.events.event import Event
from tabstead.protocol.identifiers import EventID, StateTuple
from tabstead.protocol.state_resolution.event_lookup import EventLookup


class LayeredState:
    """Finds the event with a key: in `resolved`, else in `base`, else (if asked to) among an event's auth events."""

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
        return None if event_id is None else self._events(event_id)

    def with_event(self, event: Event) -> "StateWith":
        """This state with this event in it."""
        return StateWith(self, event)

    def backed_by(self, event: Event, rejected: Container[EventID]) -> "StateBackedByAuthEvents":
        """This state, and where it has nothing, what this event's auth events say, unless they were rejected."""
        return StateBackedByAuthEvents(self, event, self._events, rejected)


class StateWith:
    __slots__ = ("_event", "_state")

    def __init__(self, state: LayeredState, event: Event) -> None:
        self._state = state
        self._event = event

    def get(self, key: StateTuple) -> Event | None:
        return self._event if key == self._event.state_tuple else self._state.get(key)


class StateBackedByAuthEvents:
    __slots__ = ("_event", "_events", "_rejected", "_state")

    def __init__(self, state: LayeredState, event: Event, events: EventLookup, rejected: Container[EventID]) -> None:
        self._state = state
        self._event = event
        self._events = events
        self._rejected = rejected

    def get(self, key: StateTuple) -> Event | None:
        found = self._state.get(key)
        if found is None:
            found = self._events.auth_event_of(self._event, key)
            if found is not None and found.event_id in self._rejected:
                return None
        return found
