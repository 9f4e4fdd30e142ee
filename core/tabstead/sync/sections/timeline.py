"""A room's timeline in an answer: the newest events that the user may see and wants to.

The limit counts what passes the filter. `limited` says that there is more between what the client knows and the first
event; `prev_batch` is where to go on from, backwards. Who was joined all the time may see everything; for others, and
for a filter that asks for relations, events are looked at one by one, and not without end.

Where the user may not see everything, a timeline reaches back to the last state change that they may not see: a client
that applied what came before it on top of the state would undo it.

Where events are missing that other servers have, a timeline begins after them: /messages fetches what is before.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tabstead.protocol.filters import EventFilter
from tabstead.rooms.history_visibility import HistoryVisibility
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, get_event
from tabstead.storage.gaps import GAP, Gap, find_gap_between
from tabstead.storage.out_of_band import is_out_of_band
from tabstead.storage.relations import is_related_to
from tabstead.storage.sync_queries import select_filtered_timeline
from tabstead.streams.tokens import encode_timeline_token
from tabstead.sync.room_changes import RoomChange
from tabstead.sync.view import SyncView

_DEFAULT_LIMIT: Final = 10

_BATCH: Final = 100
_MAX_BATCHES: Final = 10
"""So far is searched for events that the user may see and wants before the rest is left to /messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    events: list[PersistedEvent]
    """The oldest first."""
    limited: bool
    start: int
    """The position of the first event; with no events, the one after all that the answer covers."""

    @property
    def prev_batch(self) -> str:
        return encode_timeline_token(self.start - 1)


def read_timeline(db: Db, view: SyncView, change: RoomChange) -> Timeline:
    """The timeline of a room that the user is, or was, joined to."""
    if not view.filter.timeline.allows_room(change.room.room_id):
        return Timeline(events=[], limited=False, start=change.up_to + 1)
    if change.member_nid is not None and is_out_of_band(change.member_nid):
        # All that is known of the room here.
        return Timeline(events=[get_event(db, change.member_nid)], limited=False, start=change.up_to)
    limit = _DEFAULT_LIMIT if view.filter.timeline.limit is None else view.filter.timeline.limit
    gap = _find_gap(db, change)
    told = change if gap is None else replace(change, after=gap.bottom)
    found, has_more = _select_newest(db, view, told, limit + 1)
    events = found[:limit][::-1]
    return Timeline(
        events=events,
        limited=gap is not None or has_more or len(found) > limit,
        start=events[0].position if events else change.up_to + 1,
    )


def _find_gap(db: Db, change: RoomChange) -> Gap | None:
    """The newest gap in what is told, which spans at least a gap's positions then."""
    if change.up_to - change.after < GAP:
        return None
    return find_gap_between(db, change.room_nid, after=change.after, up_to=change.up_to)


def _select_newest(db: Db, view: SyncView, change: RoomChange, wanted: int) -> tuple[list[PersistedEvent], bool]:
    """The newest events that pass, up to the number wanted; True if the search ended before it came to all of them."""
    is_wanted = _relation_test(db, view.filter.timeline)
    if change.watched and is_wanted is None:
        return _select(db, view, change, view.filter.timeline, up_to=change.up_to, limit=wanted), False
    visibility = HistoryVisibility(db, change.room, view.user_id)
    found: list[PersistedEvent] = []
    up_to = change.up_to
    for size in (wanted, *(_BATCH,) * _MAX_BATCHES):
        batch = _select(db, view, change, view.filter.timeline, up_to=up_to, limit=size)
        for event in batch:
            if change.watched or event.event_nid == change.member_nid or visibility.may_see(event):
                if is_wanted is None or is_wanted(event):
                    found.append(event)
            elif found and event.event.is_state and not view.use_state_after:
                return found[:wanted], True
        if len(found) >= wanted or len(batch) < size:
            return found[:wanted], False
        up_to = batch[-1].position - 1
    return found, True


def _relation_test(db: Db, timeline_filter: EventFilter) -> Callable[[PersistedEvent], bool] | None:
    """Whether the right events relate to an event, for a filter that asks; None for one that doesn't."""
    types, senders = timeline_filter.related_by_types, timeline_filter.related_by_senders
    if types is None and senders is None:
        return None
    return lambda event: is_related_to(db, event.event_id, types, senders)


def _select(
    db: Db, view: SyncView, change: RoomChange, event_filter: EventFilter, *, up_to: int, limit: int
) -> list[PersistedEvent]:
    return select_filtered_timeline(
        db,
        change.room_nid,
        after=change.after,
        up_to=up_to,
        limit=limit,
        event_filter=event_filter,
        ignored_users=view.ignored_users - {view.user_id},
    )
