"""What is missing in a room's timeline, and what it means when some of it comes after all."""

from dataclasses import replace

from tabstead.protocol.identifiers import EventID
from tabstead.storage.database import Db
from tabstead.storage.events import Standing, find_event_at
from tabstead.storage.gaps import select_gaps, update_gap


def is_awaited(db: Db, room_nid: int, event_id: EventID) -> bool:
    """Whether an accepted event that came before this one refers to it."""
    tops = (gap.top for gap in select_gaps(db, room_nid) if event_id in gap.missing)
    found = (find_event_at(db, room_nid, top) for top in tops)
    return any(event is not None and event.standing is Standing.ACCEPTED for event in found)


def note_arrival(db: Db, room_nid: int, event_id: EventID) -> None:
    """Miss an event no longer. Where it was the last one of a gap, there is none any more."""
    for gap in select_gaps(db, room_nid):
        if event_id in gap.missing:
            update_gap(db, replace(gap, missing=tuple(each for each in gap.missing if each != event_id)))
