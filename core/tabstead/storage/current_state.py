"""Each room's current state laid out, and the record of how it changed.

It is always the state of the room's `state_snapshot`. `select_changes` tells what of it changed between two positions.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tabstead.protocol.identifiers import StateTuple
from tabstead.storage.database import Db
from tabstead.storage.state_tuples import intern_state_tuple


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """An entry of a room's current state was set, replaced or taken out."""

    stream_position: int
    state_tuple: StateTuple
    event_nid: int | None
    """None: no longer in the state."""
    previous_nid: int | None


def select_entries(db: Db, room_nid: int) -> dict[int, int]:
    """The whole state: event_nid by tuple_nid."""
    rows = db.execute("SELECT tuple_nid, event_nid FROM current_state WHERE room_nid = ?", (room_nid,))
    return dict(rows.fetchall())


def find_entry(db: Db, room_nid: int, tuple_nid: int) -> int | None:
    row = db.execute(
        "SELECT event_nid FROM current_state WHERE room_nid = ? AND tuple_nid = ?", (room_nid, tuple_nid)
    ).fetchone()
    return None if row is None else int(row[0])


def find_current(db: Db, room_nid: int, event_type: str, state_key: str = "") -> int | None:
    """The event_nid of a state event of the current state."""
    row = db.execute(
        "SELECT c.event_nid FROM state_tuples t JOIN current_state c ON c.tuple_nid = t.tuple_nid"
        " WHERE t.type = ? AND t.state_key = ? AND c.room_nid = ?",
        (event_type, state_key, room_nid),
    ).fetchone()
    return None if row is None else int(row[0])


def select_current_of_type(db: Db, room_nid: int, event_type: str) -> list[int]:
    """The event_nids of the state events of one type; takes time by the state keys that the type has, in all rooms."""
    rows = db.execute(
        "SELECT c.event_nid FROM state_tuples t CROSS JOIN current_state c"
        " ON c.room_nid = ? AND c.tuple_nid = t.tuple_nid WHERE t.type = ?",
        (room_nid, event_type),
    )
    return [event_nid for (event_nid,) in rows]


def select_current(db: Db, room_nid: int, types: Iterable[str] | None = None) -> dict[StateTuple, int]:
    """The current state, or the part of it that has these event types: event_nid by state tuple."""
    sql = (
        "SELECT t.type, t.state_key, c.event_nid FROM current_state c"
        " JOIN state_tuples t ON t.tuple_nid = c.tuple_nid WHERE c.room_nid = ?"
    )
    parameters: list[object] = [room_nid]
    if types is not None:
        sql += " AND t.type IN (SELECT value FROM json_each(?))"
        parameters.append(json.dumps(list(types)))
    return {(event_type, state_key): event_nid for event_type, state_key, event_nid in db.execute(sql, parameters)}


def update_current(
    db: Db, room_nid: int, position: int, changes: Mapping[StateTuple, tuple[int | None, int | None]]
) -> None:
    """Apply changes, each an event_nid before and after, and record them under the position."""
    for state_tuple, (previous_nid, event_nid) in changes.items():
        tuple_nid = intern_state_tuple(db, state_tuple)
        if event_nid is None:
            db.execute("DELETE FROM current_state WHERE room_nid = ? AND tuple_nid = ?", (room_nid, tuple_nid))
        else:
            db.execute(
                "INSERT INTO current_state (room_nid, tuple_nid, event_nid) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET event_nid = excluded.event_nid",
                (room_nid, tuple_nid, event_nid),
            )
        db.execute(
            "INSERT INTO current_state_changes (stream_position, room_nid, tuple_nid, event_nid, previous_nid)"
            " VALUES (?, ?, ?, ?, ?)",
            (position, room_nid, tuple_nid, event_nid, previous_nid),
        )


def insert_entries(db: Db, room_nid: int, entries: Iterable[tuple[int, int]]) -> None:
    """Lay out entries, each a tuple_nid and an event_nid, of a state that is not the room's `state_snapshot` yet."""
    db.executemany(
        "INSERT INTO current_state (room_nid, tuple_nid, event_nid) VALUES (?, ?, ?)",
        [(room_nid, tuple_nid, event_nid) for tuple_nid, event_nid in entries],
    )


def insert_change(
    db: Db, room_nid: int, position: int, tuple_nid: int, *, event_nid: int, previous_nid: int | None
) -> None:
    """Record a change of the past, which the laid out state has had already."""
    db.execute(
        "INSERT INTO current_state_changes (stream_position, room_nid, tuple_nid, event_nid, previous_nid)"
        " VALUES (?, ?, ?, ?, ?)",
        (position, room_nid, tuple_nid, event_nid, previous_nid),
    )


def select_replaced(db: Db, event_nids: Iterable[int]) -> dict[int, int | None]:
    """What each of these events replaced in the current state, None for nothing.

    An event that didn't become the current state when it came, as the loser of a fork doesn't, is not in the answer.
    """
    rows = db.execute(
        "SELECT c.event_nid, c.previous_nid FROM json_each(?) j CROSS JOIN events e ON e.event_nid = j.value"
        " JOIN current_state_changes c ON c.room_nid = e.room_nid AND c.stream_position = e.stream_position"
        " AND c.tuple_nid = e.tuple_nid AND c.event_nid = e.event_nid",
        (json.dumps(list(event_nids)),),
    )
    return dict(rows.fetchall())


def select_changes(db: Db, room_nid: int, *, after: int, up_to: int) -> list[StateChange]:
    """How the current state changed, with after < position <= up_to, the oldest first."""
    rows = db.execute(
        "SELECT c.stream_position, t.type, t.state_key, c.event_nid, c.previous_nid FROM current_state_changes c"
        " JOIN state_tuples t ON t.tuple_nid = c.tuple_nid"
        " WHERE c.room_nid = ? AND c.stream_position > ? AND c.stream_position <= ? ORDER BY c.stream_position",
        (room_nid, after, up_to),
    )
    return [
        StateChange(
            stream_position=position,
            state_tuple=(event_type, state_key),
            event_nid=event_nid,
            previous_nid=previous_nid,
        )
        for position, event_type, state_key, event_nid, previous_nid in rows
    ]
