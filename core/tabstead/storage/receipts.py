"""Receipts: how far each user has read in each room, publicly and privately, per thread or regardless of threads.

A mark only moves forward in the room's timeline. Its event is the one at its position.
"""

from dataclasses import dataclass
from typing import Final

from tabstead.storage.database import Db
from tabstead.storage.event_ids import decode_event_id
from tabstead.storage.names import USER_NID, intern_user
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


_RECEIPT_TYPES: Final = ("m.read", PRIVATE)
"""What rows have the index of; never reorder it."""

_SELECT: Final = (
    "SELECT r.room_nid, u.state_key, r.receipt_type, r.thread_id, e.id_key, e.id_rest, r.event_position, r.ts"
    " FROM receipts r CROSS JOIN state_tuples u ON u.tuple_nid = r.user_nid"
    " CROSS JOIN events e ON e.stream_position = r.event_position"
)
_MAY_BE_KNOWN: Final = f"(NOT r.receipt_type OR r.user_nid = {USER_NID % '?1'})"
"""To the reader."""


def update_receipt(db: Db, receipt: Receipt) -> bool:
    """Move the mark; False when it stands there already, or further on."""
    receipt_type = _RECEIPT_TYPES.index(receipt.receipt_type)
    owner = (receipt.room_nid, intern_user(db, receipt.user_id), receipt_type, receipt.thread_id)
    row = db.execute(
        "SELECT event_position FROM receipts"
        " WHERE room_nid = ? AND user_nid = ? AND receipt_type = ? AND thread_id = ?",
        owner,
    ).fetchone()
    if row is not None and row[0] >= receipt.event_position:
        return False
    db.execute(
        "INSERT OR REPLACE INTO receipts (stream_position, room_nid, user_nid, receipt_type, thread_id, event_position,"
        " ts) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (next_position(db), *owner, receipt.event_position, receipt.ts),
    )
    return True


def select_receipts(db: Db, room_nid: int, reader: str) -> list[Receipt]:
    """All marks of a room that the reader may know of: everyone's public ones, the reader's private ones."""
    rows = db.execute(
        f"{_SELECT} WHERE r.room_nid = ?2 AND {_MAY_BE_KNOWN} ORDER BY r.stream_position", (reader, room_nid)
    )
    return list(map(_receipt, rows))


def select_receipt_changes(db: Db, reader: str, *, after: int, up_to: int) -> list[Receipt]:
    """The marks that moved with after < position <= up_to, in the rooms that the reader is joined to."""
    rows = db.execute(
        f"{_SELECT} CROSS JOIN memberships m"
        f" ON m.user_nid = {USER_NID % '?1'} AND m.room_nid = r.room_nid AND m.membership = 'join'"
        f" WHERE r.stream_position > ?2 AND r.stream_position <= ?3 AND {_MAY_BE_KNOWN} ORDER BY r.stream_position",
        (reader, after, up_to),
    )
    return list(map(_receipt, rows))


def select_public_receipt_rooms(db: Db, server: str, *, after: int, up_to: int) -> dict[int, tuple[int, int]]:
    """The rooms in which public marks of a server's users moved with after < position <= up_to: first and last."""
    rows = db.execute(
        "SELECT r.room_nid, MIN(r.stream_position), MAX(r.stream_position) FROM receipts r"
        " CROSS JOIN state_tuples u ON u.tuple_nid = r.user_nid WHERE r.stream_position > ? AND r.stream_position <= ?"
        " AND NOT r.receipt_type AND substr(u.state_key, instr(u.state_key, ':') + 1) = ? GROUP BY r.room_nid",
        (after, up_to, server),
    )
    return {room_nid: (first, last) for room_nid, first, last in rows}


def select_public_receipts(
    db: Db, server: str, room_nid: int, *, first: int, last: int, limit: int
) -> list[tuple[int, Receipt]]:
    """The first `limit` public marks of a server's users that moved in a room between two positions, both included.

    Each with its position.
    """
    rows = db.execute(
        f"SELECT r.stream_position, {_SELECT.removeprefix('SELECT ')}"
        " WHERE r.stream_position >= ? AND r.stream_position <= ? AND r.room_nid = ? AND NOT r.receipt_type"
        " AND substr(u.state_key, instr(u.state_key, ':') + 1) = ? ORDER BY r.stream_position LIMIT ?",
        (first, last, room_nid, server, limit),
    )
    return [(position, _receipt(row)) for position, *row in rows]


def _receipt(row: tuple[int, str, int, str, int, bytes | str, int, int]) -> Receipt:
    room_nid, user_id, receipt_type, thread_id, id_key, id_rest, event_position, ts = row
    return Receipt(
        room_nid=room_nid,
        user_id=user_id,
        receipt_type=_RECEIPT_TYPES[receipt_type],
        thread_id=thread_id,
        event_id=decode_event_id(id_key, id_rest),
        event_position=event_position,
        ts=ts,
    )
