"""The state history: room state after every state event, so that the state at any event can be read again.

A *snapshot* is a number for a state of a room: a map of (event type, state key) to event_nid. 0 is the empty state.
It is stored as the changes to its base, or whole: a *keyframe*, written when the changes since the last keyframe reach
the size of the state, so that a read costs no more than twice the state and a long history no more than twice its
changes. A message event writes nothing here: it names the snapshot before it.

Equal states of a room share a snapshot, whatever path led there: each has a hash that doesn't depend on order (the sum
of its entries' hashes, modulo 2^128), which costs one addition per change. What wins is decided by the rows' order
along the chain alone, the newer over the older, never by the sharing.

The room's current state is also laid out in `current_state`; reads of that snapshot take it from there.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

from tabstead.protocol.identifiers import StateTuple
from tabstead.storage import current_state
from tabstead.storage.database import Db
from tabstead.storage.state_tuples import find_state_tuple, intern_state_tuple, select_state_tuples
from tabstead.storage.varints import decode_varints, encode_varints

StateMap: TypeAlias = dict[StateTuple, int]
"""A room state: the event_nid of each state tuple."""

EMPTY: Final = 0
"""The snapshot of the state before the first event."""

_REMOVED: Final = 0
_HASH_MODULUS: Final = 2**128


def read_state(db: Db, snapshot: int, types: Iterable[str] | None = None) -> StateMap:
    """A snapshot's state, or the part of it that has these event types."""
    entries = _read_entries(db, snapshot)
    return {state_tuple: entries[nid] for nid, state_tuple in select_state_tuples(db, entries, types).items()}


def find_state_event(db: Db, snapshot: int, event_type: str, state_key: str) -> int | None:
    """The event_nid of one state event of a snapshot."""
    tuple_nid = find_state_tuple(db, (event_type, state_key))
    return None if tuple_nid is None else _find_entry(db, snapshot, tuple_nid)


def find_state_events(db: Db, snapshot: int, state_tuples: Iterable[StateTuple]) -> StateMap:
    """Those of the state events that the snapshot has."""
    room_nid = _find_room_at(db, snapshot)
    if room_nid is not None:
        found = {state_tuple: current_state.find_current(db, room_nid, *state_tuple) for state_tuple in state_tuples}
    else:
        found = {state_tuple: find_state_event(db, snapshot, *state_tuple) for state_tuple in state_tuples}
    return {state_tuple: event_nid for state_tuple, event_nid in found.items() if event_nid is not None}


def diff(db: Db, old: int, new: int) -> dict[StateTuple, tuple[int | None, int | None]]:
    """What differs between two snapshots: the event_nid before and after, None where there is none."""
    if old == new:
        return {}
    changes = _diff_entries(db, old, new)
    return {state_tuple: changes[nid] for nid, state_tuple in select_state_tuples(db, changes).items()}


def find_conflict(db: Db, snapshots: Sequence[int]) -> list[StateMap]:
    """What is left of each snapshot's state without the entries that all of them have, with the same event.

    Reads what changed since the newest snapshot that all go back to, or the whole states where there is none.
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
    head = _find_row(db, base)
    size, set_hash = _apply(head, effective)
    if size == 0:
        return EMPTY
    equal = db.execute(
        "SELECT snapshot FROM state_snapshots WHERE room_nid = ? AND set_hash = ? AND size = ?",
        (room_nid, set_hash, size),
    ).fetchone()
    if equal is not None:
        return int(equal[0])
    since_keyframe = head.since_keyframe + len(effective)
    entries = {tuple_nid: new for tuple_nid, (_, new) in effective.items()}
    if base == EMPTY or since_keyframe >= size:
        whole = {**_read_entries(db, base), **entries}
        entries = {tuple_nid: event_nid for tuple_nid, event_nid in whole.items() if event_nid != _REMOVED}
        base, since_keyframe = EMPTY, 0
    row = db.execute(
        "INSERT INTO state_snapshots (room_nid, base, size, since_keyframe, set_hash, changes)"
        " VALUES (?, ?, ?, ?, ?, ?) RETURNING snapshot",
        (room_nid, base, size, since_keyframe, set_hash, encode_entries(entries)),
    ).fetchone()
    return int(row[0])


def encode_entries(entries: Mapping[int, int]) -> bytes:
    """Pairs of varints."""
    return encode_varints(number for entry in entries.items() for number in entry)


def decode_entries(encoded: bytes) -> dict[int, int]:
    """The inverse of `encode_entries`."""
    numbers = decode_varints(encoded)
    return dict(zip(numbers, numbers, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    base: int
    size: int
    since_keyframe: int
    set_hash: bytes


_EMPTY_ROW: Final = _Row(base=EMPTY, size=0, since_keyframe=0, set_hash=bytes(16))


def _find_row(db: Db, snapshot: int) -> _Row:
    if snapshot == EMPTY:
        return _EMPTY_ROW
    base, size, since_keyframe, set_hash = db.execute(
        "SELECT base, size, since_keyframe, set_hash FROM state_snapshots WHERE snapshot = ?", (snapshot,)
    ).fetchone()
    return _Row(base=base, size=size, since_keyframe=since_keyframe, set_hash=set_hash)


def _effective_changes(db: Db, base: int, changes: Mapping[StateTuple, int | None]) -> dict[int, tuple[int, int]]:
    """The changes that change something, by tuple_nid: the event_nid before and after, 0 for none."""
    effective = {}
    for state_tuple, event_nid in changes.items():
        tuple_nid = intern_state_tuple(db, state_tuple)
        before = _find_entry(db, base, tuple_nid) or _REMOVED
        after = event_nid or _REMOVED
        if before != after:
            effective[tuple_nid] = (before, after)
    return effective


def _apply(row: _Row, changes: Mapping[int, tuple[int, int]]) -> tuple[int, bytes]:
    """The size and the hash of the state after the changes."""
    size, total = row.size, int.from_bytes(row.set_hash, "big")
    for tuple_nid, (before, after) in changes.items():
        if before != _REMOVED:
            size, total = size - 1, total - _entry_hash(tuple_nid, before)
        if after != _REMOVED:
            size, total = size + 1, total + _entry_hash(tuple_nid, after)
    return size, (total % _HASH_MODULUS).to_bytes(16, "big")


def _entry_hash(tuple_nid: int, event_nid: int) -> int:
    return int.from_bytes(sha256(b"%d %d" % (tuple_nid, event_nid)).digest()[:16], "big")


def _read_entries(db: Db, snapshot: int) -> dict[int, int]:
    """A snapshot's state by tuple_nid."""
    room_nid = _find_room_at(db, snapshot)
    if room_nid is not None:
        return current_state.select_entries(db, room_nid)
    chain = list(_chain(db, snapshot))
    entries: dict[int, int] = {}
    for changes in reversed(chain):
        entries.update(changes)
    return {tuple_nid: event_nid for tuple_nid, event_nid in entries.items() if event_nid != _REMOVED}


