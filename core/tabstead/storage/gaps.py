"""Gaps: places in rooms' timelines where events are missing that other servers have.

Readers order a timeline by stream position, which is the order in which events came. Where an event came without those
before it, the counter has jumped, so that there are free positions below the event's. What is found later of the
missing events takes them from above downwards: it is read where it belongs, and `position > n` still means "came after
position n was read" to all who follow the stream.

A gap's `bottom` moves down as it fills, from just below its `top` to its `floor`. Once nothing is missing any more, its
row is gone. (`docs/decisions/timeline-order.md`)
"""

import json
from dataclasses import dataclass, replace
from typing import Final

from tabstead.protocol.identifiers import EventID
from tabstead.storage.database import Db
from tabstead.storage.positions import skip_positions

GAP: Final = 2**20
"""Positions in a gap. Where there is one between two events, positions differ by more than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    room_nid: int
    top: int
    """The position of the event above the gap."""
    bottom: int
    """The next free position. Whoever reads downwards is at the gap once all that is above this was read."""
    floor: int
    """The last free position."""
    missing: tuple[EventID, ...]
    """The events that those above the gap refer to."""

    @property
    def room_left(self) -> int:
        """How many free positions there are."""
        return self.bottom - self.floor + 1


_COLUMNS: Final = "room_nid, top, bottom, floor, missing"


def open_gap(db: Db) -> None:
    """Jump, so that there are free positions below the next one."""
    skip_positions(db, GAP)


def insert_gap(db: Db, room_nid: int, top: int, missing: frozenset[EventID]) -> None:
    """Note a gap below an event, whose position is the first after `open_gap`."""
    update_gap(
        db,
        Gap(room_nid=room_nid, top=top, bottom=top - 1, floor=top - GAP, missing=tuple(sorted(missing))),
    )


def update_gap(db: Db, gap: Gap) -> None:
    """Note how a gap is now; one in which nothing is missing is none."""
    if not gap.missing:
        db.execute("DELETE FROM gaps WHERE room_nid = ? AND top = ?", (gap.room_nid, gap.top))
        return
    db.execute(
        f"INSERT OR REPLACE INTO gaps ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)",
        (gap.room_nid, gap.top, gap.bottom, gap.floor, json.dumps(gap.missing)),
    )


def split_gap(db: Db, gap: Gap, position: int, missing: frozenset[EventID]) -> None:
    """Put an event amid a gap, which is two then: one above it, and one below it with what the event refers to."""
    update_gap(db, replace(gap, floor=position + 1))
    update_gap(
        db,
        Gap(
            room_nid=gap.room_nid,
            top=position,
            bottom=position - 1,
            floor=gap.floor,
            missing=tuple(sorted(missing)),
        ),
    )


def select_gaps(db: Db, room_nid: int) -> list[Gap]:
    """A room's gaps, the newest first."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM gaps WHERE room_nid = ? ORDER BY top DESC", (room_nid,))
    return [_gap(*row) for row in rows]


def has_gaps(db: Db, room_nid: int) -> bool:
    return db.execute("SELECT 1 FROM gaps WHERE room_nid = ?", (room_nid,)).fetchone() is not None


def find_gap(db: Db, room_nid: int, top: int) -> Gap | None:
    """The gap below the event at a position."""
    row = db.execute(f"SELECT {_COLUMNS} FROM gaps WHERE room_nid = ? AND top = ?", (room_nid, top)).fetchone()
    return None if row is None else _gap(*row)


def find_gap_between(db: Db, room_nid: int, *, after: int, up_to: int) -> Gap | None:
    """The first gap that who reads a room downwards comes to, between two positions."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM gaps WHERE room_nid = ? AND bottom <= ? AND bottom >= ? ORDER BY bottom DESC LIMIT 1",
        (room_nid, up_to, after),
    ).fetchone()
    return None if row is None else _gap(*row)


def _gap(room_nid: int, top: int, bottom: int, floor: int, missing: str) -> Gap:
    return Gap(room_nid=room_nid, top=top, bottom=bottom, floor=floor, missing=tuple(map(EventID, json.loads(missing))))
