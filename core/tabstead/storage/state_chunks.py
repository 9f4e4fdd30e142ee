"""The entries of an epoch of the state history, by state tuple: what finds one entry of an old state without the rest.

An entry says that from a version on a state tuple has an event, or none (event 0). Version 0 is what an epoch begins
with; each snapshot of the epoch is a higher one. Entries are ordered by (tuple, version) and lie in chunks of one row
each, named by their first entry's; a chunk that grows too long becomes two. So a tuple's event in a version is the last
entry not above (tuple, version), one row away, and a whole state is one pass over the chunks.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Final, TypeAlias

from tabstead.storage.engine import Db
from tabstead.storage.number_columns import decode_columns, encode_columns, from_steps, to_steps

Entry: TypeAlias = tuple[int, int, int]
"""(tuple_nid, version, event_nid or 0)"""

_CHUNK: Final = 192
"""Entries per chunk at most: some 900 bytes, within one page: what one look-up decodes."""


_WORTH_DROPPING: Final = 8
"""Chunks are written anew when more than one in so many of their entries can be dropped."""


def insert_entries(db: Db, epoch: int, entries: Iterable[Entry]) -> None:
    """Add entries whose versions are above those of the epoch's entries so far."""
    pending = sorted(entries)
    at = 0
    while at < len(pending):
        first, end = _find_chunk_bounds(db, epoch, pending[at])
        upto = at + 1
        while upto < len(pending) and (end is None or pending[upto][:2] < end):
            upto += 1
        _extend(db, epoch, first, pending[at:upto])
        at = upto


def read_entries(db: Db, epoch: int, version: int) -> dict[int, int]:
    """Every tuple's event as of the version."""
    state: dict[int, int] = {}
    rows = db.execute("SELECT entries FROM state_chunks WHERE epoch = ? ORDER BY first_tuple, first_version", (epoch,))
    for (encoded,) in rows:
        tuples, versions, events = _decode(encoded)
        # All in C: a whole state is some hundred chunks.
        state.update(compress(zip(tuples, events, strict=True), map(version.__ge__, versions)))
    return state


