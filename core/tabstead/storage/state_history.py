"""The state history: room state after every state event, so that the state at any event can be read again.

A *snapshot* is a number for a state of a room: a map of (event type, state key) to event_nid. 0 is the empty state.
A message event writes nothing here: it names the snapshot before it.

Snapshots lie on lines, each the changes to the one before it (`state_segments`). A snapshot of a fork goes on the same
line if what tells it from the line's end is little; else it begins a line beside it. A line is cut into *epochs*: one
ends when it has as many changes as entries at its beginning, and the next begins with the whole state, so that a read
costs no more than a few times the state, and a long history not much more than its changes. Within an epoch the changes
are kept by state tuple (`state_chunks`), which answers what one entry was at any time. An epoch beside a line has only
what changed since: beneath it is the snapshot where it parted, its *ground*.

Equal states of a room share a snapshot, whatever path led there. Each has a hash that doesn't depend on order (the sum
of its entries' hashes, modulo 2^32), which costs one addition per change; where hashes are equal, the states are
compared. A state can only be as old as its newest event: the history is searched for equals no further back. What wins
is decided by the order of the changes on a line alone, never by the sharing.

The room's current state is also laid out in `current_state`; reads of that snapshot take it from there.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from tabstead.protocol.identifiers import StateTuple
from tabstead.storage import current_state, state_chunks
from tabstead.storage.database import Db
from tabstead.storage.state_segments import (
    SNAPSHOTS,
    Segment,
    append_snapshot,
    find_epoch_from,
    get_epoch,
    get_last_segment,
    get_segment,
    insert_epoch,
    insert_segment,
    select_segments,
    select_snapshots_by_hash,
)
from tabstead.storage.state_tuples import find_state_tuple, intern_state_tuple, select_state_tuples

StateMap: TypeAlias = dict[StateTuple, int]
"""A room state: the event_nid of each state tuple."""

EMPTY: Final = 0
"""The snapshot of the state before the first event."""

_REMOVED: Final = 0
_HASH_MODULUS: Final = 2**32

_NEAR: Final = 16
"""Changes from a snapshot to its line's end, up to which what follows on the snapshot goes on the same line."""

_SPARE_ENTRIES: Final = 256
"""An epoch takes so many changes more before it ends, so that small rooms don't begin many."""

_POINTS_PER_READ: Final = 4
"""Two snapshots with as many changes between them as one in so many of a state's entries are compared as a whole."""

_MAX_DEPTH: Final = 8
"""Epochs one beneath the other, from which on what they changed is gathered into one."""


def read_state(db: Db, snapshot: int, types: Iterable[str] | None = None) -> StateMap:
    """A snapshot's state, or the part of it that has these event types."""
    entries = read_entries(db, snapshot)
    return {state_tuple: entries[nid] for nid, state_tuple in select_state_tuples(db, entries, types).items()}


def find_state_event(db: Db, snapshot: int, event_type: str, state_key: str) -> int | None:
    """The event_nid of one state event of a snapshot."""
    tuple_nid = find_state_tuple(db, (event_type, state_key))
    return None if tuple_nid is None else find_entries(db, snapshot, [tuple_nid]).get(tuple_nid)


def find_state_events(db: Db, snapshot: int, state_tuples: Iterable[StateTuple]) -> StateMap:
    """Those of the state events that the snapshot has."""
    tuple_nids = {state_tuple: find_state_tuple(db, state_tuple) for state_tuple in state_tuples}
    found = find_entries(db, snapshot, [tuple_nid for tuple_nid in tuple_nids.values() if tuple_nid is not None])
    return {state_tuple: found[nid] for state_tuple, nid in tuple_nids.items() if nid is not None and nid in found}


def diff(db: Db, old: int, new: int) -> dict[StateTuple, tuple[int | None, int | None]]:
    """What differs between two snapshots: the event_nid before and after, None where there is none."""
    changes = diff_entries(db, old, new)
    state_tuples = select_state_tuples(db, changes) if changes else {}
    return {state_tuples[tuple_nid]: (before or None, after or None) for tuple_nid, (before, after) in changes.items()}


