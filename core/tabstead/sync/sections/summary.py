"""A room's summary: how many are in it, and after whom to call it when it has no name."""

from typing import Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.rooms.state import find_current_event
from tabstead.storage.current_state import select_changes
from tabstead.storage.database import Db
from tabstead.storage.memberships import count_members
from tabstead.storage.rooms import Room
from tabstead.storage.sync_queries import select_heroes
from tabstead.sync.room_changes import RoomChange
from tabstead.sync.view import SyncView

_HEROES: Final = 5

_NAMES: Final = (("m.room.name", "name"), ("m.room.canonical_alias", "alias"))


def build_summary(db: Db, view: SyncView, change: RoomChange) -> JsonDict:
    """The summary, or nothing when no member and no name changed."""
    if not change.whole and not _may_have_changed(db, change):
        return {}
    summary: JsonDict = {
        "m.joined_member_count": count_members(db, change.room_nid),
        "m.invited_member_count": count_members(db, change.room_nid, "invite"),
    }
    if not _has_name(db, change.room):
        summary["m.heroes"] = select_heroes(db, change.room_nid, view.user_id, _HEROES)
    return summary


def _may_have_changed(db: Db, change: RoomChange) -> bool:
    wanted = {"m.room.member", *(event_type for event_type, _ in _NAMES)}
    changes = select_changes(db, change.room_nid, after=change.after, up_to=change.state_up_to)
    return any(past.state_tuple[0] in wanted for past in changes)


def _has_name(db: Db, room: Room) -> bool:
    events = ((find_current_event(db, room, event_type), key) for event_type, key in _NAMES)
    return any(event is not None and event.event.content.get(key) for event, key in events)
