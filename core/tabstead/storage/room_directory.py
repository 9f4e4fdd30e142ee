"""The published room directory: which rooms are listed, in which order, and under which words.

`directory_news` names the listed rooms whose row is out of date.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from tabstead.storage.database import Db
from tabstead.storage.directory_words import (
    delete_directory_news,
    insert_directory_news,
    is_found_clauses,
    update_directory_words,
)

Place: TypeAlias = tuple[int, int]
"""Where a room is in the directory: minus the number of its members, and its room_nid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryFilter:
    beginnings: tuple[str, ...] = ()
    """Words of a listed room must begin with all of these."""
    room_types: tuple[str, ...] | None = None
    """An empty text among them: rooms without a type."""


def update_directory_listing(db: Db, room_nid: int, is_public: bool) -> None:
    """Show the room in the directory, or take it out."""
    db.execute("UPDATE rooms SET is_public = ? WHERE room_nid = ?", (int(is_public), room_nid))
    if is_public:
        insert_directory_news(db, room_nid)
        return
    row = db.execute("DELETE FROM listed_rooms WHERE room_nid = ? RETURNING words", (room_nid,)).fetchone()
    update_directory_words(db, room_nid, before="" if row is None else row[0], after="")
    delete_directory_news(db, room_nid)


def select_changed_listings(db: Db, limit: int) -> list[int]:
    """The room_nids of listed rooms whose row is out of date."""
    # Numbers come before all texts.
    rows = db.execute("SELECT subject FROM directory_news WHERE subject < '' LIMIT ?", (limit,))
    return [room_nid for (room_nid,) in rows]


def update_listing(db: Db, room_nid: int, *, members: int, room_type: str, words: Iterable[str]) -> None:
    """Bring a listed room's row up to date."""
    after = " ".join(dict.fromkeys(words))
    row = db.execute("SELECT words FROM listed_rooms WHERE room_nid = ?", (room_nid,)).fetchone()
    update_directory_words(db, room_nid, before="" if row is None else row[0], after=after)
    db.execute(
        "INSERT OR REPLACE INTO listed_rooms (room_nid, place, room_type, words) VALUES (?, ?, ?, ?)",
        (room_nid, -members, room_type, after),
    )
    delete_directory_news(db, room_nid)


def select_listed(
    db: Db, wanted: DirectoryFilter, *, beyond: Place | None, limit: int, backwards: bool = False
) -> list[Place]:
    """The rooms that follow on a place, or backwards those before it, the nearest first."""
    clauses, parameters = _clauses(wanted)
    if beyond is not None:
        clauses.append(f"(l.place, l.room_nid) {'<' if backwards else '>'} (?, ?)")
        parameters += beyond
    order = "DESC" if backwards else "ASC"
    rows = db.execute(
        f"SELECT l.place, l.room_nid FROM listed_rooms l WHERE {' AND '.join(clauses) or '1'}"
        f" ORDER BY l.place {order}, l.room_nid {order} LIMIT ?",
        (*parameters, limit),
    )
    return rows.fetchall()


def count_listed(db: Db, wanted: DirectoryFilter) -> int:
    clauses, parameters = _clauses(wanted)
    row = db.execute(f"SELECT COUNT(*) FROM listed_rooms l WHERE {' AND '.join(clauses) or '1'}", parameters).fetchone()
    return int(row[0])


def _clauses(wanted: DirectoryFilter) -> tuple[list[str], list[Any]]:
    """Conditions on rows of `listed_rooms`, and their parameters."""
    clauses, words = is_found_clauses("l.room_nid", wanted.beginnings)
    parameters: list[Any] = [*words]
    if wanted.room_types is not None:
        clauses.append("l.room_type IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps(wanted.room_types))
    return clauses, parameters
