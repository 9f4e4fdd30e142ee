"""Users of other servers, as far as this one knows them by itself: by their member events.

A user may show another name in every room. So nobody is told what one of a room says that they are not in, unless it
is open to everybody.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from tabstead.accounts.profiles import Profile
from tabstead.rooms.state import find_current_event
from tabstead.rooms.summary import is_open_to_all
from tabstead.storage.database import Db
from tabstead.storage.events import get_event
from tabstead.storage.memberships import select_memberships, select_shared_rooms
from tabstead.storage.rooms import get_room

_MOST_LOOKED_AT: Final = 20
"""Rooms of a user, the last change first."""


def find_shared_profile(db: Db, asker: str, user_id: str) -> Profile | None:
    """What a room says of the user that both are in; None where they share none."""
    for room_nid, _ in select_shared_rooms(db, asker, user_id, after=0, limit=1):
        member = find_current_event(db, get_room(db, room_nid), "m.room.member", user_id)
        return None if member is None else _read_profile(member.event.content)
    return None


def find_public_profile(db: Db, user_id: str) -> Profile | None:
    """What the room says that is open to everybody; None for who is in no such room."""
    for room_nid, profile in _walk_profiles(db, user_id):
        if is_open_to_all(db, get_room(db, room_nid)):
            return profile
    return None


def select_names(db: Db, user_id: str) -> list[str]:
    """All names that rooms know the user by, those that not everybody may know too."""
    names = (profile.displayname for _, profile in _walk_profiles(db, user_id))
    return list(dict.fromkeys(name for name in names if name is not None))


def _walk_profiles(db: Db, user_id: str) -> Iterator[tuple[int, Profile]]:
    """What each of the rooms says, by its room_nid."""
    joined = sorted(select_memberships(db, user_id, ("join",)), key=lambda row: -row.stream_position)
    for membership in islice(joined, _MOST_LOOKED_AT):
        yield membership.room_nid, _read_profile(get_event(db, membership.event_nid).event.content)


def _read_profile(content: Mapping[str, Any]) -> Profile:
    """The name and the picture of a member event's content, where they are what they should be."""
    displayname, avatar_url = content.get("displayname"), content.get("avatar_url")
    return Profile(
        displayname=displayname if isinstance(displayname, str) and displayname else None,
        avatar_url=avatar_url if isinstance(avatar_url, str) and avatar_url.startswith("mxc://") else None,
    )
