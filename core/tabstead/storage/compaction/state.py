"""The state history without what nothing refers to.

A snapshot is in use while an event names it as the state before it, a room as its current state, or an epoch as what it
stands on. Forks leave snapshots that nobody names once they are resolved: of a fork's own states, of resolutions that
the next event supersedes. References by events are noted in `state_references` as events come; only those since the
last look are looked at, and an event's reference never ends. Before an epoch is swept, the newest are noted in the same
transaction, so nothing is swept that came into use meanwhile.

An epoch none of whose snapshots is in use is deleted. In one that is full, those entries are dropped that no snapshot
in use sees; what is in use reads as before. A snapshot that isn't may then read as anything: nobody reads it but the
search for equal states, which compares what it finds, and may so bring it into use with the very state that it has.
The youngest epoch stays, so that its number is not given to another whose entries it would have.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from tabstead.storage import state_chunks
from tabstead.storage.compaction.slices import START, Circumstances, Position, Progress
from tabstead.storage.engine import Db
from tabstead.storage.events import select_states_before
from tabstead.storage.state_history import EMPTY, is_full
from tabstead.storage.state_segments import SNAPSHOTS, get_last_segment

_NOTED: Final = "state_references"
"""The counter with the stream position up to which events' references are noted."""

_SIGN: Final = 1 << SNAPSHOTS - 1
"""SQLite's integers have a sign: the last snapshot's bit."""

_REFERENCES_PER_UNIT: Final = 32
"""So many are noted in the time of one unit of a sweep."""


