"""What each room is now: its forward extremities, its current state and who is in it, as the source has them.

A room's current state is laid out in slices, in the order of its tuples; the room moves to it with the last one.
"""

from collections import Counter
from itertools import islice
from typing import Any, Final

from tabstead.errors import ImportRefused
from tabstead.native.dendrite_import.states import StateImport
from tabstead.protocol.identifiers import RoomID
from tabstead.protocol.room_versions import get_room_version
from tabstead.storage.current_state import insert_entries
from tabstead.storage.database import Db
from tabstead.storage.dendrite_import.progress import (
    insert_room_number,
    select_event_numbers,
    select_room_numbers,
)
from tabstead.storage.dendrite_import.source import RoomserverSource, SourceRoom
from tabstead.storage.events import PersistedEvent, select_events
from tabstead.storage.memberships import (
    delete_membership,
    find_membership,
    select_members,
    update_forgotten,
    update_membership,
)
from tabstead.storage.positions import select_position
from tabstead.storage.room_aliases import insert_alias
from tabstead.storage.room_directory import update_directory_listing
from tabstead.storage.rooms import (
    find_room,
    insert_room,
    update_forward_extremities,
    update_state_snapshot,
)
from tabstead.storage.state_history import read_entries

SLICE_ENTRIES: Final = 500
"""Entries of current state per transaction."""

_MEMBERSHIPS: Final = ("join", "invite", "leave", "ban", "knock")


class RoomImport:
    """Takes rooms before their events are taken, and what they have become afterwards."""

    def __init__(self, source: RoomserverSource, states: StateImport) -> None:
        self._source = source
        self._states = states

    def take_rooms(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """The rooms, without anything in them."""
        for source in self._source.select_rooms():
            room = insert_room(db, RoomID(source.room_id), get_room_version(source.room_version))
            insert_room_number(db, source.room_nid, room.room_nid)
            counts["rooms" if source.snapshot else "rooms only heard of"] += 1
        return None

    def take_current(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """A slice of a room's current state.

        The position is the last room that is done, and the last tuple that was taken of the next one.
        """
        done, tuple_nid = position or (0, 0)
        source = self._source.find_next_room(done)
        if source is None:
            return None
        last = self._take_entries(db, source, tuple_nid) if source.snapshot else None
        return [source.room_nid, 0] if last is None else [done, last]

    def _take_entries(self, db: Db, source: SourceRoom, after: int) -> int | None:
        """The next entries of a room's state; the last one's tuple, or None where the room is done."""
        room_nid = _find_room_nid(db, source)
        near = self._source.get_event(source.latest_event_nids[-1]).snapshot if source.latest_event_nids else 0
        snapshot = self._states.take(db, room_nid, source.snapshot, near)
        state = read_entries(db, snapshot)
        entries = list(islice(sorted(entry for entry in state.items() if entry[0] > after), SLICE_ENTRIES))
        insert_entries(db, room_nid, entries)
        for event in select_events(db, (event_nid for _, event_nid in entries)).values():
            _follow_membership(db, room_nid, event)
        if len(entries) == SLICE_ENTRIES:
            return entries[-1][0]
        self._finish(db, source, room_nid, snapshot, set(state.values()))
        return None

    def _finish(self, db: Db, source: SourceRoom, room_nid: int, snapshot: int, current: set[int]) -> None:
        for member in select_members(db, room_nid, _MEMBERSHIPS):
            if member.event_nid not in current:
                delete_membership(db, member.user_id, room_nid)
        latest = select_event_numbers(db, source.latest_event_nids)
        if len(latest) < len(source.latest_event_nids) or not all(number.is_placed for number in latest.values()):
            raise ImportRefused(f"The Dendrite database is damaged: forward extremities of {source.room_id} are gone.")
        update_forward_extremities(db, room_nid, removed=(), added=[number.event_nid for number in latest.values()])
        update_state_snapshot(db, room_nid, snapshot)

    def take_directory(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """Aliases, the public rooms, and who has forgotten which room."""
        for room_alias, room_id, creator in self._source.select_aliases():
            insert_alias(db, room_alias, room_id, creator)
            counts["aliases"] += 1
        for room_id in self._source.select_published():
            room = find_room(db, room_id)
            if room is not None:
                update_directory_listing(db, room.room_nid, True)
                counts["public rooms"] += 1
        numbers = select_room_numbers(db)
        for source_nid, user_id in self._source.select_forgotten():
            membership = find_membership(db, user_id, numbers[source_nid]) if source_nid in numbers else None
            if membership is not None and membership.membership in ("leave", "ban"):
                update_forgotten(db, user_id, membership.room_nid)
        return None


def _find_room_nid(db: Db, source: SourceRoom) -> int:
    room = find_room(db, source.room_id)
    assert room is not None, "all rooms are taken first"
    return room.room_nid


def _follow_membership(db: Db, room_nid: int, event: PersistedEvent) -> None:
    """Settle whose membership an event of the current state is, where the order of the events has not done so."""
    if event.event.type != "m.room.member" or event.event.state_key is None:
        return
    known = find_membership(db, event.event.state_key, room_nid)
    if known is None or known.event_nid != event.event_nid:
        update_membership(
            db,
            event.event.state_key,
            room_nid,
            membership=event.event.membership or "leave",
            event_nid=event.event_nid,
            stream_position=event.stream_position or select_position(db),
        )
