"""Previews of addresses, as they were found when somebody asked last. Their images are media of nobody's."""

import json
from dataclasses import dataclass
from typing import Any

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPreview:
    fetched_ts: int
    preview: dict[str, Any] | None
    """None: there was nothing to be had."""


def find_preview(db: Db, url: str) -> StoredPreview | None:
    row = db.execute("SELECT fetched_ts, preview FROM url_previews WHERE url = ?", (url,)).fetchone()
    if row is None:
        return None
    return StoredPreview(fetched_ts=row[0], preview=None if row[1] is None else json.loads(row[1]))


def insert_preview(db: Db, url: str, preview: dict[str, Any] | None, now_ms: int) -> None:
    """Keep what was found, in place of what was found before. An image of before stays: clients still show it."""
    db.execute(
        "INSERT OR REPLACE INTO url_previews (url, fetched_ts, preview) VALUES (?, ?, ?)",
        (url, now_ms, None if preview is None else json.dumps(preview)),
    )


def delete_old_previews(db: Db, *, fetched_before_ts: int, limit: int) -> None:
    """Forget at most so many previews that nobody has asked for since."""
    db.execute(
        "DELETE FROM url_previews WHERE url IN (SELECT url FROM url_previews WHERE fetched_ts < ? LIMIT ?)",
        (fetched_before_ts, limit),
    )