def find_conflict(db: Db, snapshots: Sequence[int]) -> list[StateMap]:
    """What is left of each snapshot's state without the entries that all of them have, with the same event.

    Reads what changed since they parted, or the whole states where that is about as much.
    """
    states = _read_where_they_may_differ(db, snapshots)
    tuple_nids = set().union(*states)
    conflicted = [
        tuple_nid for tuple_nid in tuple_nids if len({state.get(tuple_nid) or _REMOVED for state in states}) > 1
    ]
    state_tuples = select_state_tuples(db, conflicted)
    return [
        {state_tuples[tuple_nid]: state[tuple_nid] for tuple_nid in conflicted if state.get(tuple_nid)}
        for state in states
    ]


def add_snapshot(db: Db, room_nid: int, base: int, changes: Mapping[StateTuple, int | None]) -> int:
    """The snapshot of the state that these changes make of `base`; None as an event_nid takes an entry out."""
    effective = _effective_changes(db, base, changes)
    if not effective:
        return base
    set_hash = _hash_after(0 if base == EMPTY else get_segment(db, base).hash_of(base), effective)
    equal = _find_equal(db, room_nid, base, effective, set_hash)
    if equal is not None:
        return equal
    return _append(db, room_nid, base, {tuple_nid: after for tuple_nid, (_, after) in effective.items()}, set_hash)


def _effective_changes(db: Db, base: int, changes: Mapping[StateTuple, int | None]) -> dict[int, tuple[int, int]]:
    """The changes that change something, by tuple_nid: the event_nid before and after, 0 for none."""
    after = {intern_state_tuple(db, state_tuple): event_nid or _REMOVED for state_tuple, event_nid in changes.items()}
    before = find_entries(db, base, after)
    pairs = {tuple_nid: (before.get(tuple_nid, _REMOVED), event_nid) for tuple_nid, event_nid in after.items()}
    return {tuple_nid: (old, new) for tuple_nid, (old, new) in pairs.items() if old != new}


def _hash_after(set_hash: int, changes: Mapping[int, tuple[int, int]]) -> int:
    for tuple_nid, (before, after) in changes.items():
        set_hash += _entry_hash(tuple_nid, after) - _entry_hash(tuple_nid, before)
    return set_hash % _HASH_MODULUS


def _entry_hash(tuple_nid: int, event_nid: int) -> int:
    if event_nid == _REMOVED:
        return 0
    return int.from_bytes(sha256(b"%d %d" % (tuple_nid, event_nid)).digest()[:4], "big")


def _find_equal(db: Db, room_nid: int, base: int, changes: dict[int, tuple[int, int]], set_hash: int) -> int | None:
    """A snapshot of the room with the state that the changes make of `base`."""
    newest = max(after for _, after in changes.values())
    if set_hash == 0 and diff_entries(db, base, EMPTY) == changes:
        return EMPTY
    for snapshot in select_snapshots_by_hash(db, room_nid, set_hash, newest):
        if diff_entries(db, base, snapshot) == changes:
            return snapshot
    return None


def _append(db: Db, room_nid: int, base: int, changes: Mapping[int, int], set_hash: int) -> int:
    """Add the snapshot, which there isn't yet, that the changes make of `base`."""
    if base == EMPTY:
        epoch = insert_epoch(db, base=EMPTY, ground=EMPTY, depth=0, size=len(changes), entries={})
        segment = insert_segment(db, room_nid, epoch, ordinal=0, newest=0, size=0, entries=0)
        return _append_to(db, segment, EMPTY, changes, set_hash)
    ends = list(_ends_near(db, base))
    for end in ends:
        from_end = None if is_full(db, end) else _changes_from_end(db, end, base, changes)
        if from_end is not None:
            return _append_to(db, end, end.last, from_end, set_hash)
    is_next = len(ends) == 1 and ends[0].last == base
    begin = _begin_next if is_next else _begin_beside
    return _append_to(db, begin(db, ends[0], base), base, changes, set_hash)


def _ends_near(db: Db, base: int) -> Iterator[Segment]:
    """The last segments of the epoch of a snapshot, and of the youngest that goes on from it."""
    yield get_last_segment(db, get_segment(db, base).epoch)
    youngest = find_epoch_from(db, base)
    if youngest is not None:
        yield get_last_segment(db, youngest)


