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

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

from tabstead.protocol.identifiers import StateTuple
from tabstead.storage import current_state
from tabstead.storage.database import Db
from tabstead.storage.state_tuples import find_state_tuple, intern_state_tuple, select_state_tuples

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
    """Pairs of varints: seven bits a byte, the lowest first, the high bit where more follow."""
    encoded = bytearray()
    for pair in entries.items():
        for number in pair:
            rest = number
            while rest > 0x7F:
                encoded.append(rest & 0x7F | 0x80)
                rest >>= 7
            encoded.append(rest)
    return bytes(encoded)


def decode_entries(encoded: bytes) -> dict[int, int]:
    """The inverse of `encode_entries`."""
    numbers = _decode_varints(encoded)
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
    if new != EMPTY and (row := _find_row(db, new)).base == old and row.base != EMPTY:
        changed: Iterable[int] = next(_chain(db, new))
        pairs = {nid: (_find_entry(db, old, nid), _find_entry(db, new, nid)) for nid in changed}
    else:
        before, after = _read_entries(db, old), _read_entries(db, new)
        pairs = {nid: (before.get(nid), after.get(nid)) for nid in {**before, **after}}
    return {tuple_nid: pair for tuple_nid, pair in pairs.items() if pair[0] != pair[1]}


def _decode_varints(encoded: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in encoded:
        number |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
        else:
            yield number
            number = shift = 0
