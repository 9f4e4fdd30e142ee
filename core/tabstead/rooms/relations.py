"""Events that relate to an event, in pages, and the threads of a room.

(Client-Server API, § Relationships API, § Querying threads in a room)
"""

from dataclasses import dataclass
from typing import Final

from tabstead.rooms.history_visibility import RoomView, build_reader_visibility
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, find_event, select_events
from tabstead.storage.relations import (
    has_taken_part,
    select_related_ids,
    select_relating,
    select_thread_roots,
)

MAX_DEPTH: Final = 3
"""How many relations deep `recurse` goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationsQuery:
    relation_type: str | None = None
    event_type: str | None = None
    start: int | None = None
    stop: int | None = None
    forwards: bool = False
    limit: int
    recurse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedPage:
    events: list[PersistedEvent]
    next_position: int | None
    """From where the next page starts; None if there is nothing more."""


def select_related_events(
    db: Db, view: RoomView, reader_id: str, event: PersistedEvent, query: RelationsQuery
) -> RelatedPage:
    """A page of the events that relate to an event and that the reader may see."""
    start = query.start
    if start is None:
        start = 0 if query.forwards else view.up_to
    after, up_to = (start, query.stop) if query.forwards else (query.stop or 0, start)
    event_nids = select_relating(
        db,
        view.room.room_nid,
        _parents(db, event, query),
        relation_type=query.relation_type,
        event_type=query.event_type,
        after=after,
        up_to=view.up_to if up_to is None else min(up_to, view.up_to),
        limit=query.limit + 1,
        forwards=query.forwards,
    )
    found = list(select_events(db, event_nids).values())
    page = build_reader_visibility(db, view.room, reader_id).select(found[: query.limit])
    if len(found) <= query.limit:
        return RelatedPage(events=page, next_position=None)
    beyond = found[query.limit].position
    return RelatedPage(events=page, next_position=beyond - 1 if query.forwards else beyond)


def select_threads(
    db: Db, view: RoomView, reader_id: str, *, start: int | None, limit: int, participated: bool
) -> RelatedPage:
    """A page of thread roots that the reader may see, those with the newest events first."""
    visibility = build_reader_visibility(db, view.room, reader_id)
    roots: list[PersistedEvent] = []
    up_to = view.up_to if start is None else min(start, view.up_to)
    for event_id, newest in select_thread_roots(db, view.room.room_nid, up_to=up_to):
        root = find_event(db, event_id)
        if root is None or not visibility.may_see(root):
            continue
        if participated and root.event.sender != reader_id and not has_taken_part(db, event_id, reader_id):
            continue
        if len(roots) == limit:
            return RelatedPage(events=roots, next_position=newest)
        roots.append(root)
    return RelatedPage(events=roots, next_position=None)


def _parents(db: Db, event: PersistedEvent, query: RelationsQuery) -> list[str]:
    """The event, and with `recurse` what relates to it, directly or over another one."""
    parents: dict[str, None] = {event.event_id: None}
    level: list[str] = [event.event_id]
    for _ in range(MAX_DEPTH - 1 if query.recurse else 0):
        level = [child for child in select_related_ids(db, event.room_nid, level) if child not in parents]
        parents.update(dict.fromkeys(level))
    return list(parents)
