"""State resolution versions 2 and 2.1 (room versions 2 to 11, and 12).

What could take someone's powers away, the *power events*, is replayed first, in an order that a latecomer cannot
influence: along the auth chains, the mightier sender first. What remains is replayed by how recent the power levels are
that it was sent under (the *mainline*). An event that the state at its turn does not allow is left out.

2.1 differs in two things: replay starts from nothing instead of from what all agree on, and the events that lead from
one conflicted event to another are replayed too (the *conflicted state subgraph*).
(pages of room versions 2 and 12, "State resolution")
"""

from collections.abc import Container, Iterable, Mapping
from heapq import heapify, heappop, heappush
from math import inf

from tabstead.protocol.auth_rules import ALLOWED, check_event_auth
from tabstead.protocol.auth_rules.room_state import POWER_LEVELS
from tabstead.protocol.events.event import Event
from tabstead.protocol.identifiers import EventID, StateTuple
from tabstead.protocol.room_versions import RoomVersion, StateResolution
from tabstead.protocol.state_resolution.auth_chains import AuthChains
from tabstead.protocol.state_resolution.conflict import Conflict
from tabstead.protocol.state_resolution.event_lookup import EventLookup
from tabstead.protocol.state_resolution.layered_state import ReplayedState


def resolve_v2(
    conflict: Conflict,
    events: EventLookup,
    auth_chains: AuthChains,
    room_version: RoomVersion,
    rejected: Container[EventID],
) -> dict[StateTuple, EventID]:
    """The events that join the unconflicted state map. Raises Missing."""
    is_v2_1 = room_version.state_resolution is StateResolution.V2_1
    full_conflicted_set = _full_conflicted_set(conflict, auth_chains, with_subgraph=is_v2_1)
    conflicted_events = {event.event_id: event for event in events.require(full_conflicted_set)}
    base: Mapping[StateTuple, EventID] = {} if is_v2_1 else conflict.unconflicted
    state = ReplayedState(base, events, rejected)

    power_events = sort_by_power(_with_auth_chains(conflicted_events), conflicted_events, events)
    replay(power_events, state, room_version)

    chosen = {event.event_id for event in power_events}
    remaining = [event for event_id, event in conflicted_events.items() if event_id not in chosen]
    replay(sort_by_mainline(remaining, state.get(POWER_LEVELS), events), state, room_version)
    return {key: event_id for key, event_id in state.resolved.items() if key not in conflict.unconflicted}


def is_power_event(event: Event) -> bool:
    """Whether the state event might remove someone's ability to do something in the room.

    Power levels and join rules only with the empty state key, under which alone they mean something.
    """
    if event.type in ("m.room.power_levels", "m.room.join_rules"):
        return event.state_key == ""
    return event.type == "m.room.member" and event.sender != event.state_key and event.membership in ("leave", "ban")


def sort_by_power(event_ids: Iterable[EventID], graph: Mapping[EventID, Event], events: EventLookup) -> list[Event]:
    """The *reverse topological power ordering* of these events of a graph, by Kahn's algorithm."""
    chosen = set(event_ids)
    waiting_for: dict[EventID, int] = {}
    cited_by: dict[EventID, list[EventID]] = {}
    for event_id in chosen:
        auth_events = chosen.intersection(graph[event_id].auth_events)
        waiting_for[event_id] = len(auth_events)
        for auth_event_id in auth_events:
            cited_by.setdefault(auth_event_id, []).append(event_id)

    def rank(event_id: EventID) -> tuple[float, int, EventID]:
        event = graph[event_id]
        return -events.sender_power_level(event), event.origin_server_ts, event_id

    candidates = [rank(event_id) for event_id, count in waiting_for.items() if not count]
    heapify(candidates)
    ordered: list[Event] = []
    while candidates:
        *_, event_id = heappop(candidates)
        ordered.append(graph[event_id])
        for citing in cited_by.get(event_id, ()):
            waiting_for[citing] -= 1
            if not waiting_for[citing]:
                heappush(candidates, rank(citing))
    return ordered


def sort_by_mainline(unsorted: Iterable[Event], power_levels: Event | None, events: EventLookup) -> list[Event]:
    """The *mainline ordering* of these events based on a power levels event, or on none."""
    positions = _mainline_positions(None if power_levels is None else power_levels.event_id, events)

    def rank(event: Event) -> tuple[float, int, EventID]:
        for auth_event_id in event.auth_events:
            position = positions.get(auth_event_id)
            if position is not None:
                break
        else:
            position = _mainline_position(events.power_levels_of(event), positions, events)
        return -position, event.origin_server_ts, event.event_id

    return sorted(unsorted, key=rank)


def replay(ordered: Iterable[Event], state: ReplayedState, room_version: RoomVersion) -> None:
    """The *iterative auth checks*: each event that the state allows at its turn becomes part of it."""
    for event in ordered:
        state.turn = event
        if check_event_auth(event, state, room_version) is ALLOWED:
            state.allow(event)
    state.turn = None


def _full_conflicted_set(conflict: Conflict, auth_chains: AuthChains, *, with_subgraph: bool) -> set[EventID]:
    conflicted = conflict.event_ids
    difference = auth_chains.auth_difference(
        conflict.unconflicted.values(), [state_set.values() for state_set in conflict.conflicted]
    )
    # v12-: "The full conflicted set is the union of the conflicted state set, the conflicted state subgraph, and the
    # auth difference."
    subgraph = auth_chains.conflicted_subgraph(conflicted) if with_subgraph else set()
    return conflicted | difference | subgraph


def _with_auth_chains(graph: Mapping[EventID, Event]) -> set[EventID]:
    """The power events of a graph, and what it has of their auth chains."""
    chosen = {event_id for event_id, event in graph.items() if is_power_event(event)}
    unvisited = list(chosen)
    while unvisited:
        for auth_event_id in graph[unvisited.pop()].auth_events:
            if auth_event_id in graph and auth_event_id not in chosen:
                chosen.add(auth_event_id)
                unvisited.append(auth_event_id)
    return chosen


def _mainline_positions(power_levels: EventID | None, events: EventLookup) -> dict[EventID | None, float]:
    """The position of each power levels event of the mainline; None, for events under no power levels, is last."""
    positions: dict[EventID | None, float] = {}
    while power_levels is not None and power_levels not in positions:
        positions[power_levels] = len(positions)
        power_levels = events.power_levels_of(events[power_levels])
    positions[None] = inf
    return positions


def _mainline_position(
    power_levels: EventID | None, positions: dict[EventID | None, float], events: EventLookup
) -> float:
    """The position of what was sent under these power levels. Remembers it for all power levels on the way."""
    passed: list[EventID] = []
    while power_levels not in positions:
        assert power_levels is not None
        passed.append(power_levels)
        positions[power_levels] = inf  # for now: a cycle would end here
        power_levels = events.power_levels_of(events[power_levels])
    position = positions[power_levels]
    positions.update(dict.fromkeys(passed, position))
    return position
