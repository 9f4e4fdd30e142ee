"""Receipts: how far each user has read in each room, publicly and privately, per thread or regardless of threads.

A mark only moves forward in the room's timeline.
"""

from dataclasses import dataclass
from typing import Final

from tabstead.storage.database import Db
from tabstead.storage.positions import next_position

UNTHREADED: Final = ""
"""The thread id of a mark that counts for all threads."""

PRIVATE: Final = "m.read.private"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    room_nid: int
    user_id: str
    receipt_type: str
    """m.read or m.read.private."""
    thread_id: str
    """UNTHREADED, "main", or a thread root's event id."""
    event_id: str
    event_position: int
    """Where the event stands in the timeline."""
    ts: int


_COLUMNS = "r.room_nid, r.user_id, r.receipt_type, r.thread_id, r.event_id, r.event_position, r.ts"


def update_receipt(db: Db, receipt: Receipt) -> bool:
    """Move the mark; False when it stands there already, or further on."""
    owner = (receipt.room_nid, receipt.user_id, receipt.receipt_type, receipt.thread_id)
    row = db.execute(
        "SELECT event_position FROM receipts WHERE room_nid = ? AND user_id = ? AND receipt_type = ? AND thread_id = ?",
        owner,
    ).fetchone()
    if row is not None and row[0] >= receipt.event_position:
        return False
    db.execute(
        "INSERT OR REPLACE INTO receipts (stream_position, room_nid, user_id, receipt_type, thread_id, event_id,"
        " event_position, ts) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (next_position(db), *owner, receipt.event_id, receipt.event_position, receipt.ts),
    )
    return True


def select_receipts(db: Db, room_nid: int, reader: str) -> list[Receipt]:
    """All marks of a room that the reader may know of: everyone's public ones, the reader's private ones."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM receipts r WHERE r.room_nid = ? AND (r.receipt_type <> ? OR r.user_id = ?)"
        " ORDER BY r.stream_position",
        (room_nid, PRIVATE, reader),
    )
    return [Receipt(**dict(zip(Receipt.__slots__, row, strict=True))) for row in rows]


def select_receipt_changes(db: Db, reader: str, *, after: int, up_to: int) -> list[Receipt]:
    """The marks that moved with after < position <= up_to, in the rooms that the reader is joined to."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM receipts r CROSS JOIN memberships m"
        " ON m.user_id = ?1 AND m.room_nid = r.room_nid AND m.membership = 'join'"
        " WHERE r.stream_position > ?2 AND r.stream_position <= ?3 AND (r.receipt_type <> ?4 OR r.user_id = ?1)"
        " ORDER BY r.stream_position",
        (reader, after, up_to, PRIVATE),
    )
    return [Receipt(**dict(zip(Receipt.__slots__, row, strict=True))) for row in rows]
