"""Presence as users last set it, and when they were last active. What follows from the time that passed since is
computed by whoever reads it."""

from dataclasses import dataclass

from tabstead.storage.database import Db
from tabstead.storage.names import USER_NID
from tabstead.storage.positions import next_position


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPresence:
    user_id: str
    presence: str
    """online, unavailable or offline."""
    status_msg: str | None
    last_active_ts: int
    heard_ts: int | None
    """When another server told this of its user; None: a user of this server."""


_COLUMNS = "p.user_id, p.presence, p.status_msg, p.last_active_ts, p.heard_ts"

_SHARES_ROOM = (
    "(p.user_id = ?1 OR EXISTS (SELECT 1 FROM memberships theirs JOIN memberships mine USING (room_nid)"
    f" WHERE theirs.user_nid = {USER_NID % 'p.user_id'} AND theirs.membership = 'join'"
    f" AND mine.user_nid = {USER_NID % '?1'} AND mine.membership = 'join'))"
)


def update_presence(
    db: Db,
    user_id: str,
    *,
    presence: str,
    status_msg: str | None,
    last_active_ts: int,
    heard_ts: int | None = None,
) -> None:
    """Set a user's presence: news for everyone who shares a room with them."""
    db.execute(
        "INSERT INTO presence (user_id, presence, status_msg, last_active_ts, heard_ts, stream_position)"
        " VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET presence = excluded.presence, status_msg = excluded.status_msg,"
        " last_active_ts = excluded.last_active_ts, heard_ts = excluded.heard_ts,"
        " stream_position = excluded.stream_position",
        (user_id, presence, status_msg, last_active_ts, heard_ts, next_position(db)),
    )


def update_last_active(db: Db, user_id: str, last_active_ts: int, heard_ts: int | None = None) -> None:
    """Note activity that changes nothing others see: no news."""
    db.execute(
        "UPDATE presence SET last_active_ts = ?, heard_ts = ? WHERE user_id = ?", (last_active_ts, heard_ts, user_id)
    )


def find_presence(db: Db, user_id: str) -> StoredPresence | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM presence p WHERE p.user_id = ?", (user_id,)).fetchone()
    return None if row is None else _presence(row)


def select_shared_presence(db: Db, user_id: str) -> list[StoredPresence]:
    """The presence of everyone who shares a room with the user, and the user's own."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM presence p WHERE {_SHARES_ROOM}", (user_id,))
    return [_presence(row) for row in rows]


def select_presence_changes(
    db: Db, user_id: str, *, after: int, up_to: int, active_after: int, active_up_to: int
) -> list[StoredPresence]:
    """The presence of those who share a room with the user, or are the user, and who either set it with
    after < position <= up_to or were last active at active_after < time <= active_up_to."""
    rows = db.execute(
        "WITH changed AS (SELECT user_id FROM presence WHERE stream_position > ?2 AND stream_position <= ?3"
        " UNION SELECT user_id FROM presence WHERE last_active_ts > ?4 AND last_active_ts <= ?5"
        " AND presence <> 'offline')"
        f" SELECT {_COLUMNS} FROM changed CROSS JOIN presence p USING (user_id) WHERE {_SHARES_ROOM}",
        (user_id, after, up_to, active_after, active_up_to),
    )
    return [_presence(row) for row in rows]


def select_presence_setters(db: Db, *, after: int, up_to: int) -> dict[str, int]:
    """Whose presence was set with after < position <= up_to, and the position."""
    rows = db.execute(
        "SELECT user_id, stream_position FROM presence WHERE stream_position > ? AND stream_position <= ?",
        (after, up_to),
    )
    return dict(rows.fetchall())


def select_active_presence(db: Db, *, active_after: int) -> list[StoredPresence]:
    """The presence of this server's users who were last active after a time (ms) and did not set themselves offline."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM presence p WHERE p.last_active_ts > ? AND p.presence <> 'offline'"
        " AND p.heard_ts IS NULL",
        (active_after,),
    )
    return list(map(_presence, rows))


def _presence(row: tuple[str, str, str | None, int, int | None]) -> StoredPresence:
    user_id, presence, status_msg, last_active_ts, heard_ts = row
    return StoredPresence(
        user_id=user_id, presence=presence, status_msg=status_msg, last_active_ts=last_active_ts, heard_ts=heard_ts
    )
