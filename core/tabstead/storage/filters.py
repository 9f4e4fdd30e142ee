"""Filters that clients uploaded. An equal definition of a user gets the same id again."""

import json
from typing import Any

from tabstead.storage.database import Db


def insert_filter(db: Db, user_id: str, definition: dict[str, Any]) -> str:
    """Keep a filter; the id that clients name it by."""
    text = json.dumps(definition, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    row = db.execute("SELECT filter_id FROM filters WHERE user_id = ? AND definition = ?", (user_id, text)).fetchone()
    if row is None:
        row = db.execute(
            "INSERT INTO filters (user_id, filter_id, definition)"
            " SELECT ?1, COALESCE(MAX(filter_id) + 1, 0), ?2 FROM filters WHERE user_id = ?1 RETURNING filter_id",
            (user_id, text),
        ).fetchone()
    return str(row[0])


def find_filter(db: Db, user_id: str, filter_id: str) -> dict[str, Any] | None:
    """A filter's definition, or None."""
    if not (filter_id.isascii() and filter_id.isdigit() and len(filter_id) < 16):
        return None
    row = db.execute(
        "SELECT definition FROM filters WHERE user_id = ? AND filter_id = ?", (user_id, int(filter_id))
    ).fetchone()
    return None if row is None else json.loads(row[0])
