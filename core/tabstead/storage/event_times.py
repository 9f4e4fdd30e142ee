"""When the events of a room's timeline were sent, without an index over it: time nearly follows position."""

from tabstead.storage.database import Db


def find_time_from(db: Db, room_nid: int, position: int, *, up_to: int) -> tuple[int, int] | None:
    """(position, origin_server_ts) of the room's first event with position <= event's position <= up_to."""
    row = db.execute(
        "SELECT stream_position, origin_server_ts FROM events"
        " WHERE room_nid = ? AND stream_position >= ? AND stream_position <= ? ORDER BY stream_position LIMIT 1",
        (room_nid, position, up_to),
    ).fetchone()
    return None if row is None else (row[0], row[1])


def select_times(
    db: Db, room_nid: int, *, after: int, up_to: int, limit: int, forwards: bool
) -> list[tuple[int, int, int]]:
    """(event_nid, position, origin_server_ts) of the room's accepted events with after < position <= up_to.

    At most `limit`: the oldest, or backwards the newest.
    """
    rows = db.execute(
        "SELECT event_nid, stream_position, origin_server_ts FROM events"
        " WHERE room_nid = ? AND stream_position > ? AND stream_position <= ? AND standing = 0"
        f" ORDER BY stream_position {'ASC' if forwards else 'DESC'} LIMIT ?",
        (room_nid, after, up_to, limit),
    )
    return rows.fetchall()
