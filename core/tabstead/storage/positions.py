"""The one counter from which every durable stream draws its positions.

SQLite has a single writer, so one counter orders everything: whatever a row's stream, `stream_position > n` means
"committed after position n was read". A position drawn in a transaction that rolls back is drawn again.
"""

from typing import Final

from tabstead.storage.database import Db

_STREAM: Final = "stream"


def next_position(db: Db) -> int:
    """Draw the next stream position."""
    row = db.execute("UPDATE counters SET value = value + 1 WHERE name = ? RETURNING value", (_STREAM,)).fetchone()
    return int(row[0])


def select_position(db: Db) -> int:
    """The newest stream position of this transaction's view."""
    return int(db.execute("SELECT value FROM counters WHERE name = ?", (_STREAM,)).fetchone()[0])


def skip_positions(db: Db, count: int) -> None:
    """Leave out so many positions, to be used by what comes later and belongs before."""
    db.execute("UPDATE counters SET value = value + ? WHERE name = ?", (count, _STREAM))