def note_references(db: Db, position: Position, limit: int, circumstances: Circumstances) -> Progress:
    """Note which snapshots the next events refer to. A unit is an event."""
    (noted,) = db.execute("SELECT IFNULL(MAX(value), 0) FROM counters WHERE name = ?", (_NOTED,)).fetchone()
    rows = select_states_before(db, after=noted, limit=limit)
    referred: defaultdict[int, int] = defaultdict(int)
    for _, snapshot in rows:
        if snapshot != EMPTY:
            referred[snapshot // SNAPSHOTS] |= 1 << snapshot % SNAPSHOTS
    _note(db, referred)
    if rows:
        db.execute("INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)", (_NOTED, rows[-1][0]))
    return Progress(used=len(rows), position=START if len(rows) == limit else None)


def note_snapshot(db: Db, snapshot: int) -> None:
    """Note that an event refers to a snapshot which comes at a position that has been looked at."""
    if snapshot != EMPTY:
        _note(db, {snapshot // SNAPSHOTS: 1 << snapshot % SNAPSHOTS})


def sweep_epochs(db: Db, position: Position, limit: int, circumstances: Circumstances) -> Progress:
    """Delete what is not in use of the next epochs. A unit is an epoch looked at, or a chunk of entries.

    References that came meanwhile are noted first; they are cheap, and a slice must take more of them than events come
    between two slices, or it never gets to an epoch. The position is an epoch's number and, within one, the chunk to go
    on with.
    """
    noted = note_references(db, START, limit * _REFERENCES_PER_UNIT, circumstances)
    used = -(-noted.used // _REFERENCES_PER_UNIT)
    if noted.position is not None:
        return Progress(used=used, position=position)
    at: Position | None = position
    while at is not None and used < limit:
        cost, at = _sweep(db, at, limit - used)
        used += cost
    return Progress(used=used, position=at)


def _note(db: Db, referred: Mapping[int, int]) -> None:
    """Note which snapshots of segments are referred to: a bit for each."""
    db.executemany(
        "INSERT INTO state_references (segment, referred) VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET referred = referred | excluded.referred",
        [(segment, (bits ^ _SIGN) - _SIGN) for segment, bits in referred.items()],
    )


def _sweep(db: Db, position: Position, limit: int) -> tuple[int, Position | None]:
    """Go on with the epoch of the position, or begin the next one; units used, and where to go on."""
    if len(position) > 1:
        epoch, *start = map(int, position)
        if db.execute("SELECT 1 FROM state_epochs WHERE epoch = ?", (epoch,)).fetchone() is None:
            deleted = state_chunks.delete_chunks(db, epoch, limit)
            return deleted, position if deleted == limit else (epoch + 1,)
        return _sweep_chunks(db, epoch, (start[0], start[1]), limit)
    row = db.execute(
        "SELECT epoch, swept_for, epoch = (SELECT MAX(epoch) FROM state_epochs) FROM state_epochs WHERE epoch >= ?"
        " ORDER BY epoch LIMIT 1",
        (position[0] if position else 0,),
    ).fetchone()
    if row is None:
        return 0, None
    epoch, swept_for, is_youngest = row
    in_use = _select_versions_in_use(db, epoch)
    if not in_use and not is_youngest:
        return _delete_epoch(db, epoch), (epoch, 0, 0)
    may_win = swept_for is None or len(in_use) < swept_for
    return 1, (epoch, 0, 0) if may_win and is_full(db, get_last_segment(db, epoch)) else (epoch + 1,)


def _sweep_chunks(db: Db, epoch: int, start: tuple[int, int], limit: int) -> tuple[int, Position]:
    in_use = _select_versions_in_use(db, epoch)
    end = get_last_segment(db, epoch)
    seen = sorted({*in_use, end.version_of(end.last)})  # the next epoch is measured by the line's end
    chunks, following = state_chunks.keep_seen_entries(db, epoch, start, limit, seen)
    if following is not None:
        return chunks, (epoch, *following)
    db.execute("UPDATE state_epochs SET swept_for = ? WHERE epoch = ?", (len(in_use), epoch))
    return chunks, (epoch + 1,)


def _delete_epoch(db: Db, epoch: int) -> int:
    """Delete an epoch but for its chunks; how many segments it had."""
    db.execute(
        "DELETE FROM state_references WHERE segment IN (SELECT segment FROM state_segments WHERE epoch = ?)", (epoch,)
    )
    segments = db.execute("DELETE FROM state_segments WHERE epoch = ?", (epoch,)).rowcount
    db.execute("DELETE FROM state_epochs WHERE epoch = ?", (epoch,))
    return 1 + segments


def _select_versions_in_use(db: Db, epoch: int) -> list[int]:
    """The versions of an epoch's snapshots that are in use."""
    rows = db.execute(
        "SELECT s.segment, s.ordinal, IFNULL(r.referred, 0) FROM state_segments s LEFT JOIN state_references r"
        " ON r.segment = s.segment WHERE s.epoch = ? ORDER BY s.ordinal",
        (epoch,),
    ).fetchall()
    ordinals = {segment: ordinal for segment, ordinal, _ in rows}
    used = {ordinal * SNAPSHOTS + 1 + bit for _, ordinal, bits in rows for bit in range(SNAPSHOTS) if bits >> bit & 1}
    for snapshot in _select_stood_on(db, epoch):
        used.add(ordinals[snapshot // SNAPSHOTS] * SNAPSHOTS + 1 + snapshot % SNAPSHOTS)
    return sorted(used)


def _select_stood_on(db: Db, epoch: int) -> list[int]:
    """The snapshots of an epoch that other epochs stand on, or that are a room's current state."""
    within = f"BETWEEN s.segment * {SNAPSHOTS} AND s.segment * {SNAPSHOTS} + {SNAPSHOTS - 1}"
    rows = db.execute(
        f"SELECT e.base FROM state_segments s CROSS JOIN state_epochs e ON e.base {within} WHERE s.epoch = ?1"
        f" UNION SELECT e.ground FROM state_segments s CROSS JOIN state_epochs e ON e.ground <> 0 AND e.ground {within}"
        " WHERE s.epoch = ?1"
        f" UNION SELECT r.state_snapshot FROM state_segments s CROSS JOIN rooms r USING (room_nid) WHERE s.epoch = ?1"
        f" AND r.state_snapshot {within}",
        (epoch,),
    )
    return [snapshot for (snapshot,) in rows]
