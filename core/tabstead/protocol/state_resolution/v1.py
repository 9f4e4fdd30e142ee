"""State resolution of room version 1.

Keys that only some states have are taken as they are; a conflict is about different events for the same key. Power
levels are settled first, then join rules, then memberships: of the events with a key, from the earliest `depth` on,
each that the state so far allows replaces the one before, until one is not allowed. Everything else is the latest
event that the state then allows; where none is allowed, implementations agree on the earliest.
(page of room version 1, "State resolution")
"""

from collections.abc import Iterable, Mapping
from hashlib import sha1
from typing import Final

from tabstead.protocol.auth_rules import ALLOWED, check_event_auth
from tabstead.protocol.events.event import Event
from tabstead.protocol.identifiers import EventID, StateTuple
from tabstead.protocol.room_versions import RoomVersion
from tabstead.protocol.state_resolution.conflict import Conflict
from tabstead.protocol.state_resolution.event_lookup import EventLookup
from tabstead.protocol.state_resolution.layered_state import LayeredState

_AUTHORISING_TYPES: Final = ("m.room.power_levels", "m.room.join_rules", "m.room.member")


def resolve_v1(conflict: Conflict, events: EventLookup, room_version: RoomVersion) -> dict[StateTuple, EventID]:
    """The events that join the unconflicted state map. Raises Missing."""
    candidates = _candidates(conflict)
    resolved = {key: event_ids[0] for key, event_ids in candidates.items() if len(event_ids) == 1}
    conflicted = {
        key: sorted((events[event_id] for event_id in event_ids), key=_depth_order)
        for key, event_ids in candidates.items()
        if len(event_ids) > 1
    }
    state = LayeredState(resolved, conflict.unconflicted, events)
    for event_type in _AUTHORISING_TYPES:
        # Keys of one type do not see each other's outcome.
        resolved |= {
            key: _last_allowed_in_a_row(rivals, state, room_version)
            for key, rivals in conflicted.items()
            if key[0] == event_type and _authorises(key)
        }
    resolved |= {
        key: _latest_allowed(rivals, state, room_version) for key, rivals in conflicted.items() if not _authorises(key)
    }
    return resolved


def _authorises(key: StateTuple) -> bool:
    """Whether what stands there may decide about other events. Power levels with a state key do not."""
    return key[0] in _AUTHORISING_TYPES and (key[0] != "m.room.power_levels" or key[1] == "")


def _candidates(conflict: Conflict) -> Mapping[StateTuple, list[EventID]]:
    candidates: dict[StateTuple, list[EventID]] = {}
    for state_set in conflict.conflicted:
        for key, event_id in state_set.items():
            rivals = candidates.setdefault(key, [])
            if event_id not in rivals:
                rivals.append(event_id)
    return candidates


def _depth_order(event: Event) -> tuple[int, int]:
    """From the earliest depth on, and then from the greatest SHA-1 of the event ID down."""
    return event.depth, -int.from_bytes(sha1(event.event_id.encode()).digest(), "big")


def _last_allowed_in_a_row(rivals: list[Event], state: LayeredState, room_version: RoomVersion) -> EventID:
    winner, *others = rivals
    for event in others:
        if check_event_auth(event, state.with_event(winner), room_version) is not ALLOWED:
            break
        winner = event
    return winner.event_id


def _latest_allowed(rivals: Iterable[Event], state: LayeredState, room_version: RoomVersion) -> EventID:
    earliest, *_ = rivals
    for event in reversed([*rivals]):
        if check_event_auth(event, state, room_version) is ALLOWED:
            return event.event_id
    return earliest.event_id
