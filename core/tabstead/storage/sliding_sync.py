"""Connections of simplified sliding sync: up to where each was told of which room, and with which wishes.

What a client was told is kept in *generations*, and its token names one. An answer that changes nothing of this stays
in its generation, so a quiet client writes nothing; one that does begins the next. A client has either the newest
generation or, when that answer was lost, the acknowledged one before it; so two of them are kept, as rows that say what
is new in a generation. Once a token of the newest comes back, that is the acknowledged one.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingConnection:
    connection_nid: int
    acknowledged: int
    newest: int
    last_used_ts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRoom:
    """What a client knows of a room."""

    told_up_to: int | None
    """A stream position; None: as far as its token says."""
    timeline_limit: int
    """So many of the newest events were told, if the room has as many."""
    required_state: str
    """The state that was asked for, as the JSON of who asked."""


def insert_connection(db: Db, user_id: str, device_id: str, conn_id: str, now_ms: int) -> int:
    """Begin a connection, in place of the device's one of this name; its number."""
    delete_connections(db, user_id, device_id, conn_id)
    row = db.execute(
        "INSERT INTO sliding_connections (user_id, device_id, conn_id, last_used_ts) VALUES (?, ?, ?, ?)"
        " RETURNING connection_nid",
        (user_id, device_id, conn_id, now_ms),
    ).fetchone()
    return int(row[0])


def find_connection(
    db: Db, connection_nid: int, user_id: str, device_id: str, conn_id: str
) -> SlidingConnection | None:
    """A connection, if it is this device's and has this name."""
    row = db.execute(
        "SELECT acknowledged, newest, last_used_ts FROM sliding_connections"
        " WHERE connection_nid = ? AND user_id = ? AND device_id = ? AND conn_id = ?",
        (connection_nid, user_id, device_id, conn_id),
    ).fetchone()
    if row is None:
        return None
    acknowledged, newest, last_used_ts = row
    return SlidingConnection(
        connection_nid=connection_nid, acknowledged=acknowledged, newest=newest, last_used_ts=last_used_ts
    )


def update_acknowledged(db: Db, connection_nid: int, generation: int, now_ms: int) -> None:
    """The client has this generation, and will never come with an earlier one again."""
    db.execute(
        "UPDATE sliding_connections SET acknowledged = ?, last_used_ts = ? WHERE connection_nid = ?",
        (generation, now_ms, connection_nid),
    )
    db.execute(
        "DELETE FROM sliding_rooms AS old WHERE connection_nid = ?1 AND EXISTS (SELECT 1 FROM sliding_rooms newer"
        " WHERE newer.connection_nid = ?1 AND newer.room_nid = old.room_nid AND newer.generation > old.generation"
        " AND newer.generation <= ?2)",
        (connection_nid, generation),
    )


def select_told_rooms(db: Db, connection_nid: int, generation: int) -> dict[int, ToldRoom]:
    """The rooms that the client knows in a generation, by room_nid."""
    configs = _select_configs(db, connection_nid)
    rows = db.execute(
        "SELECT room_nid, told_up_to, timeline_limit, config_nid, MAX(generation) FROM sliding_rooms"
        " WHERE connection_nid = ? AND generation <= ? GROUP BY room_nid",
        (connection_nid, generation),
    )
    return {
        room_nid: ToldRoom(told_up_to=told_up_to, timeline_limit=limit, required_state=configs[config_nid])
        for room_nid, told_up_to, limit, config_nid, _ in rows
    }


def insert_generation(db: Db, connection: SlidingConnection, rooms: Mapping[int, ToldRoom], now_ms: int) -> int:
    """What an answer changes, as the generation after the acknowledged one; its number, which none had before."""
    nid, generation = connection.connection_nid, connection.newest + 1
    db.execute("DELETE FROM sliding_rooms WHERE connection_nid = ? AND generation > ?", (nid, connection.acknowledged))
    db.execute(
        "UPDATE sliding_connections SET newest = ?, last_used_ts = ? WHERE connection_nid = ?",
        (generation, now_ms, nid),
    )
    configs = _intern_configs(db, nid, {room.required_state for room in rooms.values()})
    db.executemany(
        "INSERT INTO sliding_rooms (connection_nid, room_nid, generation, told_up_to, timeline_limit, config_nid)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (nid, room_nid, generation, room.told_up_to, room.timeline_limit, configs[room.required_state])
            for room_nid, room in rooms.items()
        ],
    )
    return generation


