"""The one door to state resolution: splits the states, picks the room version's algorithm, reports what is missing."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from tabstead.protocol.identifiers import EventID, StateTuple
from tabstead.protocol.room_versions import RoomVersion, StateResolution
from tabstead.protocol.state_resolution.auth_chains import AuthChains
from tabstead.protocol.state_resolution.conflict import Conflict, Overlay, find_conflict
from tabstead.protocol.state_resolution.event_lookup import EventLookup, GetEvent, Missing
from tabstead.protocol.state_resolution.v1 import resolve_v1
from tabstead.protocol.state_resolution.v2 import resolve_v2


@dataclass(frozen=True, slots=True)
class MissingEvents:
    """These events are needed to resolve the states: fetch them and ask again. More may turn out to be missing then."""

    event_ids: frozenset[EventID]


def resolve_state(
    state_sets: Sequence[Mapping[StateTuple, EventID]],
    *,
    get_event: GetEvent,
    auth_chains: AuthChains,
    room_version: RoomVersion,
    rejected: Container[EventID] = frozenset(),
) -> Mapping[StateTuple, EventID] | MissingEvents:
    """The resolution of one or more states of a room, as a view of the first of them and what was resolved.

    `get_event` gives an event that is conflicted, or in the auth chain of one that is, or None. `rejected` tells which
    events were rejected on receipt: those are not used as the auth events of others.
    """
    conflict = find_conflict(state_sets)
    resolved = resolve_conflict(
        conflict, get_event=get_event, auth_chains=auth_chains, room_version=room_version, rejected=rejected
    )
    return resolved if isinstance(resolved, MissingEvents) else Overlay(conflict.unconflicted, resolved)


def resolve_conflict(
    conflict: Conflict,
    *,
    get_event: GetEvent,
    auth_chains: AuthChains,
    room_version: RoomVersion,
    rejected: Container[EventID] = frozenset(),
) -> dict[StateTuple, EventID] | MissingEvents:
    """What joins the unconflicted state map to make the resolved state. See `resolve_state`."""
    if not any(conflict.conflicted):
        return {}
    events = EventLookup(get_event, room_version)
    try:
        if room_version.state_resolution is StateResolution.V1:
            return resolve_v1(conflict, events, room_version)
        return resolve_v2(conflict, events, auth_chains, room_version, rejected)
    except Missing as missing:
        return MissingEvents(missing.event_ids)
