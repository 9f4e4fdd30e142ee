"""Which rooms an answer speaks of, in which section each stands, and what of it the user may learn.

Where a user stands in a room is told by their memberships over the span: who was joined throughout sees everything that
is new; who newly joined (or left and came back) gets the room as if for the first time; who left is told up to there;
who never was inside learns of their own membership event alone. A room that was forgotten since is told as left to
those clients that don't know so yet, and to no others.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from tabstead.storage.database import Db
from tabstead.storage.memberships import Membership, select_memberships
from tabstead.storage.rooms import Room, get_room
from tabstead.storage.sync_queries import (
    select_changed_memberships,
    select_joined_rooms_with_news,
    select_membership_history,
)
from tabstead.sync.view import SyncView

JOIN: Final = "join"
_GONE: Final = frozenset({"leave", "ban"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomChange:
    """A room in an answer."""

    room: Room
    section: str
    """join, invite, knock or leave."""
    member_nid: int | None = None
    """The event_nid of the user's member event; None in a room where it is no news."""
    after: int
    """What came up to here the client knows; 0: it shall be told of the room from the beginning."""
    up_to: int
    """Up to where the timeline is told."""
    state_up_to: int
    """Up to where the state is told."""
    whole: bool = False
    """The client needs the whole state."""
    watched: bool = False
    """The user was joined all the time: everything that is new may be seen."""
    entered: bool = False
    """The user joined, or came back, in the span."""
    exited: bool = False
    """The user was joined at the span's beginning, and is no longer."""

    @property
    def room_nid(self) -> int:
        return self.room.room_nid


def select_room_changes(db: Db, view: SyncView) -> dict[int, RoomChange]:
    """The rooms whose timeline or whose membership of the user is news, by room_nid; without `since` all of them.

    Rooms that the filter leaves out are among them: device lists and presence know no filter of rooms.
    """
    changes = _initial(db, view) if view.since is None else _incremental(db, view)
    return {change.room_nid: change for change in changes}


def change_of_room(db: Db, view: SyncView, membership: Membership) -> RoomChange:
    """One room of the user's, whatever is new in it; without `since` from its beginning, a left one up to the leave."""
    room = get_room(db, membership.room_nid)
    if view.since is None:
        return _whole_room(view, room, membership)
    if membership.stream_position > view.after:
        return _changed_room(db, view, room, membership)
    if membership.membership == JOIN:
        return watched_room(view, room)
    return replace(_whole_room(view, room, membership), after=view.after, whole=False)


def watched_room(view: SyncView, room: Room) -> RoomChange:
    """A room that the user was joined to all the time."""
    return RoomChange(
        room=room,
        section=JOIN,
        after=view.after,
        up_to=view.up_to,
        state_up_to=view.up_to,
        whole=view.full_state,
        watched=True,
    )


def _initial(db: Db, view: SyncView) -> Iterable[RoomChange]:
    for membership in select_memberships(db, view.user_id):
        if membership.membership not in _GONE or (view.filter.include_leave and not membership.forgotten):
            yield _whole_room(view, get_room(db, membership.room_nid), membership)


def _incremental(db: Db, view: SyncView) -> Iterable[RoomChange]:
    changed = select_changed_memberships(db, view.user_id, after=view.after, up_to=view.up_to)
    for membership in changed:
        yield _changed_room(db, view, get_room(db, membership.room_nid), membership)
    for room_nid in _rooms_to_tell_of(db, view) - {membership.room_nid for membership in changed}:
        yield watched_room(view, get_room(db, room_nid))


def _rooms_to_tell_of(db: Db, view: SyncView) -> set[int]:
    if view.full_state:
        return {membership.room_nid for membership in select_memberships(db, view.user_id, (JOIN,))}
    return select_joined_rooms_with_news(db, view.user_id, after=view.after, up_to=view.up_to)


def _changed_room(db: Db, view: SyncView, room: Room, membership: Membership) -> RoomChange:
    """A room in which the user's member event changed in the span."""
    history = select_membership_history(db, view.user_id, room.room_nid, after=view.after, up_to=view.up_to)
    was_joined = bool(history) and history[0].previous == JOIN
    stayed = was_joined and all(change.membership == JOIN for change in history[:-1])
    if membership.membership == JOIN:
        if stayed:
            return watched_room(view, room)
        return replace(_new_room(view, room, membership), after=view.after if was_joined else 0, entered=True)
    if membership.membership not in _GONE:
        return replace(_new_room(view, room, membership), exited=was_joined)
    was_inside = was_joined or any(change.membership == JOIN for change in history)
    if not was_inside or (membership.forgotten and not was_joined):
        return _own_event_alone(room, membership)
    return replace(
        _left_room(room, membership),
        after=view.after if was_joined else 0,
        whole=not stayed,
        watched=stayed,
        exited=was_joined,
    )


def _whole_room(view: SyncView, room: Room, membership: Membership) -> RoomChange:
    """A room for a client that doesn't know it."""
    if membership.membership not in _GONE:
        return _new_room(view, room, membership)
    return _left_room(room, membership) if membership.joined_until else _own_event_alone(room, membership)


def _new_room(view: SyncView, room: Room, membership: Membership) -> RoomChange:
    """A room that the user is joined, invited or knocking to, told from its beginning."""
    return RoomChange(
        room=room,
        section=membership.membership,
        member_nid=membership.event_nid,
        after=0,
        up_to=view.up_to,
        state_up_to=view.up_to,
        whole=True,
    )


def _left_room(room: Room, membership: Membership) -> RoomChange:
    """A room that the user was joined to, told from its beginning to their leave."""
    return RoomChange(
        room=room,
        section="leave",
        member_nid=membership.event_nid,
        after=0,
        up_to=membership.stream_position,
        state_up_to=membership.joined_until,
        whole=True,
    )


def _own_event_alone(room: Room, membership: Membership) -> RoomChange:
    """A room that the user was never joined to, as far as the client knows: an invite that came to nothing."""
    return RoomChange(
        room=room,
        section="leave",
        member_nid=membership.event_nid,
        after=membership.stream_position - 1,
        up_to=membership.stream_position,
        state_up_to=membership.stream_position,
        watched=True,
    )