def count_configs(db: Db, connection_nid: int) -> int:
    """How many different wishes a connection has had."""
    row = db.execute("SELECT COUNT(*) FROM sliding_configs WHERE connection_nid = ?", (connection_nid,)).fetchone()
    return int(row[0])


def delete_connections(db: Db, user_id: str, device_id: str, conn_id: str | None = None) -> None:
    """End one connection of a device, or all."""
    rows = db.execute(
        "SELECT connection_nid FROM sliding_connections"
        " WHERE user_id = ?1 AND device_id = ?2 AND (?3 IS NULL OR conn_id = ?3)",
        (user_id, device_id, conn_id),
    )
    _delete(db, [connection_nid for (connection_nid,) in rows])


def delete_old_connections(db: Db, user_id: str, device_id: str, *, keep: int, unused_since: int) -> None:
    """End all but the device's last `keep`, and any device's that was not used since a time (ms)."""
    rows = db.execute(
        "SELECT connection_nid FROM (SELECT connection_nid FROM sliding_connections"
        " WHERE user_id = ? AND device_id = ? ORDER BY last_used_ts DESC, connection_nid DESC LIMIT -1 OFFSET ?)"
        " UNION SELECT connection_nid FROM sliding_connections WHERE last_used_ts < ?",
        (user_id, device_id, keep, unused_since),
    )
    _delete(db, [connection_nid for (connection_nid,) in rows])


def select_last_positions(db: Db, room_nids: Iterable[int]) -> dict[int, int]:
    """The stream position of the last event of each room."""
    rows = db.execute(
        "SELECT j.value, (SELECT MAX(e.stream_position) FROM events e"
        " WHERE e.room_nid = j.value AND e.stream_position IS NOT NULL) FROM json_each(?) j",
        (json.dumps(list(room_nids)),),
    )
    return {room_nid: position or 0 for room_nid, position in rows}


def select_room_ids(db: Db, room_nids: Iterable[int]) -> dict[int, str]:
    """The ids of rooms."""
    rows = db.execute(
        "SELECT j.value, r.room_id FROM json_each(?) j CROSS JOIN rooms r ON r.room_nid = j.value",
        (json.dumps(list(room_nids)),),
    )
    return dict(rows.fetchall())


def select_settings(db: Db, room_nids: Iterable[int], event_type: str) -> dict[int, int]:
    """The current state event of this type with an empty key, by room_nid, for those of the rooms that have one."""
    rows = db.execute(
        "SELECT c.room_nid, c.event_nid FROM state_tuples t CROSS JOIN json_each(?1) j"
        " CROSS JOIN current_state c ON c.room_nid = j.value AND c.tuple_nid = t.tuple_nid"
        " WHERE t.type = ?2 AND t.state_key = ''",
        (json.dumps(list(room_nids)), event_type),
    )
    return dict(rows.fetchall())


def _select_configs(db: Db, connection_nid: int) -> dict[int, str]:
    rows = db.execute(
        "SELECT config_nid, required_state FROM sliding_configs WHERE connection_nid = ?", (connection_nid,)
    )
    return dict(rows.fetchall())


def _intern_configs(db: Db, connection_nid: int, wanted: Iterable[str]) -> dict[str, int]:
    known = {text: config_nid for config_nid, text in _select_configs(db, connection_nid).items()}
    for text in sorted(set(wanted) - known.keys()):
        known[text] = len(known)
        db.execute(
            "INSERT INTO sliding_configs (connection_nid, config_nid, required_state) VALUES (?, ?, ?)",
            (connection_nid, known[text], text),
        )
    return known


def _delete(db: Db, connection_nids: list[int]) -> None:
    parameter: tuple[Any] = (json.dumps(connection_nids),)
    for table in ("sliding_rooms", "sliding_configs", "sliding_connections") if connection_nids else ():
        db.execute(f"DELETE FROM {table} WHERE connection_nid IN (SELECT value FROM json_each(?))", parameter)
