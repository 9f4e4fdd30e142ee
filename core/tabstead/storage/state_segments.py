"""The rows of the state history in the order in which they came: epochs, and their segments of up to 64 snapshots.

A snapshot's number names its segment's row and its index there. A segment logs, per snapshot, which state tuples it
changed from the snapshot before, and the hash of its state. While a segment grows it also holds the changes' events;
when it is full those go to the chunks of its epoch, many at once, because a page there is rewritten for each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tabstead.storage.engine import Db
from tabstead.storage.number_columns import decode_columns, encode_columns
from tabstead.storage.state_chunks import insert_entries

SNAPSHOTS: Final = 64
"""Snapshots per segment."""

_CHANGES: Final = 128
"""Changes per segment, above which it takes no more snapshots."""

_HASH_BYTES: Final = 4
_ROUNDING: Final = 1023
"""The bound on a segment's events moves in steps, or each state event would rewrite a page of the index over it."""

_SELECT: Final = (
    "SELECT segment, room_nid, newest, epoch, ordinal, size, entries, hashes, log, growing FROM state_segments"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A run of segments."""

    epoch: int
    base: int
    """The snapshot that it goes on from."""
    ground: int
    """The snapshot beneath its entries; 0 if they are the whole state."""
    depth: int
    """Epochs beneath it."""
    size: int
    """Entries of the state that it begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Consecutive snapshots; `size` and `entries` are those of the last one's state and of the epoch up to it."""

    segment: int
    room_nid: int
    newest: int
    epoch: int
    ordinal: int
    size: int
    entries: int
    hashes: bytes
    log: bytes
    """Columns: changes per snapshot, and their tuple_nids."""
    growing: bytes | None
    """Column: the changes' event_nids, None once they are in the chunks."""

    @property
    def length(self) -> int:
        """How many snapshots it has."""
        return len(self.hashes) // _HASH_BYTES

    @property
    def last(self) -> int:
        """The last snapshot."""
        return self.segment * SNAPSHOTS + self.length - 1

    @property
    def first_version(self) -> int:
        return self.ordinal * SNAPSHOTS + 1

    def version_of(self, snapshot: int) -> int:
        """A snapshot's place in the epoch."""
        return self.first_version + snapshot % SNAPSHOTS

    def hash_of(self, snapshot: int) -> int:
        at = snapshot % SNAPSHOTS * _HASH_BYTES
        return int.from_bytes(self.hashes[at : at + _HASH_BYTES], "big")

    def snapshots_of(self, set_hash: bytes) -> Iterator[int]:
        for index in range(self.length):
            if self.hashes[index * _HASH_BYTES : (index + 1) * _HASH_BYTES] == set_hash:
                yield self.segment * SNAPSHOTS + index

    def changed(self, after: int, up_to: int) -> list[int]:
        """The tuple_nids that the versions after < version <= up_to changed."""
        counts, tuples = decode_columns(self.log)
        begin, end = (min(max(version - self.ordinal * SNAPSHOTS, 0), self.length) for version in (after, up_to))
        return tuples[sum(counts[:begin]) : sum(counts[:end])]

    def growing_entries(self, snapshot: int) -> dict[int, int]:
        """event_nid or 0 by tuple_nid, as of a snapshot, of what is not in the chunks yet."""
        if self.growing is None:
            return {}
        counts, tuples = decode_columns(self.log)
        (events,) = decode_columns(self.growing)
        end = sum(counts[: snapshot % SNAPSHOTS + 1])
        return dict(zip(tuples[:end], events[:end], strict=True))


def get_segment(db: Db, snapshot: int) -> Segment:
    """The segment of a snapshot other than the empty one."""
    return _segment(db.execute(f"{_SELECT} WHERE segment = ?", (snapshot // SNAPSHOTS,)).fetchone())


def get_last_segment(db: Db, epoch: int) -> Segment:
    row = db.execute(f"{_SELECT} WHERE epoch = ? ORDER BY ordinal DESC LIMIT 1", (epoch,)).fetchone()
    return _segment(row)


def select_segments(db: Db, epoch: int, after: int, up_to: int) -> Iterator[Segment]:
    """The segments of an epoch with versions after < version <= up_to."""
    bounds = (epoch, after // SNAPSHOTS, (up_to - 1) // SNAPSHOTS)
    for row in db.execute(f"{_SELECT} WHERE epoch = ? AND ordinal BETWEEN ? AND ?", bounds):
        yield _segment(row)


def select_snapshots_by_hash(db: Db, room_nid: int, set_hash: int, newest: int) -> Iterator[int]:
    """The room's snapshots with this hash, the youngest first, where the state has an event_nid as high as `newest`."""
    encoded = _encode_hash(set_hash)
    rows = db.execute(
        f"{_SELECT} WHERE room_nid = ? AND newest >= ? AND instr(hashes, ?) ORDER BY segment DESC",
        (room_nid, newest, encoded),
    )
    for row in rows.fetchall():
        yield from _segment(row).snapshots_of(encoded)


def get_epoch(db: Db, epoch: int) -> Epoch:
    row = db.execute("SELECT epoch, base, ground, depth, size FROM state_epochs WHERE epoch = ?", (epoch,)).fetchone()
    return Epoch(epoch=row[0], base=row[1], ground=row[2], depth=row[3], size=row[4])


def find_epoch_from(db: Db, snapshot: int) -> int | None:
    """The youngest epoch that goes on from a snapshot."""
    (epoch,) = db.execute("SELECT MAX(epoch) FROM state_epochs WHERE base = ?", (snapshot,)).fetchone()
    return None if epoch is None else int(epoch)


def insert_epoch(db: Db, *, base: int, ground: int, depth: int, size: int, entries: Mapping[int, int]) -> int:
    """A new epoch that begins with these entries, which with what is beneath are a state of such a size."""
    row = db.execute(
        "INSERT INTO state_epochs (base, ground, depth, size) VALUES (?, ?, ?, ?) RETURNING epoch",
        (base, ground, depth, size),
    ).fetchone()
    insert_entries(db, row[0], [(tuple_nid, 0, event_nid) for tuple_nid, event_nid in entries.items()])
    return int(row[0])


def insert_segment(db: Db, room_nid: int, epoch: int, *, ordinal: int, newest: int, size: int, entries: int) -> Segment:
    """A segment without snapshots, which goes on from a state of such a size, and from so many entries of the epoch."""
    row = db.execute(
        "INSERT INTO state_segments (room_nid, newest, epoch, ordinal, size, entries, hashes, log, growing)"
        " VALUES (?, ?, ?, ?, ?, ?, x'', ?, ?)"
        " RETURNING segment, room_nid, newest, epoch, ordinal, size, entries, hashes, log, growing",
        (room_nid, newest, epoch, ordinal, size, entries, encode_columns([], []), encode_columns([])),
    ).fetchone()
    return _segment(row)


def append_snapshot(db: Db, segment: Segment, changes: Mapping[int, int], *, set_hash: int, size: int) -> int:
    """Add the snapshot that these changes make of the segment's last one."""
    assert segment.growing is not None, "the segment is full"
    counts, tuples = decode_columns(segment.log)
    (events,) = decode_columns(segment.growing)
    counts, tuples, events = [*counts, len(changes)], [*tuples, *changes], [*events, *changes.values()]
    is_full = len(counts) == SNAPSHOTS or len(tuples) >= _CHANGES
    if is_full:
        insert_entries(db, segment.epoch, _with_versions(segment.first_version, counts, tuples, events))
    db.execute(
        "UPDATE state_segments SET newest = ?, size = ?, entries = ?, hashes = ?, log = ?, growing = ?"
        " WHERE segment = ?",
        (
            max(segment.newest, max(changes.values()) | _ROUNDING),
            size,
            segment.entries + len(changes),
            segment.hashes + _encode_hash(set_hash),
            encode_columns(counts, tuples),
            None if is_full else encode_columns(events),
            segment.segment,
        ),
    )
    return segment.last + 1


def _with_versions(
    first_version: int, counts: list[int], tuples: list[int], events: list[int]
) -> Iterator[tuple[int, int, int]]:
    versions = (version for version, count in enumerate(counts, first_version) for _ in range(count))
    return zip(tuples, versions, events, strict=True)


def _encode_hash(set_hash: int) -> bytes:
    return set_hash.to_bytes(_HASH_BYTES, "big")


def _segment(row: tuple[int, int, int, int, int, int, int, bytes, bytes, bytes | None]) -> Segment:
    segment, room_nid, newest, epoch, ordinal, size, entries, hashes, log, growing = row
    return Segment(
        segment=segment,
        room_nid=room_nid,
        newest=newest,
        epoch=epoch,
        ordinal=ordinal,
        size=size,
        entries=entries,
        hashes=hashes,
        log=log,
        growing=growing,
    )
