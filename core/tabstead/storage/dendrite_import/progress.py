"""How far an import from Dendrite got, kept in the database that it fills, in tables that go when it is finished.

The *phase* is what it does at present, the *position* where in that it is. Each slice of work moves them on in its own
transaction, so that an import which was killed at any point goes on after its last slice. What each NID of the source
has become is kept beside them.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tabstead.storage.database import Db

_TABLES: Final = (
    # One row: where the import is, whose it is, and what it counted so far.
    "CREATE TABLE dendrite_import (phase INTEGER NOT NULL, position TEXT NOT NULL, source TEXT NOT NULL,"
    " counts TEXT NOT NULL)",
    "CREATE TABLE dendrite_import_rooms (source_nid INTEGER PRIMARY KEY, room_nid INTEGER NOT NULL)",
    # tuple_nid is NULL for an event that is no state; is_placed is 0 for an outlier and for what may still get a place.
    "CREATE TABLE dendrite_import_events (source_nid INTEGER PRIMARY KEY, event_nid INTEGER NOT NULL,"
    " tuple_nid INTEGER, is_placed INTEGER NOT NULL)",
    "CREATE TABLE dendrite_import_snapshots (source_nid INTEGER PRIMARY KEY, snapshot INTEGER NOT NULL)",
    # Events that were backfilled.
    "CREATE TABLE dendrite_import_history (source_nid INTEGER PRIMARY KEY)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    phase: int
    position: Any
    """JSON; None at the beginning of a phase."""
    source: str
    counts: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventNumber:
    """What an event of the source became."""

    event_nid: int
    tuple_nid: int | None
    is_placed: bool
    """Whether it has its place in the timeline."""


def find_progress(db: Db) -> Progress | None:
    """None where no import has begun, or it is finished."""
    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'dendrite_import'").fetchone() is None:
        return None
    phase, position, source, counts = db.execute(
        "SELECT phase, position, source, counts FROM dendrite_import"
    ).fetchone()
    return Progress(phase=phase, position=json.loads(position), source=source, counts=Counter(json.loads(counts)))


def insert_progress(db: Db, source: str) -> None:
    """Begin an import of this source."""
    for statement in _TABLES:
        db.execute(statement)
    db.execute("INSERT INTO dendrite_import (phase, position, source, counts) VALUES (0, 'null', ?, '{}')", (source,))


def update_progress(db: Db, phase: int, position: Any, counts: Counter[str]) -> None:
    db.execute(
        "UPDATE dendrite_import SET phase = ?, position = ?, counts = ?",
        (phase, json.dumps(position), json.dumps(counts)),
    )


def delete_progress(db: Db) -> None:
    """The import is finished."""
    tables = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'dendrite_import%'")
    for (table,) in tables.fetchall():
        db.execute(f"DROP TABLE {table}")


def cut_free_pages(db: Db, limit: int = 2048) -> bool:
    """Cut at most so many unused pages off the file. Whether there were any."""
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    db.execute(f"PRAGMA incremental_vacuum({limit:d})").fetchall()
    return bool(free)


def insert_room_number(db: Db, source_nid: int, room_nid: int) -> None:
    db.execute("INSERT INTO dendrite_import_rooms (source_nid, room_nid) VALUES (?, ?)", (source_nid, room_nid))


def select_room_numbers(db: Db) -> dict[int, int]:
    """Our room_nid by the source's."""
    return dict(db.execute("SELECT source_nid, room_nid FROM dendrite_import_rooms").fetchall())


def insert_event_number(db: Db, source_nid: int, number: EventNumber) -> None:
    """Note what an event of the source became; done again once it has its place."""
    db.execute(
        "INSERT INTO dendrite_import_events (source_nid, event_nid, tuple_nid, is_placed) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET is_placed = excluded.is_placed",
        (source_nid, number.event_nid, number.tuple_nid, int(number.is_placed)),
    )


def select_event_numbers(db: Db, source_nids: Iterable[int]) -> dict[int, EventNumber]:
    """What those of the source's events became that were taken, by the source's NID, in the order given."""
    rows = db.execute(
        "SELECT e.source_nid, e.event_nid, e.tuple_nid, e.is_placed FROM json_each(?) j"
        " CROSS JOIN dendrite_import_events e ON e.source_nid = j.value",
        (json.dumps(list(source_nids)),),
    )
    return {
        source_nid: EventNumber(event_nid=event_nid, tuple_nid=tuple_nid, is_placed=bool(is_placed))
        for source_nid, event_nid, tuple_nid, is_placed in rows
    }


def select_state_entries(db: Db, source_nids: Sequence[int]) -> list[tuple[int, int]]:
    """(tuple_nid, event_nid) of those of the source's state events that were taken, in the order given."""
    return db.execute(
        "SELECT e.tuple_nid, e.event_nid FROM json_each(?) j"
        " CROSS JOIN dendrite_import_events e ON e.source_nid = j.value WHERE e.tuple_nid IS NOT NULL",
        (json.dumps(source_nids),),
    ).fetchall()


def insert_snapshot_number(db: Db, source_nid: int, snapshot: int) -> None:
    db.execute("INSERT INTO dendrite_import_snapshots (source_nid, snapshot) VALUES (?, ?)", (source_nid, snapshot))


def find_snapshot_number(db: Db, source_nid: int) -> int | None:
    """Our snapshot that a snapshot of the source became."""
    row = db.execute("SELECT snapshot FROM dendrite_import_snapshots WHERE source_nid = ?", (source_nid,)).fetchone()
    return None if row is None else int(row[0])


def select_snapshot_numbers(db: Db, *, after: int, limit: int) -> list[tuple[int, int]]:
    """(the source's snapshot, ours) in the order of the source's."""
    return db.execute(
        "SELECT source_nid, snapshot FROM dendrite_import_snapshots WHERE source_nid > ? ORDER BY source_nid LIMIT ?",
        (after, limit),
    ).fetchall()


def insert_history(db: Db, source_nids: Iterable[int]) -> None:
    db.executemany(
        "INSERT INTO dendrite_import_history (source_nid) VALUES (?)", ((source_nid,) for source_nid in source_nids)
    )


def is_history(db: Db, source_nid: int) -> bool:
    return (
        db.execute("SELECT 1 FROM dendrite_import_history WHERE source_nid = ?", (source_nid,)).fetchone() is not None
    )