def is_full(db: Db, end: Segment) -> bool:
    """Whether a read from the epoch costs twice what it cost at the epoch's beginning."""
    epoch = get_epoch(db, end.epoch)
    return end.entries >= (2 if epoch.ground == EMPTY else 1) * epoch.size + _SPARE_ENTRIES


def _append_to(db: Db, segment: Segment, previous: int, changes: Mapping[int, int], set_hash: int) -> int:
    """Add the snapshot that the changes make of `previous`, which is what the segment has come to."""
    removed = sum(event_nid == _REMOVED for event_nid in changes.values())
    growth = len(changes) - removed - len(find_entries(db, previous, changes))
    if segment.growing is None:
        segment = insert_segment(
            db,
            segment.room_nid,
            segment.epoch,
            ordinal=segment.ordinal + 1,
            newest=segment.newest,
            size=segment.size,
            entries=segment.entries,
        )
    return append_snapshot(db, segment, changes, set_hash=set_hash, size=segment.size + growth)


def _changes_from_end(db: Db, end: Segment, base: int, changes: Mapping[int, int]) -> dict[int, int] | None:
    """What makes of the line's last state what the changes make of `base`; None if it is more than a little."""
    if end.last == base:
        return dict(changes)
    back = _changed_between(db, base, end.last, _NEAR)
    if back is None:
        return None
    wanted = {**dict.fromkeys(back, _REMOVED), **find_entries(db, base, back), **changes}
    present = find_entries(db, end.last, wanted)
    return {nid: event_nid for nid, event_nid in wanted.items() if present.get(nid, _REMOVED) != event_nid}


def _begin_next(db: Db, end: Segment, base: int) -> Segment:
    """An epoch that goes on from a snapshot, the last of its line, with its whole state."""
    state = read_entries(db, base)
    size = len(state)
    epoch = insert_epoch(db, base=base, ground=EMPTY, depth=0, size=size, entries=state)
    return insert_segment(db, end.room_nid, epoch, ordinal=0, newest=end.newest, size=size, entries=size)


def _begin_beside(db: Db, end: Segment, base: int) -> Segment:
    """An epoch that goes on from a snapshot beside the line that has it and comes to `end`."""
    depth = get_epoch(db, end.epoch).depth + 1
    ground, entries = base, dict[int, int]()
    if depth > _MAX_DEPTH:
        ground, entries = _gather(db, base)
        depth = 1
    size = end.size - sum(
        (new != _REMOVED) - (old != _REMOVED) for old, new in diff_entries(db, base, end.last).values()
    )
    epoch = insert_epoch(db, base=base, ground=ground, depth=depth, size=size, entries=entries)
    return insert_segment(db, end.room_nid, epoch, ordinal=0, newest=end.newest, size=size, entries=len(entries))


def read_entries(db: Db, snapshot: int) -> dict[int, int]:
    """A snapshot's state: event_nid by tuple_nid."""
    room_nid = _find_room_at(db, snapshot)
    if room_nid is not None:
        return current_state.select_entries(db, room_nid)
    layers = [layer for _, layer in _layers(db, snapshot)]
    entries: dict[int, int] = {}
    for layer in reversed(layers):
        entries = {**entries, **layer} if entries else layer
    if _REMOVED in entries.values():
        return {tuple_nid: event_nid for tuple_nid, event_nid in entries.items() if event_nid != _REMOVED}
    return entries


def find_entries(db: Db, snapshot: int, tuple_nids: Collection[int]) -> dict[int, int]:
    """Those of the state tuples that a snapshot has: event_nid by tuple_nid."""
    room_nid = _find_room_at(db, snapshot)
    if room_nid is not None:
        found = {tuple_nid: current_state.find_entry(db, room_nid, tuple_nid) or _REMOVED for tuple_nid in tuple_nids}
    else:
        found = _find_below(db, snapshot, tuple_nids)
    return {tuple_nid: event_nid for tuple_nid, event_nid in found.items() if event_nid != _REMOVED}


def diff_entries(db: Db, old: int, new: int) -> dict[int, tuple[int, int]]:
    """What differs between two snapshots: by tuple_nid, the event_nid before and after, 0 where there is none."""
    before, after = _read_where_they_may_differ(db, (old, new))
    pairs = {nid: (before.get(nid, _REMOVED), after.get(nid, _REMOVED)) for nid in before.keys() | after.keys()}
    return {tuple_nid: pair for tuple_nid, pair in pairs.items() if pair[0] != pair[1]}


