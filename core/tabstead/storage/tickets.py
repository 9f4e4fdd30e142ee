"""Secrets that stand for a stored value for a while, by their hashes; one that is too old is as good as deleted."""

import json
from typing import Any

from tabstead.storage.database import Db


def find_ticket(db: Db, ticket_hash: bytes, now_ms: int) -> dict[str, Any] | None:
    """The value that the ticket stands for."""
    row = db.execute(
        "SELECT value FROM tickets WHERE ticket_hash = ? AND expires_ts > ?", (ticket_hash, now_ms)
    ).fetchone()
    value: dict[str, Any] | None = None if row is None else json.loads(row[0])
    return value


def insert_ticket(
    db: Db, ticket_hash: bytes, value: dict[str, Any], *, user_id: str | None, expires_ts: int, now_ms: int
) -> None:
    """Keep a ticket, and forget those that are too old."""
    db.execute("DELETE FROM tickets WHERE expires_ts <= ?", (now_ms,))
    db.execute(
        "INSERT INTO tickets (ticket_hash, user_id, value, expires_ts) VALUES (?, ?, ?, ?)",
        (ticket_hash, user_id, json.dumps(value), expires_ts),
    )


def update_ticket(db: Db, ticket_hash: bytes, value: dict[str, Any], *, user_id: str | None) -> None:
    db.execute(
        "UPDATE tickets SET value = ?, user_id = ? WHERE ticket_hash = ?", (json.dumps(value), user_id, ticket_hash)
    )


def delete_ticket(db: Db, ticket_hash: bytes) -> None:
    db.execute("DELETE FROM tickets WHERE ticket_hash = ?", (ticket_hash,))


def delete_tickets_of(db: Db, user_id: str) -> None:
    db.execute("DELETE FROM tickets WHERE user_id = ?", (user_id,))
