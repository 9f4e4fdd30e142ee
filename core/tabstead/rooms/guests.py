"""Guests leave rooms that no longer take guests.

"If the m.room.guest_access event is changed to stop this from being the case, the server MUST set those users'
m.room.member state to leave." (Client-Server API, § Guest access)
"""

from typing import Final

from tabstead.rooms.state import find_current_event
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, find_event
from tabstead.storage.memberships import select_joined_users
from tabstead.storage.rooms import Room
from tabstead.storage.users import find_user

GUEST_ACCESS: Final = "m.room.guest_access"


def allows_guests(db: Db, room: Room) -> bool:
    """Whether guests may join. By default they may not."""
    event = find_current_event(db, room, GUEST_ACCESS)
    return event is not None and event.event.content.get("guest_access") == "can_join"


def select_unwelcome_guests(db: Db, room: Room, cause: PersistedEvent) -> list[str]:
    """The guests of this server who must leave the room because of an event that is now in it."""
    if not _touches_guest_access(db, cause) or allows_guests(db, room):
        return []
    return [user_id for user_id in select_joined_users(db, room.room_nid) if _is_guest(db, user_id)]


def _touches_guest_access(db: Db, cause: PersistedEvent) -> bool:
    if cause.event.redacts is not None:
        redacted = find_event(db, cause.event.redacts)
        return redacted is not None and redacted.event.type == GUEST_ACCESS
    return cause.event.type == GUEST_ACCESS


def _is_guest(db: Db, user_id: str) -> bool:
    user = find_user(db, user_id)
    return user is not None and user.is_guest
