"""Rooms: their ids, versions and forward extremities, and whether the room directory lists them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tabstead.protocol.identifiers import RoomID
from tabstead.protocol.room_versions import RoomVersion, get_room_version
from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A room as it was when it was read; `state_snapshot` moves on with every state event."""

    room_nid: int
    room_id: RoomID
    version: RoomVersion
    state_snapshot: int
    is_public: bool


_SELECT_ROOM = "SELECT room_nid, room_id, room_version, state_snapshot, is_public FROM rooms"


def insert_room(db: Db, room_id: RoomID, version: RoomVersion) -> Room:
    """A new room without events."""
    row = db.execute(
        "INSERT INTO rooms (room_id, room_version) VALUES (?, ?) RETURNING room_nid", (room_id, version.name)
    ).fetchone()
    return Room(room_nid=row[0], room_id=room_id, version=version, state_snapshot=0, is_public=False)


def update_room_version(db: Db, room: Room, version: RoomVersion) -> Room:
    """Correct what was said of a room of which no event is here."""
    db.execute("UPDATE rooms SET room_version = ? WHERE room_nid = ?", (version.name, room.room_nid))
    return replace(room, version=version)


def find_room(db: Db, room_id: str) -> Room | None:
    row = db.execute(f"{_SELECT_ROOM} WHERE room_id = ?", (room_id,)).fetchone()
    return None if row is None else _room(row)


def find_room_by_nid(db: Db, room_nid: int) -> Room | None:
    row = db.execute(f"{_SELECT_ROOM} WHERE room_nid = ?", (room_nid,)).fetchone()
    return None if row is None else _room(row)


def get_room(db: Db, room_nid: int) -> Room:
    """The room of a numeric id, which some row has."""
    return _room(db.execute(f"{_SELECT_ROOM} WHERE room_nid = ?", (room_nid,)).fetchone())


def update_state_snapshot(db: Db, room_nid: int, snapshot: int) -> None:
    """Move the room to its new current state; `current_state` is updated beside it."""
    db.execute("UPDATE rooms SET state_snapshot = ? WHERE room_nid = ?", (snapshot, room_nid))


def select_forward_extremities(db: Db, room_nid: int) -> list[int]:
    """The event_nids of the events that nothing refers to yet."""
    rows = db.execute("SELECT event_nid FROM forward_extremities WHERE room_nid = ?", (room_nid,))
    return [event_nid for (event_nid,) in rows]


def select_newest_extremities(db: Db, room_nid: int, limit: int) -> list[int]:
    """At most `limit` of the forward extremities, by their positions the newest first."""
    rows = db.execute(
        "SELECT f.event_nid FROM forward_extremities f JOIN events e USING (event_nid)"
        " WHERE f.room_nid = ? ORDER BY e.stream_position DESC LIMIT ?",
        (room_nid, limit),
    )
    return [event_nid for (event_nid,) in rows]


def update_forward_extremities(db: Db, room_nid: int, *, removed: Iterable[int], added: Iterable[int]) -> None:
    db.executemany(
        "DELETE FROM forward_extremities WHERE room_nid = ? AND event_nid = ?",
        [(room_nid, event_nid) for event_nid in removed],
    )
    db.executemany(
        "INSERT INTO forward_extremities (room_nid, event_nid) VALUES (?, ?)",
        [(room_nid, event_nid) for event_nid in added],
    )


def _room(row: tuple[int, str, str, int, int]) -> Room:
    room_nid, room_id, version, state_snapshot, is_public = row
    return Room(
        room_nid=room_nid,
        room_id=RoomID(room_id),
        version=get_room_version(version),
        state_snapshot=state_snapshot,
        is_public=bool(is_public),
    )
