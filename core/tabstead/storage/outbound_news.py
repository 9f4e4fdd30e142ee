"""What other servers are still to be told, as spans of the stream.

A row says that of a subject (a room's events, a room's receipts, a user's devices, a user's presence) a server has to
be told what lies between two positions. What is told is read from where it is; so a room's thousandth unsent event
costs as much as the first one, and who was told nothing for a year is owed a row for each subject.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from tabstead.protocol.identifiers import ServerName
from tabstead.storage.database import Db
from tabstead.storage.names import USER_NID


class Kind(IntEnum):
    """What a row is about; the numbers are stored."""

    EVENTS = 0
    """Subject: room_nid."""
    RECEIPTS = 1
    """Subject: room_nid."""
    DEVICES = 2
    """Subject: a user's number."""
    PRESENCE = 3
    """Subject: a user's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A span of a subject that a server has to be told."""

    server: ServerName
    kind: Kind
    subject: int
    first_position: int
    last_position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """As much of an accepted event as says whether others have to be told of it."""

    event_nid: int
    room_nid: int
    stream_position: int
    sender: str


_COUNTER: Final = "outbound"


def select_outbound_position(db: Db) -> int:
    """How far the stream was looked through."""
    return int(db.execute("SELECT value FROM counters WHERE name = ?", (_COUNTER,)).fetchone()[0])


def update_outbound_position(db: Db, position: int) -> None:
    db.execute("UPDATE counters SET value = ? WHERE name = ?", (position, _COUNTER))


def update_news(db: Db, news: Iterable[News]) -> None:
    """Add spans to those that are there: one of a subject that has one makes it longer."""
    db.executemany(
        "INSERT INTO outbound_news (server, kind, subject, first_position, last_position) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET last_position = max(last_position, excluded.last_position)",
        [(each.server, int(each.kind), each.subject, each.first_position, each.last_position) for each in news],
    )


def select_news(db: Db, server: str, kind: Kind, limit: int) -> list[News]:
    """The first `limit` spans of a kind that the server has to be told, those that begin earliest first."""
    rows = db.execute(
        "SELECT subject, first_position, last_position FROM outbound_news WHERE server = ? AND kind = ?"
        " ORDER BY first_position, subject LIMIT ?",
        (server, int(kind), limit),
    )
    return [
        News(server=ServerName(server), kind=kind, subject=subject, first_position=first, last_position=last)
        for subject, first, last in rows
    ]


def update_told(db: Db, news: News, position: int) -> None:
    """The server was told the span up to the position; what was added meanwhile stays."""
    key = (news.server, int(news.kind), news.subject)
    db.execute(
        "DELETE FROM outbound_news WHERE server = ? AND kind = ? AND subject = ? AND last_position <= ?",
        (*key, position),
    )
    db.execute(
        "UPDATE outbound_news SET first_position = ?4 + 1"
        " WHERE server = ?1 AND kind = ?2 AND subject = ?3 AND first_position <= ?4",
        (*key, position),
    )


def delete_news(db: Db, server: str, kind: Kind) -> None:
    """The server is not to be told this any more."""
    db.execute("DELETE FROM outbound_news WHERE server = ? AND kind = ?", (server, int(kind)))


def update_abridged(db: Db, server: str, longest: int) -> None:
    """Of rooms with more than `longest` events in the span, the server is told the last one; it asks for the others."""
    db.execute(
        "UPDATE outbound_news SET first_position = last_position WHERE server = ? AND kind = ? AND EXISTS"
        " (SELECT 1 FROM events e WHERE e.room_nid = subject AND e.stream_position >= first_position"
        " AND e.stream_position <= last_position LIMIT 1 OFFSET ?)",
        (server, int(Kind.EVENTS), longest),
    )


def select_owed_servers(db: Db) -> set[ServerName]:
    """Whoever has to be told something."""
    rows = db.execute("SELECT server FROM outbound_news UNION SELECT server FROM outbound_to_device")
    return {ServerName(server) for (server,) in rows}


def insert_relay(db: Db, stream_position: int, origin: str) -> None:
    """Have the other servers in the room told of another server's event, which is at this position."""
    db.execute(
        "INSERT OR IGNORE INTO outbound_relays (stream_position, origin) VALUES (?, ?)", (stream_position, origin)
    )


def select_relays(db: Db, positions: Iterable[int]) -> dict[int, str]:
    """Which of these events are to be passed on, and where each came from."""
    rows = db.execute(
        "SELECT r.stream_position, r.origin FROM json_each(?) j CROSS JOIN outbound_relays r"
        " ON r.stream_position = j.value",
        (json.dumps(list(positions)),),
    )
    return dict(rows.fetchall())


def select_stream_events(db: Db, *, after: int, limit: int) -> list[StreamEvent]:
    """The first `limit` accepted events after a position, of all rooms, in their order."""
    rows = db.execute(
        "SELECT e.event_nid, e.room_nid, e.stream_position, s.state_key FROM events e"
        " CROSS JOIN state_tuples s ON s.tuple_nid = e.sender"
        " WHERE e.stream_position > ? AND e.standing = 0 ORDER BY e.stream_position LIMIT ?",
        (after, limit),
    )
    return [_stream_event(row) for row in rows]


def select_span_events(db: Db, room_nid: int, *, first: int, last: int, limit: int) -> list[StreamEvent]:
    """The first `limit` accepted events of a room between two positions, both included."""
    rows = db.execute(
        "SELECT e.event_nid, e.room_nid, e.stream_position, s.state_key FROM events e"
        " CROSS JOIN state_tuples s ON s.tuple_nid = e.sender"
        " WHERE e.room_nid = ? AND e.stream_position >= ? AND e.stream_position <= ? AND e.standing = 0"
        " ORDER BY e.stream_position LIMIT ?",
        (room_nid, first, last, limit),
    )
    return [_stream_event(row) for row in rows]


def select_servers_near(db: Db, user_id: str) -> list[ServerName]:
    """The servers that the user shares rooms with, this one too."""
    rows = db.execute(
        "SELECT DISTINCT s.server FROM memberships m CROSS JOIN room_servers s ON s.room_nid = m.room_nid"
        f" WHERE m.user_nid = {USER_NID % '?'} AND m.membership = 'join'",
        (user_id,),
    )
    return [ServerName(server) for (server,) in rows]


def _stream_event(row: tuple[Any, ...]) -> StreamEvent:
    event_nid, room_nid, stream_position, sender = row
    return StreamEvent(event_nid=event_nid, room_nid=room_nid, stream_position=stream_position, sender=sender)
