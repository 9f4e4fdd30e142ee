"""Servers that can't be reached at the time, and when each is tried again.

The pause doubles with every failure. A server that answers, or is heard from, has no row.
"""

from dataclasses import dataclass
from typing import Final

from tabstead.storage.database import Db

FIRST_PAUSE_MS: Final = 10_000
LONGEST_PAUSE_MS: Final = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A server that can't be reached."""

    failing_since_ts: int
    failures: int
    next_try_ts: int


def pause_after(failures: int) -> int:
    """How long (ms) a server is left alone after so many failures in a row."""
    return min(FIRST_PAUSE_MS << min(failures - 1, 20), LONGEST_PAUSE_MS)


def find_retry(db: Db, server: str) -> Retry | None:
    """Since when the server can't be reached, and when to try again; None: nothing is known against it."""
    row = db.execute(
        "SELECT failing_since_ts, failures, next_try_ts FROM destinations WHERE server = ?", (server,)
    ).fetchone()
    return None if row is None else Retry(failing_since_ts=row[0], failures=row[1], next_try_ts=row[2])


def select_retries(db: Db) -> dict[str, Retry]:
    """All servers that can't be reached."""
    rows = db.execute("SELECT server, failing_since_ts, failures, next_try_ts FROM destinations")
    return {
        server: Retry(failing_since_ts=since, failures=failures, next_try_ts=next_try)
        for server, since, failures, next_try in rows
    }


def update_failed(db: Db, server: str, now_ms: int) -> Retry:
    """Note that the server could not be reached."""
    known = find_retry(db, server)
    failures = 1 if known is None else known.failures + 1
    retry = Retry(
        failing_since_ts=now_ms if known is None else known.failing_since_ts,
        failures=failures,
        next_try_ts=now_ms + pause_after(failures),
    )
    db.execute(
        "INSERT OR REPLACE INTO destinations (server, failing_since_ts, failures, next_try_ts) VALUES (?, ?, ?, ?)",
        (server, retry.failing_since_ts, retry.failures, retry.next_try_ts),
    )
    return retry


def delete_retry(db: Db, server: str) -> None:
    """Note that the server was reached."""
    db.execute("DELETE FROM destinations WHERE server = ?", (server,))
