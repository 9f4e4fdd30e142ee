"""Finding the event of a room that is nearest to a time.

Times are what the senders' servers say, so they only nearly follow the order of the timeline. A bisection of the
positions finds where the time is; then the events around that place are looked at. An event whose clock was so wrong
that it lies farther away is not found. (Client-Server API, GET /timestamp_to_event)
"""

from collections.abc import Callable
from typing import Final

from tabstead.rooms.history_visibility import RoomView, build_reader_visibility
from tabstead.storage.database import Db
from tabstead.storage.event_times import find_time_from, select_times
from tabstead.storage.events import PersistedEvent, get_event
from tabstead.storage.gaps import Gap, select_gaps
from tabstead.storage.rooms import Room

_AROUND: Final = 64
"""So many events on the near side of the place are looked at for clocks that were wrong."""

_BEYOND: Final = 1000
"""So many on the far side, for one that may be seen."""


def find_event_by_time(db: Db, view: RoomView, reader_id: str, ts: int, *, forwards: bool) -> PersistedEvent | None:
    """The event nearest to a time (ms) that the reader may see: at or after it, or at or before it."""
    visibility = build_reader_visibility(db, view.room, reader_id)
    return find_by_time(db, view.room, ts, up_to=view.up_to, forwards=forwards, may_see=visibility.may_see)


def find_gap_beside(db: Db, view: RoomView, found: PersistedEvent | None, ts: int, *, forwards: bool) -> Gap | None:
    """The gap in which there may be an event that is nearer to the time than the one that was found."""
    room_nid, up_to = view.room.room_nid, view.up_to
    place = _bisect(db, room_nid, up_to, ts if forwards else ts + 1)
    if forwards:
        low, high = place, up_to if found is None else found.position
    else:
        following = find_time_from(db, room_nid, place + 1, up_to=up_to)
        low, high = 0 if found is None else found.position, up_to if following is None else following[0]
    between = [gap for gap in select_gaps(db, room_nid) if low <= gap.bottom <= high]
    return between[-1 if forwards else 0] if between else None


def find_by_time(
    db: Db, room: Room, ts: int, *, up_to: int, forwards: bool, may_see: Callable[[PersistedEvent], bool]
) -> PersistedEvent | None:
    """The same for whoever may see what, up to a position. Of several at the same time the first, or the last."""
    room_nid = room.room_nid
    place = _bisect(db, room_nid, up_to, ts if forwards else ts + 1)
    older = select_times(db, room_nid, after=0, up_to=place, limit=_AROUND if forwards else _BEYOND, forwards=False)
    newer = select_times(db, room_nid, after=place, up_to=up_to, limit=_BEYOND if forwards else _AROUND, forwards=True)
    sign = 1 if forwards else -1
    near = sorted(
        (sign * time, sign * position, event_nid)
        for event_nid, position, time in (*older, *newer)
        if sign * time >= sign * ts
    )
    events = (get_event(db, event_nid) for _, _, event_nid in near)
    return next((event for event in events if may_see(event)), None)


def _bisect(db: Db, room_nid: int, up_to: int, ts: int) -> int:
    """The position after which the times are at or after this one."""
    low, high = 0, up_to
    while low < high:
        middle = (low + high) // 2
        found = find_time_from(db, room_nid, middle + 1, up_to=high)
        if found is None:
            high = middle
        elif found[1] < ts:
            low = found[0]
        else:
            high = middle
    return low
