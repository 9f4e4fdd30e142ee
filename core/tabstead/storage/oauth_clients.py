"""Clients of the OAuth 2.0 API, by an id that follows from their metadata."""

import json
from typing import Any

from tabstead.storage.database import Db


def find_oauth_client(db: Db, client_id: str) -> dict[str, Any] | None:
    """The client's metadata."""
    row = db.execute("SELECT metadata FROM oauth_clients WHERE client_id = ?", (client_id,)).fetchone()
    metadata: dict[str, Any] | None = None if row is None else json.loads(row[0])
    return metadata


def insert_oauth_client(db: Db, client_id: str, metadata: dict[str, Any], now_ms: int) -> None:
    """Keep a client; one that is known stays as it is."""
    db.execute(
        "INSERT OR IGNORE INTO oauth_clients (client_id, metadata, registered_ts) VALUES (?, ?, ?)",
        (client_id, json.dumps(metadata), now_ms),
    )
