"""Which servers are in which room: those with members that are joined by the room's current state.

The table follows the memberships by triggers; nothing here writes it.
"""

from collections import Counter

from tabstead.protocol.identifiers import ServerName
from tabstead.storage.database import Db
from tabstead.storage.names import USER_NID


def select_servers(db: Db, room_nid: int) -> list[ServerName]:
    """The servers in the room, this one too if it is, in the order of their names."""
    rows = db.execute("SELECT server FROM room_servers WHERE room_nid = ? ORDER BY server", (room_nid,))
    return [ServerName(server) for (server,) in rows]


def select_joined_by_server(db: Db, room_nid: int) -> Counter[str]:
    """How many joined members each of them has."""
    rows = db.execute("SELECT server, joined FROM room_servers WHERE room_nid = ?", (room_nid,))
    return Counter(dict(rows.fetchall()))


def is_server_in(db: Db, room_nid: int, server: str) -> bool:
    """Whether the server is in the room."""
    row = db.execute("SELECT 1 FROM room_servers WHERE room_nid = ? AND server = ?", (room_nid, server)).fetchone()
    return row is not None


def is_server_near(db: Db, user_id: str, server: str) -> bool:
    """Whether the user is joined to a room that the server is in."""
    row = db.execute(
        "SELECT 1 FROM memberships m CROSS JOIN room_servers s ON s.room_nid = m.room_nid AND s.server = ?"
        f" WHERE m.user_nid = {USER_NID % '?'} AND m.membership = 'join' LIMIT 1",
        (server, user_id),
    ).fetchone()
    return row is not None
