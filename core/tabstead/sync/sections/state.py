"""A room's state in an answer: what a client must know beside the timeline's events to have the whole state.

A client applies the state, then the timeline; so for what the timeline changes, the state is that at the timeline's
start, and for everything else that at the end. With `use_state_after` all of it is that at the end, and the client
applies nothing of the timeline.

Lazy loading leaves out members that the client doesn't need: it needs the senders in the timeline, itself in a whole
state, the heroes, and every change in a gap.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from tabstead.protocol.identifiers import StateTuple
from tabstead.storage.current_state import select_changes, select_current
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, select_events
from tabstead.storage.sync_queries import find_entry_at
from tabstead.sync.members_sent import is_sent
from tabstead.sync.room_changes import RoomChange
from tabstead.sync.sections.timeline import Timeline
from tabstead.sync.view import SyncView

_MEMBER: Final = "m.room.member"
_END_OF_TIME: Final = 2**62

_Entries: TypeAlias = dict[StateTuple, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """State at the two ends of a timeline: all of it, or what changed since the client's last answer."""

    before: _Entries
    end: _Entries


def read_state(
    db: Db, view: SyncView, change: RoomChange, timeline: Timeline, heroes: Iterable[str]
) -> list[PersistedEvent]:
    """The state events for the client, in the order of the timeline."""
    state_filter = view.filter.state
    if not state_filter.allows_room(change.room.room_id):
        return []
    span = _whole_span(db, change, timeline) if change.whole else _changes_span(db, change, timeline)
    entries = _entries_to_tell(view, span, timeline)
    if state_filter.lazy_load_members:
        needed = {(_MEMBER, user_id) for user_id in (*(event.event.sender for event in timeline.events), *heroes)}
        if change.whole:
            needed |= {(_MEMBER, view.user_id)} | _changed_since(db, change)
            entries = _without_other_members(entries, needed)
        else:
            entries |= _find_members(db, view, change, timeline, needed - entries.keys())
    if not entries:
        return []
    events = [
        event
        for event in select_events(db, entries.values()).values()
        if state_filter.allows(event.event.type, event.event.sender, event.event.content)
    ]
    return sorted(events, key=lambda event: (event.stream_position or 0, event.event.depth))


def read_state_at_end(db: Db, change: RoomChange, timeline: Timeline) -> dict[StateTuple, int]:
    """The whole state at the end of what is told of the room."""
    return _whole_span(db, change, timeline).end


def _entries_to_tell(view: SyncView, span: _Span, timeline: Timeline) -> _Entries:
    if view.use_state_after:
        return span.end
    in_timeline = {event.event.state_tuple for event in timeline.events if event.event.is_state}
    told_at_start = {state_tuple: nid for state_tuple, nid in span.before.items() if state_tuple in in_timeline}
    return {state_tuple: nid for state_tuple, nid in span.end.items() if state_tuple not in in_timeline} | told_at_start


def _whole_span(db: Db, change: RoomChange, timeline: Timeline) -> _Span:
    """Walk back from the current state, undoing the changes since."""
    state: dict[StateTuple, int | None] = {**select_current(db, change.room_nid)}
    end: _Entries | None = None
    undone_to = min(timeline.start - 1, change.state_up_to)
    for past in reversed(select_changes(db, change.room_nid, after=undone_to, up_to=_END_OF_TIME)):
        if end is None and past.stream_position <= change.state_up_to:
            end = _present(state)
        state[past.state_tuple] = past.previous_nid
    before = _present(state)
    return _Span(before=before, end=before if end is None else end)


def _changes_span(db: Db, change: RoomChange, timeline: Timeline) -> _Span:
    before: dict[StateTuple, int | None] = {}
    end: dict[StateTuple, int | None] = {}
    for past in select_changes(db, change.room_nid, after=change.after, up_to=change.state_up_to):
        end[past.state_tuple] = past.event_nid
        if past.stream_position < timeline.start:
            before[past.state_tuple] = past.event_nid
    return _Span(before=_present(before), end=_present(end))


def _present(entries: Mapping[StateTuple, int | None]) -> _Entries:
    return {state_tuple: nid for state_tuple, nid in entries.items() if nid is not None}


def _changed_since(db: Db, change: RoomChange) -> set[StateTuple]:
    """What a client that knew the room before may know wrongly by now."""
    if not change.after:
        return set()
    changes = select_changes(db, change.room_nid, after=change.after, up_to=change.state_up_to)
    return {past.state_tuple for past in changes}


def _without_other_members(entries: _Entries, needed: set[StateTuple]) -> _Entries:
    return {
        state_tuple: nid for state_tuple, nid in entries.items() if state_tuple[0] != _MEMBER or state_tuple in needed
    }


def _find_members(db: Db, view: SyncView, change: RoomChange, timeline: Timeline, needed: set[StateTuple]) -> _Entries:
    """Of members that didn't change, or changed in the timeline alone: those that the client was not sent before."""
    position = change.state_up_to if view.use_state_after else min(timeline.start - 1, change.state_up_to)
    found = {state_tuple: find_entry_at(db, change.room_nid, *state_tuple, position) for state_tuple in needed}
    return {
        state_tuple: nid
        for state_tuple, nid in found.items()
        if nid is not None and not _is_redundant(view, change, state_tuple, nid)
    }


def _is_redundant(view: SyncView, change: RoomChange, member: StateTuple, event_nid: int) -> bool:
    if view.filter.state.include_redundant_members:
        return False
    return is_sent(view.members_sent, change.room_nid, member[1], event_nid, view.after)
