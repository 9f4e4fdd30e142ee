"""Whose devices a client must look at anew, and whose it may forget.

`changed`: who shares a room with the user and changed their devices or cross-signing keys, or shares a room since;
`left`: who shares none any more. A user too many in `changed` costs a client one query, one too few a conversation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tabstead.storage.current_state import select_changes
from tabstead.storage.database import Db
from tabstead.storage.device_lists import select_device_list_changes
from tabstead.storage.events import select_events
from tabstead.storage.memberships import select_joined_users, share_room
from tabstead.sync.room_changes import JOIN, RoomChange
from tabstead.sync.view import SyncView


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """How the circle of those who share rooms with the user changed."""

    met: frozenset[str]
    """Share a room with the user, one that either of them joined in the span."""
    left: frozenset[str]
    """Share no room with the user any more."""


def select_company(db: Db, view: SyncView, changes: Mapping[int, RoomChange]) -> Company:
    """Who came and who went, in the rooms that changed."""
    came: set[str] = set()
    went: set[str] = set()
    for change in changes.values():
        if change.section == JOIN and change.entered:
            came.update(select_joined_users(db, change.room_nid))
        if change.exited:
            went.update(select_joined_users(db, change.room_nid))
        if change.section == JOIN or change.exited:
            joined, departed = _select_movements(db, view, change)
            came |= joined if change.section == JOIN else set()
            went |= departed
    came.discard(view.user_id)
    went -= came | {view.user_id}
    return Company(
        met=frozenset(came), left=frozenset(user_id for user_id in went if not share_room(db, view.user_id, user_id))
    )


def select_changed(db: Db, view: SyncView, company: Company) -> list[str]:
    """The users whose keys the client must query again."""
    changed = select_device_list_changes(db, after=view.after)
    near = {
        user_id for user_id in changed - company.met if user_id == view.user_id or share_room(db, view.user_id, user_id)
    }
    return sorted(near | company.met)


def _select_movements(db: Db, view: SyncView, change: RoomChange) -> tuple[set[str], set[str]]:
    """Who joined the room, and who left it, in the span."""
    members = [
        past
        for past in select_changes(db, change.room_nid, after=view.after, up_to=view.up_to)
        if past.state_tuple[0] == "m.room.member"
    ]
    if not members:
        return set(), set()
    nids = {nid for past in members for nid in (past.event_nid, past.previous_nid) if nid is not None}
    joins = {nid for nid, event in select_events(db, nids).items() if event.event.membership == JOIN}
    came = {past.state_tuple[1] for past in members if past.event_nid in joins and past.previous_nid not in joins}
    went = {past.state_tuple[1] for past in members if past.event_nid not in joins and past.previous_nid in joins}
    return came, went
