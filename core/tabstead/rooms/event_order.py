"""Events that came together, in an order in which they can be received: each after those that it refers to."""

import heapq
from collections.abc import Iterable

from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import EventID


def in_receiving_order(events: Iterable[Event]) -> list[Event]:
    """Each event once, after those of them that are among its prev events and auth events.

    Of those that could come next, the one of the lowest depth does. What refers to itself, by way of others, is left
    out: that is possible where senders choose event ids (v1-v2).
    """
    by_id = {event.event_id: event for event in events}
    waits_for: dict[EventID, int] = {}
    named_by: dict[EventID, list[EventID]] = {}
    for event_id, event in by_id.items():
        named = {each for each in (*event.prev_events, *event.auth_events) if each in by_id}
        waits_for[event_id] = len(named)
        for each in named:
            named_by.setdefault(each, []).append(event_id)
    ready = [(by_id[event_id].depth, event_id) for event_id, count in waits_for.items() if count == 0]
    heapq.heapify(ready)
    ordered: list[Event] = []
    while ready:
        _, event_id = heapq.heappop(ready)
        ordered.append(by_id[event_id])
        for each in named_by.get(event_id, ()):
            waits_for[each] -= 1
            if waits_for[each] == 0:
                heapq.heappush(ready, (by_id[each].depth, each))
    return ordered
