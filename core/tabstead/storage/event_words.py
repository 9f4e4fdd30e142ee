"""The index of the words of events: which event has which word.

A follower of the stream: it has the events up to a position of its own (`select_indexed_position`), in time for
somebody to search. Beside its words a row has two tokens that are no word's: of the room, and of the kind of text.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from tabstead.protocol.words import MIN_PREFIX
from tabstead.storage.database import Db

_COUNTER: Final = "event_words"
_MARK: Final = "§"
"""No letter, so it begins no word."""


class TextKind(StrEnum):
    """Which text of a room an event has."""

    BODY = "b"
    NAME = "n"
    TOPIC = "t"


def select_indexed_position(db: Db) -> int:
    """The stream position up to which events are in the index."""
    return int(db.execute("SELECT value FROM counters WHERE name = ?", (_COUNTER,)).fetchone()[0])


def update_indexed_position(db: Db, position: int) -> None:
    db.execute("UPDATE counters SET value = ? WHERE name = ?", (position, _COUNTER))


def select_unindexed(db: Db, limit: int) -> list[tuple[int, int]]:
    """(event_nid, position) of the next accepted events that are not in the index, the oldest first."""
    rows = db.execute(
        "SELECT event_nid, stream_position FROM events WHERE stream_position > ? AND standing = 0"
        " ORDER BY stream_position LIMIT ?",
        (select_indexed_position(db), limit),
    )
    return rows.fetchall()


def insert_words(db: Db, event_nid: int, room_nid: int, kind: TextKind, words: Iterable[str]) -> None:
    db.execute("INSERT INTO event_words (rowid, words) VALUES (?, ?)", (event_nid, _row(room_nid, kind, words)))


def delete_words(db: Db, event_nid: int, room_nid: int, kind: TextKind, words: Iterable[str]) -> None:
    """Take an event out of the index, by the very words that it was put in with."""
    db.execute(
        "INSERT INTO event_words (event_words, rowid, words) VALUES ('delete', ?, ?)",
        (event_nid, _row(room_nid, kind, words)),
    )


def select_matches(
    db: Db, words: Iterable[str], room_nids: Iterable[int], kinds: Iterable[TextKind], *, up_to: int, limit: int
) -> list[int]:
    """The event_nids, at most `up_to`, of events of these rooms that have all the words: the newest `limit` of them.

    Takes time by the matches that it gives, and by the number of rooms and words.
    """
    rows = db.execute(
        "SELECT rowid FROM event_words WHERE event_words MATCH ? AND rowid <= ? ORDER BY rowid DESC LIMIT ?",
        (_expression(words, room_nids, kinds), up_to, limit),
    )
    return [event_nid for (event_nid,) in rows]


def count_matches(
    db: Db, words: Iterable[str], room_nids: Iterable[int], kinds: Iterable[TextKind], *, limit: int
) -> int:
    """How many such events there are; counting stops at the limit."""
    (count,) = db.execute(
        "SELECT COUNT(*) FROM (SELECT 1 FROM event_words WHERE event_words MATCH ? LIMIT ?)",
        (_expression(words, room_nids, kinds), limit),
    ).fetchone()
    return int(count)


def _row(room_nid: int, kind: TextKind, words: Iterable[str]) -> str:
    return " ".join((f"{_MARK}{room_nid}", f"{_MARK}{kind}", *dict.fromkeys(words)))


def _expression(words: Iterable[str], room_nids: Iterable[int], kinds: Iterable[TextKind]) -> str:
    """A query of FTS5. Nothing in its strings is special but quotes, and those are in no word."""
    scopes = [[str(room_nid) for room_nid in room_nids]]
    if len(chosen := list(kinds)) < len(TextKind):
        scopes.append([kind.value for kind in chosen])
    wanted = [f'"{word}"*' if len(word) >= MIN_PREFIX else f'"{word}"' for word in words]
    wanted += ["(" + " OR ".join(f'"{_MARK}{value}"' for value in scope) + ")" for scope in scopes]
    return " AND ".join(wanted)
