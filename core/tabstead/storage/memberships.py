"""Memberships: what the current state of each room says of each user.

A row follows the room's `m.room.member` events; `forgotten` and `joined_until` are this server's own.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tabstead.storage.database import Db
from tabstead.storage.names import USER_NID, intern_user

JOINED: Final = "join"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    user_id: str
    room_nid: int
    membership: str
    """join, invite, leave, ban or knock."""
    event_nid: int
    stream_position: int
    """The position of the last change of the member event."""
    joined_until: int
    """The position at which the user was last joined; 0 for someone who never was. It counts once they are gone."""
    forgotten: bool


SELECT_MEMBERSHIP: Final = (
    "SELECT u.state_key, m.room_nid, m.membership, m.event_nid, m.stream_position, m.joined_until, m.forgotten"
    " FROM memberships m CROSS JOIN state_tuples u ON u.tuple_nid = m.user_nid"
)


def update_membership(
    db: Db, user_id: str, room_nid: int, *, membership: str, event_nid: int, stream_position: int
) -> None:
    """Follow a member event that is now in the room's current state."""
    db.execute(
        "INSERT INTO memberships (user_nid, room_nid, membership, event_nid, stream_position) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET"
        " joined_until = CASE WHEN membership = 'join' THEN excluded.stream_position ELSE joined_until END,"
        " forgotten = CASE WHEN excluded.membership = 'leave' THEN forgotten ELSE 0 END,"
        " membership = excluded.membership, event_nid = excluded.event_nid,"
        " stream_position = excluded.stream_position",
        (intern_user(db, user_id), room_nid, membership, event_nid, stream_position),
    )


def delete_membership(db: Db, user_id: str, room_nid: int) -> None:
    """Follow a state that no longer knows the user."""
    db.execute(f"DELETE FROM memberships WHERE user_nid = {USER_NID % '?'} AND room_nid = ?", (user_id, room_nid))


def update_forgotten(db: Db, user_id: str, room_nid: int) -> None:
    """The user wants to hear no more of a room that they left."""
    db.execute(
        f"UPDATE memberships SET forgotten = 1 WHERE user_nid = {USER_NID % '?'} AND room_nid = ?", (user_id, room_nid)
    )


def find_membership(db: Db, user_id: str, room_nid: int) -> Membership | None:
    row = db.execute(
        f"{SELECT_MEMBERSHIP} WHERE m.user_nid = {USER_NID % '?'} AND m.room_nid = ?", (user_id, room_nid)
    ).fetchone()
    return None if row is None else membership_of_row(row)


def select_memberships(db: Db, user_id: str, memberships: Iterable[str] | None = None) -> list[Membership]:
    """A user's rooms, forgotten ones too; those with one of these memberships, if any are given."""
    found = [
        membership_of_row(row)
        for row in db.execute(f"{SELECT_MEMBERSHIP} WHERE m.user_nid = {USER_NID % '?'}", (user_id,))
    ]
    return found if memberships is None else [row for row in found if row.membership in set(memberships)]


def select_members(db: Db, room_nid: int, memberships: Iterable[str] = (JOINED,)) -> list[Membership]:
    """The users of a room with one of these memberships, in no order that matters."""
    rows = db.execute(
        f"{SELECT_MEMBERSHIP} WHERE m.room_nid = ? AND m.membership IN (SELECT value FROM json_each(?))",
        (room_nid, json.dumps(list(memberships))),
    )
    return [membership_of_row(row) for row in rows]


def select_joined_users(db: Db, room_nid: int) -> list[str]:
    """The user ids of the joined members."""
    rows = db.execute(
        "SELECT u.state_key FROM memberships m CROSS JOIN state_tuples u ON u.tuple_nid = m.user_nid"
        " WHERE m.room_nid = ? AND m.membership = 'join'",
        (room_nid,),
    )
    return [user_id for (user_id,) in rows]


def walk_joined_users(db: Db, room_nid: int) -> Iterator[str]:
    """The same one by one, for who stops at the first that will do."""
    rows = db.execute(
        "SELECT u.state_key FROM memberships m CROSS JOIN state_tuples u ON u.tuple_nid = m.user_nid"
        " WHERE m.room_nid = ? AND m.membership = 'join'",
        (room_nid,),
    )
    return (user_id for (user_id,) in rows)


def count_members(db: Db, room_nid: int, membership: str = JOINED) -> int:
    row = db.execute(
        "SELECT COUNT(*) FROM memberships WHERE room_nid = ? AND membership = ?", (room_nid, membership)
    ).fetchone()
    return int(row[0])


def is_joined(db: Db, user_id: str, room_nid: int) -> bool:
    row = db.execute(
        f"SELECT 1 FROM memberships WHERE user_nid = {USER_NID % '?'} AND room_nid = ? AND membership = 'join'",
        (user_id, room_nid),
    ).fetchone()
    return row is not None


def select_shared_rooms(db: Db, one: str, other: str, *, after: int, limit: int) -> list[tuple[int, str]]:
    """room_nid and room id of the rooms that both are joined to, with a higher room_nid than `after`, in its order."""
    rows = db.execute(
        "SELECT a.room_nid, r.room_id FROM memberships a"
        f" CROSS JOIN memberships b ON b.user_nid = {USER_NID % '?'} AND b.room_nid = a.room_nid"
        " AND b.membership = 'join'"
        " JOIN rooms r ON r.room_nid = a.room_nid"
        f" WHERE a.user_nid = {USER_NID % '?'} AND a.membership = 'join' AND a.room_nid > ?"
        " ORDER BY a.room_nid LIMIT ?",
        (other, one, after, limit),
    )
    return rows.fetchall()


def count_shared_rooms(db: Db, one: str, other: str) -> int:
    row = db.execute(
        "SELECT COUNT(*) FROM memberships a CROSS JOIN memberships b"
        f" ON b.user_nid = {USER_NID % '?'} AND b.room_nid = a.room_nid AND b.membership = 'join'"
        f" WHERE a.user_nid = {USER_NID % '?'} AND a.membership = 'join'",
        (other, one),
    ).fetchone()
    return int(row[0])


def share_room(db: Db, one: str, other: str) -> bool:
    """Whether both are joined to some room."""
    row = db.execute(
        f"SELECT 1 FROM memberships a JOIN memberships b ON b.room_nid = a.room_nid AND b.user_nid = {USER_NID % '?'}"
        f" AND b.membership = 'join' WHERE a.user_nid = {USER_NID % '?'} AND a.membership = 'join' LIMIT 1",
        (other, one),
    ).fetchone()
    return row is not None


def membership_of_row(row: tuple[str, int, str, int, int, int, int]) -> Membership:
    """What SELECT_MEMBERSHIP has found."""
    user_id, room_nid, membership, event_nid, stream_position, joined_until, forgotten = row
    return Membership(
        user_id=user_id,
        room_nid=room_nid,
        membership=membership,
        event_nid=event_nid,
        stream_position=stream_position,
        joined_until=joined_until,
        forgotten=bool(forgotten),
    )


def select_members_of_server(db: Db, room_nid: int, server: str) -> list[str]:
    """The users of a server that the room's current state has a member event of."""
    rows = db.execute(
        "SELECT u.state_key FROM memberships m CROSS JOIN state_tuples u ON u.tuple_nid = m.user_nid"
        " WHERE m.room_nid = ? AND substr(u.state_key, instr(u.state_key, ':') + 1) = ?",
        (room_nid, server),
    )
    return [user_id for (user_id,) in rows]
