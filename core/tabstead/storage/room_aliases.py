"""Room aliases of this server."""

from dataclasses import dataclass

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAlias:
    room_alias: str
    room_id: str
    creator: str


def insert_alias(db: Db, room_alias: str, room_id: str, creator: str) -> None:
    """A new alias; one that exists is a bug of the caller."""
    db.execute(
        "INSERT INTO room_aliases (room_alias, room_id, creator) VALUES (?, ?, ?)", (room_alias, room_id, creator)
    )


def find_alias(db: Db, room_alias: str) -> StoredAlias | None:
    row = db.execute(
        "SELECT room_alias, room_id, creator FROM room_aliases WHERE room_alias = ?", (room_alias,)
    ).fetchone()
    return None if row is None else StoredAlias(room_alias=row[0], room_id=row[1], creator=row[2])


def delete_alias(db: Db, room_alias: str) -> None:
    db.execute("DELETE FROM room_aliases WHERE room_alias = ?", (room_alias,))


def move_aliases(db: Db, old_room_id: str, new_room_id: str) -> list[str]:
    """Let the local aliases of a room lead to another one; which these are."""
    rows = db.execute(
        "UPDATE room_aliases SET room_id = ? WHERE room_id = ? RETURNING room_alias", (new_room_id, old_room_id)
    )
    return [room_alias for (room_alias,) in rows.fetchall()]


def select_aliases(db: Db, room_id: str) -> list[str]:
    """The local aliases of a room, sorted."""
    rows = db.execute("SELECT room_alias FROM room_aliases WHERE room_id = ? ORDER BY room_alias", (room_id,))
    return [room_alias for (room_alias,) in rows]
