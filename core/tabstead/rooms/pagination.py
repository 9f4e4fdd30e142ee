"""Walking a room's timeline in pages, as far as a reader may see it.

A token is a point between two stream positions. Backwards from a token come the events up to its position, the newest
first; forwards those after it. A page stops when it has what was asked for, or after looking at a bounded number of
events: a filter or the history visibility may leave it short, even empty, and its `end` still leads on.

A page that goes backwards also stops where events are missing that other servers have, unless it is to read past it.
"""

from dataclasses import dataclass, replace
from typing import Final

from tabstead.protocol.filters import EventFilter
from tabstead.rooms.history_visibility import RoomView, build_reader_visibility
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, select_timeline
from tabstead.storage.gaps import Gap, find_gap_between
from tabstead.storage.relations import is_related_to

_MAX_LOOKED_AT: Final = 2000
_MIN_BATCH: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    events: list[PersistedEvent]
    start: int
    """The position that it starts from."""
    end: int | None
    """The position from which the next page starts; None if there is nothing more."""
    gap: Gap | None = None
    """Why it ends where it does, if that is because events are missing."""


def paginate(
    db: Db,
    view: RoomView,
    reader_id: str,
    *,
    start: int | None,
    stop: int | None = None,
    forwards: bool,
    limit: int,
    event_filter: EventFilter,
    past_gaps: bool = True,
) -> Page:
    """At most `limit` events from the position `start` on, not beyond `stop`.

    Without `start` from the first or the last event that the view has.
    """
    start = (0 if forwards else view.up_to) if start is None else min(start, view.up_to)
    bounds = _Bounds(
        after=start if forwards else max(stop or 0, 0),
        up_to=min(view.up_to, view.up_to if stop is None else stop) if forwards else start,
    )
    gap = None
    if not forwards and not past_gaps:
        gap = find_gap_between(db, view.room.room_nid, after=bounds.after, up_to=bounds.up_to)
        bounds = bounds if gap is None else replace(bounds, after=gap.bottom)
    visibility = build_reader_visibility(db, view.room, reader_id)
    found: list[PersistedEvent] = []
    looked_at = 0
    while looked_at < _MAX_LOOKED_AT:
        batch_size = max(limit - len(found), _MIN_BATCH) + 1
        batch = select_timeline(
            db, view.room.room_nid, after=bounds.after, up_to=bounds.up_to, limit=batch_size, forwards=forwards
        )
        for event in batch:
            if len(found) == limit:
                return Page(events=found, start=start, end=bounds.before(event, forwards))
            if visibility.may_see(event) and passes(db, event_filter, event):
                found.append(event)
        if len(batch) < batch_size:
            return Page(events=found, start=start, end=None if gap is None else gap.bottom, gap=gap)
        looked_at += len(batch)
        bounds = bounds.beyond(batch[-1], forwards)
    return Page(events=found, start=start, end=bounds.after if forwards else bounds.up_to)


def passes(db: Db, event_filter: EventFilter, persisted: PersistedEvent) -> bool:
    """Whether a client's filter lets the event through, what relates to it included."""
    event = persisted.event
    if not event_filter.allows_room(event.room_id):
        return False
    if not event_filter.allows(event.type, event.sender, event.content):
        return False
    related_types, related_senders = event_filter.related_by_types, event_filter.related_by_senders
    if related_types is None and related_senders is None:
        return True
    return is_related_to(db, event.event_id, related_types, related_senders)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    """What is still to be looked at: after < position <= up_to."""

    after: int
    up_to: int

    def beyond(self, event: PersistedEvent, forwards: bool) -> "_Bounds":
        """What remains once the event was looked at."""
        if forwards:
            return _Bounds(after=event.position, up_to=self.up_to)
        return _Bounds(after=self.after, up_to=event.position - 1)

    def before(self, event: PersistedEvent, forwards: bool) -> int:
        """The token from which the event is the next."""
        return event.position - 1 if forwards else event.position
