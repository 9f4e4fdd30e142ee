"""History visibility: what of a room a user may read.

Two questions. *Which view of the room* does a user have: of the room as it is, as it was when they left, or none
(`find_view`)? And *which events* of that view may they see (`HistoryVisibility`)? An event may be seen, by the
`m.room.history_visibility` of the state it was sent in: always if that is `world_readable`; else by whom the state has
as joined; if `invited`, also by whom it has as invited; if `shared`, also by whom was joined at any later time.
A change of the visibility or of the user's membership counts as what is the more permissive of before and after.
(Client-Server API, § Room history visibility)
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from tabstead.errors import Forbidden
from tabstead.rooms.ignored_users import select_ignored_users
from tabstead.rooms.state import find_current_event
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, Standing, find_event_at, get_event
from tabstead.storage.memberships import Membership, find_membership
from tabstead.storage.positions import select_position
from tabstead.storage.rooms import Room
from tabstead.storage.state_history import find_state_event

_VISIBILITY: Final = "m.room.history_visibility"
_KNOWN: Final = frozenset({"world_readable", "shared", "invited", "joined"})
_SEES_JOINED: Final = frozenset({"join"})
_SEES_INVITED: Final = frozenset({"join", "invite"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomView:
    """Up to where a user reads a room."""

    room: Room
    up_to: int
    """The last stream position."""
    ends_with: PersistedEvent | None
    """The event whose state after it the view ends with; None for the room as it is."""


def find_view(db: Db, room: Room, user_id: str) -> RoomView | None:
    """The view that the user has of the room, None if they may not look at all."""
    membership = find_membership(db, user_id, room.room_nid)
    if membership is not None and membership.membership == "join":
        return RoomView(room=room, up_to=select_position(db), ends_with=None)
    if is_world_readable(db, room):
        return RoomView(room=room, up_to=select_position(db), ends_with=None)
    if membership is None or membership.forgotten or not membership.joined_until:
        return None
    ends_with = find_event_at(db, room.room_nid, membership.joined_until)
    return RoomView(room=room, up_to=membership.joined_until, ends_with=ends_with)


def get_view(db: Db, room: Room | None, user_id: str) -> RoomView:
    """The same. Raises Forbidden for who may not look, also at a room that isn't known."""
    view = None if room is None else find_view(db, room, user_id)
    if view is None:
        raise Forbidden("You aren't a member of the room and weren't previously a member of the room.")
    return view


class HistoryVisibility:
    """Which events of a room a user may see; remembers what it looked up for the events of one answer.

    Of ignored users nothing is seen but state events.
    """

    def __init__(self, db: Db, room: Room, user_id: str, *, ignored_users: Collection[str] = ()) -> None:
        self._db = db
        self._user_id = user_id
        self._ignored_users = ignored_users
        self._membership = find_membership(db, user_id, room.room_nid)
        self._before: dict[int, tuple[str, str | None]] = {}
        self._events: dict[int, PersistedEvent] = {}

    def select(self, events: Iterable[PersistedEvent]) -> list[PersistedEvent]:
        """Those of the events that the user may see, in their order."""
        return [event for event in events if self.may_see(event)]

    def may_see(self, event: PersistedEvent) -> bool:
        is_ignored = event.event.sender in self._ignored_users and not event.event.is_state
        if is_ignored or event.standing is not Standing.ACCEPTED or event.stream_position is None:
            return False
        if self._has_lasted_since(event) == "join":
            return True
        visibility, membership = self._state_before(event)
        if self._admits(visibility, membership, event.position):
            return True
        if event.event.type == _VISIBILITY and event.event.state_key == "":
            return self._admits(visibility_of(event), membership, event.position)
        if event.event.type == "m.room.member" and event.event.state_key == self._user_id:
            return self._admits(visibility, event.event.membership, event.position)
        return False

    def membership_at(self, event: PersistedEvent) -> str:
        """The user's membership after the event: `unsigned.membership`."""
        if event.event.type == "m.room.member" and event.event.state_key == self._user_id:
            return event.event.membership or "leave"
        return self._has_lasted_since(event) or self._state_before(event)[1] or "leave"

    def _has_lasted_since(self, event: PersistedEvent) -> str | None:
        """The user's membership of today, if the event came after it; it spares looking into the state history."""
        if self._membership is None or event.position <= self._membership.stream_position:
            return None
        return self._membership.membership

    def _admits(self, visibility: str, membership: str | None, position: int) -> bool:
        if visibility == "world_readable":
            return True
        if membership in (_SEES_INVITED if visibility == "invited" else _SEES_JOINED):
            return True
        return visibility == "shared" and _was_joined_after(self._membership, position)

    def _state_before(self, event: PersistedEvent) -> tuple[str, str | None]:
        """The visibility and the user's membership before an event."""
        known = self._before.get(event.state_before)
        if known is None:
            member = self._find(event.state_before, "m.room.member", self._user_id)
            visibility = visibility_of(self._find(event.state_before, _VISIBILITY, ""))
            known = visibility, None if member is None else member.event.membership
            self._before[event.state_before] = known
        return known

    def _find(self, snapshot: int, event_type: str, state_key: str) -> PersistedEvent | None:
        event_nid = find_state_event(self._db, snapshot, event_type, state_key)
        if event_nid is None:
            return None
        if event_nid not in self._events:
            self._events[event_nid] = get_event(self._db, event_nid)
        return self._events[event_nid]


def build_reader_visibility(db: Db, room: Room, user_id: str) -> HistoryVisibility:
    """What the user may see, without whom they ignore."""
    return HistoryVisibility(db, room, user_id, ignored_users=select_ignored_users(db, user_id))


def _was_joined_after(membership: Membership | None, position: int) -> bool:
    if membership is None:
        return False
    return membership.membership == "join" or position < membership.joined_until


def is_world_readable(db: Db, room: Room) -> bool:
    """Whether anyone may read the room as it is now."""
    return visibility_of(find_current_event(db, room, _VISIBILITY)) == "world_readable"


def visibility_of(event: PersistedEvent | None) -> str:
    """What an event that sets it says. "Shared" is what no event, or one that says nothing known, amounts to."""
    visibility = None if event is None else event.event.content.get("history_visibility")
    return visibility if isinstance(visibility, str) and visibility in _KNOWN else "shared"