def _find_below(db: Db, snapshot: int, tuple_nids: Iterable[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    missing = set(tuple_nids)
    while snapshot != EMPTY and missing:
        segment = get_segment(db, snapshot)
        growing = segment.growing_entries(snapshot)
        found |= {tuple_nid: growing[tuple_nid] for tuple_nid in missing & growing.keys()}
        missing -= growing.keys()
        settled = dict(state_chunks.find_entries(db, segment.epoch, segment.version_of(snapshot), missing))
        found |= settled
        missing -= settled.keys()
        snapshot = get_epoch(db, segment.epoch).ground if missing else EMPTY
    return found


def _layers(db: Db, snapshot: int) -> Iterator[tuple[int, dict[int, int]]]:
    """The entries of each epoch that a snapshot stands on, the uppermost first, with the snapshot beneath."""
    while snapshot != EMPTY:
        segment = get_segment(db, snapshot)
        entries = state_chunks.read_entries(db, segment.epoch, segment.version_of(snapshot))
        entries |= segment.growing_entries(snapshot)
        snapshot = get_epoch(db, segment.epoch).ground
        yield snapshot, entries


def _gather(db: Db, snapshot: int) -> tuple[int, dict[int, int]]:
    """The snapshot of a whole epoch that a snapshot stands on in the end, and all entries above it."""
    gathered: dict[int, int] = {}
    ground = snapshot
    for beneath, entries in _layers(db, snapshot):
        if beneath == EMPTY:
            break
        ground = beneath
        gathered = {**entries, **gathered}
    return ground, gathered


def _read_where_they_may_differ(db: Db, snapshots: Sequence[int]) -> list[dict[int, int]]:
    """The part of each snapshot's state that was changed since they parted, or all of it."""
    first, *others = snapshots
    tuple_nids: set[int] = set()
    limit = max(_size_near(db, snapshot) for snapshot in snapshots) // _POINTS_PER_READ + _NEAR
    for other in others:
        changed = _changed_between(db, first, other, limit)
        if changed is None:
            return [read_entries(db, snapshot) for snapshot in snapshots]
        tuple_nids |= changed
    return [find_entries(db, snapshot, tuple_nids) for snapshot in snapshots]


def _changed_between(db: Db, one: int, other: int, limit: int) -> set[int] | None:
    """The tuples that were changed on the way from one snapshot to another; None if it took more changes than that.

    An epoch goes on from one that is older, so the younger of two goes back first.
    """
    changed: list[int] = []
    low, high = _place(db, one), _place(db, other)
    while low[0] != high[0]:
        low, high = sorted((low, high))
        if not _extend_changed(db, changed, high[0], after=0, up_to=high[1], limit=limit):
            return None
        high = _place(db, get_epoch(db, high[0]).base)
    low, high = sorted((low, high))
    in_limit = _extend_changed(db, changed, low[0], after=low[1], up_to=high[1], limit=limit)
    return set(changed) if in_limit else None


def _extend_changed(db: Db, changed: list[int], epoch: int, *, after: int, up_to: int, limit: int) -> bool:
    """Add the tuples of an epoch's changes in after < version <= up_to. False once there are too many in all."""
    if up_to > after:
        for segment in select_segments(db, epoch, after, up_to):
            changed += segment.changed(after, up_to)
            if len(changed) > limit:
                return False
    return True


def _place(db: Db, snapshot: int) -> tuple[int, int]:
    """(epoch, version) of a snapshot; (0, 0) of the empty one."""
    if snapshot == EMPTY:
        return 0, 0
    segment = get_segment(db, snapshot)
    return segment.epoch, segment.version_of(snapshot)


def _size_near(db: Db, snapshot: int) -> int:
    """About how many entries a snapshot has."""
    return 0 if snapshot == EMPTY else get_segment(db, snapshot).size


def _find_room_at(db: Db, snapshot: int) -> int | None:
    """The room whose current state this snapshot is."""
    row = db.execute(
        "SELECT r.room_nid FROM state_segments s JOIN rooms r USING (room_nid)"
        " WHERE s.segment = ? AND r.state_snapshot = ?",
        (snapshot // SNAPSHOTS, snapshot),
    ).fetchone()
    return None if row is None else int(row[0])
