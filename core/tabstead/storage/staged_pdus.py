"""Events of other servers that wait, for those before them or for a key. Each is gone once its fate is decided."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import EventID, ServerName
from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedPdu:
    event_id: EventID
    origin: ServerName
    """The server that sent it, which has what it waits for, so it says."""
    attempts: int
    due_ts: int
    pdu: JsonDict
    """Its format was checked."""


def insert_staged_pdu(db: Db, room_nid: int, event: Event, origin: str, now_ms: int) -> None:
    """Let an event wait, which is due at once. One that waits already goes on waiting."""
    db.execute(
        "INSERT INTO staged_pdus (room_nid, event_id, origin, received_ts, attempts, due_ts, pdu)"
        " VALUES (?, ?, ?, ?, 0, ?, ?) ON CONFLICT DO NOTHING",
        (
            room_nid,
            event.event_id,
            origin,
            now_ms,
            now_ms,
            json.dumps(event.pdu, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"),
        ),
    )


def select_staged_pdus(db: Db, room_nid: int) -> list[StagedPdu]:
    """All that wait in a room, in the order in which they came."""
    rows = db.execute(
        "SELECT event_id, origin, attempts, due_ts, pdu FROM staged_pdus WHERE room_nid = ? ORDER BY received_ts",
        (room_nid,),
    )
    return [
        StagedPdu(
            event_id=EventID(event_id),
            origin=ServerName(origin),
            attempts=attempts,
            due_ts=due_ts,
            pdu=json.loads(pdu),
        )
        for event_id, origin, attempts, due_ts, pdu in rows
    ]


def measure_staged_pdus(db: Db, room_nid: int) -> tuple[int, int]:
    """How many wait in a room, and how many bytes they have."""
    count, size = db.execute(
        "SELECT COUNT(*), IFNULL(SUM(LENGTH(pdu)), 0) FROM staged_pdus WHERE room_nid = ?", (room_nid,)
    ).fetchone()
    return int(count), int(size)


def update_staged_attempts(db: Db, room_nid: int, event_ids: Iterable[str], due_ts: int) -> None:
    """Note that these were tried in vain, and when to try again."""
    db.executemany(
        "UPDATE staged_pdus SET attempts = attempts + 1, due_ts = ? WHERE room_nid = ? AND event_id = ?",
        [(due_ts, room_nid, event_id) for event_id in event_ids],
    )


def delete_staged_pdus(db: Db, room_nid: int, event_ids: Iterable[str]) -> None:
    db.executemany(
        "DELETE FROM staged_pdus WHERE room_nid = ? AND event_id = ?", [(room_nid, event_id) for event_id in event_ids]
    )


def select_rooms_with_staged_pdus(db: Db) -> dict[int, int]:
    """The rooms in which events wait, and when the first of each is due."""
    return dict(db.execute("SELECT room_nid, MIN(due_ts) FROM staged_pdus GROUP BY room_nid").fetchall())