def find_entries(db: Db, epoch: int, version: int, tuple_nids: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(tuple_nid, event_nid or 0) of those tuples that have an entry as of the version."""
    decoded: tuple[list[int], list[int], list[int]] = [], [], []
    known: tuple[int, int] | None = None
    for tuple_nid in sorted(tuple_nids):
        row = db.execute(
            "SELECT first_tuple, first_version, entries FROM state_chunks"
            " WHERE epoch = ? AND (first_tuple, first_version) <= (?, ?)"
            " ORDER BY first_tuple DESC, first_version DESC LIMIT 1",
            (epoch, tuple_nid, version),
        ).fetchone()
        if row is None:
            continue
        if row[:2] != known:
            known, decoded = row[:2], _decode(row[2])
        tuples, versions, events = decoded
        end = bisect_right(tuples, tuple_nid)
        end = bisect_right(versions, version, _first_of(tuples, tuple_nid, end), end)
        if end and tuples[end - 1] == tuple_nid:
            yield tuple_nid, events[end - 1]


def keep_seen_entries(
    db: Db, epoch: int, start: tuple[int, int], limit: int, versions: Sequence[int]
) -> tuple[int, tuple[int, int] | None]:
    """Drop those entries that none of the ascending `versions` sees, in `limit` chunks from `start` on.

    Returns how many chunks there were, and the name of the one that follows, None for none. Reads as of these versions
    are the same afterwards.
    """
    rows = db.execute(
        "SELECT first_tuple, first_version, entries FROM state_chunks"
        " WHERE epoch = ? AND (first_tuple, first_version) >= (?, ?) ORDER BY first_tuple, first_version LIMIT ?",
        (epoch, *start, limit + 1),
    ).fetchall()
    following = rows[limit][:2] if len(rows) > limit else None
    chunks = rows[:limit]
    entries = [entry for row in chunks for entry in zip(*_decode(row[2]), strict=True)]
    later = [*(entry[:2] for entry in entries[1:]), following or (0, 0)]
    seen = [
        entry
        for entry, (tuple_nid, version) in zip(entries, later)  # noqa: B905  (there may be no entries)
        if _is_seen(entry, version if tuple_nid == entry[0] else None, versions)
    ]
    if len(entries) - len(seen) > len(entries) // _WORTH_DROPPING:
        db.executemany(
            "DELETE FROM state_chunks WHERE epoch = ? AND first_tuple = ? AND first_version = ?",
            [(epoch, *row[:2]) for row in chunks],
        )
        _insert(db, epoch, seen)
    return len(chunks), following


def delete_chunks(db: Db, epoch: int, limit: int) -> int:
    """Delete at most `limit` chunks of an epoch that is gone; how many there were."""
    return db.execute(
        "DELETE FROM state_chunks WHERE (epoch, first_tuple, first_version) IN"
        " (SELECT epoch, first_tuple, first_version FROM state_chunks WHERE epoch = ? LIMIT ?)",
        (epoch, limit),
    ).rowcount


def _is_seen(entry: Entry, superseded: int | None, versions: Sequence[int]) -> bool:
    """Whether one of the versions is from the entry's on, and before that of the entry which supersedes it."""
    at = bisect_left(versions, entry[1])
    return at < len(versions) and (superseded is None or versions[at] < superseded)


def _first_of(tuples: list[int], tuple_nid: int, end: int) -> int:
    return bisect_right(tuples, tuple_nid - 1, 0, end)


def _find_chunk_bounds(db: Db, epoch: int, entry: Entry) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """The name of the chunk where an entry belongs, and of the next one; None for none."""
    key = (epoch, *entry[:2])
    first = db.execute(
        "SELECT first_tuple, first_version FROM state_chunks WHERE epoch = ? AND (first_tuple, first_version) <= (?, ?)"
        " ORDER BY first_tuple DESC, first_version DESC LIMIT 1",
        key,
    ).fetchone()
    following = db.execute(
        "SELECT first_tuple, first_version FROM state_chunks WHERE epoch = ? AND (first_tuple, first_version) > (?, ?)"
        " ORDER BY first_tuple, first_version LIMIT 1",
        key,
    ).fetchone()
    return first, following


def _extend(db: Db, epoch: int, first: tuple[int, int] | None, added: list[Entry]) -> None:
    """Add entries to the chunk, or begin one before all others."""
    if first is None:
        _insert(db, epoch, added)
        return
    key = (epoch, *first)
    columns = "FROM state_chunks WHERE epoch = ? AND first_tuple = ? AND first_version = ?"
    (encoded,) = db.execute(f"SELECT entries {columns}", key).fetchone()
    entries = sorted([*zip(*_decode(encoded), strict=True), *added])
    if len(entries) <= _CHUNK:
        db.execute(
            "UPDATE state_chunks SET entries = ? WHERE epoch = ? AND first_tuple = ? AND first_version = ?",
            (_encode(entries), *key),
        )
        return
    db.execute(f"DELETE {columns}", key)
    _insert(db, epoch, entries)


def _insert(db: Db, epoch: int, entries: list[Entry]) -> None:
    pieces = -(-len(entries) // _CHUNK) or 1
    length = -(-len(entries) // pieces) or 1
    for at in range(0, len(entries), length):
        piece = entries[at : at + length]
        db.execute(
            "INSERT INTO state_chunks (epoch, first_tuple, first_version, entries) VALUES (?, ?, ?, ?)",
            (epoch, *piece[0][:2], _encode(piece)),
        )


def _encode(entries: list[Entry]) -> bytes:
    tuples, versions, events = zip(*entries, strict=True)
    return encode_columns(to_steps(tuples), versions, events)


def _decode(encoded: bytes) -> tuple[list[int], list[int], list[int]]:
    steps, versions, events = decode_columns(encoded)
    return from_steps(steps), versions, events
