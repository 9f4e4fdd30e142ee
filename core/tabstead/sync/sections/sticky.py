"""Sticky events (MSC4354): told to who joins, and to everyone once, also where the timeline leaves them out."""

from collections.abc import Collection

from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, find_event_at
from tabstead.storage.sticky_events import select_sticky_events
from tabstead.sync.view import SyncView


def select_sticky(db: Db, view: SyncView) -> dict[int, list[int]]:
    """The positions of all that is sticky now, by room_nid; mostly there is nothing."""
    rooms: dict[int, list[int]] = {}
    for sticky in select_sticky_events(db, view.now_ms, up_to=view.up_to):
        rooms.setdefault(sticky.room_nid, []).append(sticky.stream_position)
    return rooms


def read_sticky(
    db: Db, view: SyncView, room_nid: int, positions: Collection[int], *, after: int, told: Collection[int]
) -> list[PersistedEvent]:
    """The room's sticky events that the client doesn't know, without those told elsewhere, by event_nid."""
    events = [find_event_at(db, room_nid, position) for position in positions if position > after]
    return [
        event
        for event in events
        if event is not None and event.event_nid not in told and event.event.sender not in view.ignored_users
    ]
