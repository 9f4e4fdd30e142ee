"""What a user who is invited to a room, or knocks at it, learns of it: its stripped state.

(Client-Server API, § Stripped state)
"""

from typing import Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import to_stripped_state
from tabstead.rooms.state import find_current_event
from tabstead.storage.database import Db
from tabstead.storage.events import get_event
from tabstead.storage.out_of_band import find_preview, is_out_of_band
from tabstead.sync.room_changes import RoomChange
from tabstead.sync.view import SyncView

# v1.16: the create event must be there.
_TYPES: Final = (
    "m.room.create",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.avatar",
    "m.room.name",
    "m.room.topic",
    "m.room.encryption",
)


def build_stripped_state(db: Db, view: SyncView, change: RoomChange) -> list[JsonDict] | None:
    """The stripped state with the user's own member event; None for an invite from somebody they ignore."""
    assert change.member_nid is not None, "an invite or a knock is a member event"
    own = get_event(db, change.member_nid)
    if own.event.sender in view.ignored_users:
        return None
    if is_out_of_band(own.event_nid):
        preview = find_preview(db, change.room_nid, view.user_id)
        return [*(() if preview is None else preview.shown_state), to_stripped_state(own.event)]
    found = [find_current_event(db, change.room, event_type) for event_type in _TYPES]
    if own.event.sender != view.user_id:
        found.append(find_current_event(db, change.room, "m.room.member", own.event.sender))
    return [to_stripped_state(event.event) for event in (*found, own) if event is not None]