def _find_entry(db: Db, snapshot: int, tuple_nid: int) -> int | None:
    room_nid = _find_room_at(db, snapshot)
    if room_nid is not None:
        return current_state.find_entry(db, room_nid, tuple_nid)
    for changes in _chain(db, snapshot):
        if tuple_nid in changes:
            return changes[tuple_nid] or None
    return None


def _find_entries(db: Db, snapshot: int, tuple_nids: Collection[int]) -> dict[int, int]:
    """The entries of some state tuples that the snapshot has."""
    room_nid = _find_room_at(db, snapshot)
    if room_nid is not None:
        found = {tuple_nid: current_state.find_entry(db, room_nid, tuple_nid) for tuple_nid in tuple_nids}
        return {tuple_nid: event_nid for tuple_nid, event_nid in found.items() if event_nid is not None}
    entries: dict[int, int] = {}
    missing = set(tuple_nids)
    for changes in _chain(db, snapshot):
        if not missing:
            break
        entries |= {tuple_nid: changes[tuple_nid] for tuple_nid in missing & changes.keys()}
        missing -= changes.keys()
    return {tuple_nid: event_nid for tuple_nid, event_nid in entries.items() if event_nid != _REMOVED}


def _read_where_they_may_differ(db: Db, snapshots: Sequence[int]) -> list[dict[int, int]]:
    """The part of each snapshot's state that was changed since the newest snapshot that all go back to, or all of it.

    Removed entries are 0 or absent.
    """
    overlays, base = _since_common_base(db, snapshots)
    if base is None:
        return [_read_entries(db, snapshot) for snapshot in snapshots]
    below = _find_entries(db, base, set().union(*overlays))
    return [{**below, **overlay} for overlay in overlays]


def _since_common_base(db: Db, snapshots: Sequence[int]) -> tuple[list[dict[int, int]], int | None]:
    """What each snapshot changed since the newest snapshot that all go back to, and that one; None if there is none.

    A base has a lower number than what is built on it, so the highest of several numbers goes back first.
    """
    overlays: list[dict[int, int]] = [{} for _ in snapshots]
    heads: dict[int, list[dict[int, int]]] = {}
    for snapshot, overlay in zip(snapshots, overlays, strict=True):
        heads.setdefault(snapshot, []).append(overlay)
    while len(heads) > 1:
        newest = max(heads)
        base, encoded = db.execute("SELECT base, changes FROM state_snapshots WHERE snapshot = ?", (newest,)).fetchone()
        if base == EMPTY:
            return overlays, None
        changes = decode_entries(encoded)
        above = heads.pop(newest)
        for overlay in above:
            for tuple_nid, event_nid in changes.items():
                overlay.setdefault(tuple_nid, event_nid)
        heads.setdefault(base, []).extend(above)
    return overlays, next(iter(heads))


def _find_room_at(db: Db, snapshot: int) -> int | None:
    """The room whose current state this snapshot is."""
    row = db.execute(
        "SELECT r.room_nid FROM state_snapshots s JOIN rooms r USING (room_nid)"
        " WHERE s.snapshot = ?1 AND r.state_snapshot = ?1",
        (snapshot,),
    ).fetchone()
    return None if row is None else int(row[0])


def _chain(db: Db, snapshot: int) -> Iterator[dict[int, int]]:
    """The changes from this snapshot back to its keyframe, whose changes are its whole state."""
    rows = db.execute(
        "WITH RECURSIVE chain (base, changes) AS ("
        " SELECT base, changes FROM state_snapshots WHERE snapshot = ?"
        " UNION ALL SELECT s.base, s.changes FROM chain c JOIN state_snapshots s ON s.snapshot = c.base)"
        " SELECT changes FROM chain",
        (snapshot,),
    )
    for (changes,) in rows:
        yield decode_entries(changes)


def _diff_entries(db: Db, old: int, new: int) -> dict[int, tuple[int | None, int | None]]:
    before, after = _read_where_they_may_differ(db, (old, new))
    pairs = {nid: (before.get(nid) or None, after.get(nid) or None) for nid in {**before, **after}}
    return {tuple_nid: pair for tuple_nid, pair in pairs.items() if pair[0] != pair[1]}
