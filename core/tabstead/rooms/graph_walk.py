"""Walking back through a room's graph along the prev events, from the newest on."""

import heapq
from collections.abc import Collection, Iterable

from tabstead.protocol.identifiers import EventID
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, select_events_by_id
from tabstead.storage.rooms import Room


def walk_back(
    db: Db,
    room: Room,
    start: Iterable[str],
    *,
    limit: int,
    stop: Collection[str] = frozenset(),
    min_depth: int = 0,
) -> list[PersistedEvent]:
    """At most `limit` events: these, and those before them, the deepest first.

    It ends at the events of `stop`, which are left out, above `min_depth`, and where this server knows no more.
    """
    found: list[PersistedEvent] = []
    seen: set[str] = set()
    front: list[tuple[int, int, PersistedEvent]] = []
    unread: set[str] = set(start)
    while len(found) < limit:
        seen |= unread
        for event in select_events_by_id(db, unread - set(stop)).values():
            is_placed = event.room_nid == room.room_nid and event.stream_position is not None
            if is_placed and event.event.depth >= min_depth:
                heapq.heappush(front, (-event.event.depth, -event.event_nid, event))
        if not front:
            break
        _, _, event = heapq.heappop(front)
        found.append(event)
        unread = {each for each in event.event.prev_events if each not in seen}
    return found


def prev_events_of(db: Db, room: Room, event_ids: Iterable[str]) -> set[EventID]:
    """What those of these events that are known refer to."""
    events = select_events_by_id(db, event_ids).values()
    return {each for event in events if event.room_nid == room.room_nid for each in event.event.prev_events}
