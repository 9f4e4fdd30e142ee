"""The state that a view of a room ends with: the current one, that at which its reader left, or that at a point."""

from collections.abc import Iterable
from dataclasses import replace

from tabstead.rooms.history_visibility import RoomView
from tabstead.rooms.state import find_current_event, find_event_after, read_state_after, read_state_events
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, select_events, select_timeline


def find_view_event(db: Db, view: RoomView, event_type: str, state_key: str = "") -> PersistedEvent | None:
    """One event of the view's state."""
    if view.ends_with is None:
        return find_current_event(db, view.room, event_type, state_key)
    return find_event_after(db, view.ends_with, event_type, state_key)


def read_view_state(db: Db, view: RoomView, types: Iterable[str] | None = None) -> list[PersistedEvent]:
    """The view's state events, or those of these types."""
    if view.ends_with is None:
        return list(read_state_events(db, view.room.state_snapshot, types).values())
    return list(select_events(db, read_state_after(db, view.ends_with, types).values()).values())


def view_at(db: Db, view: RoomView, position: int) -> RoomView | None:
    """The view as it would be if it ended at a stream position; None if the room began later."""
    if position >= view.up_to:
        return view
    last = select_timeline(db, view.room.room_nid, after=0, up_to=position, limit=1)
    return replace(view, up_to=position, ends_with=last[0]) if last else None
