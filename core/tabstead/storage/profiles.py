"""Profile fields by name: `displayname`, `avatar_url`, `m.tz` and whatever else a user has set."""

import json
from typing import Any

from tabstead.storage.database import Db


def select_profile_fields(db: Db, user_id: str) -> dict[str, Any]:
    """All of a user's fields."""
    rows = db.execute("SELECT name, value FROM profile_fields WHERE user_id = ? ORDER BY name", (user_id,))
    return {name: json.loads(value) for name, value in rows}


def select_profile_field(db: Db, user_id: str, name: str) -> list[Any]:
    """The field's value, or nothing; a value may be null."""
    rows = db.execute("SELECT value FROM profile_fields WHERE user_id = ? AND name = ?", (user_id, name))
    return [json.loads(value) for (value,) in rows]


def insert_profile_field(db: Db, user_id: str, name: str, value: Any) -> None:
    """Set a field, in place of its value before."""
    db.execute(
        "INSERT OR REPLACE INTO profile_fields (user_id, name, value) VALUES (?, ?, ?)",
        (user_id, name, json.dumps(value)),
    )


def delete_profile_field(db: Db, user_id: str, name: str) -> bool:
    """Whether there was such a field."""
    return db.execute("DELETE FROM profile_fields WHERE user_id = ? AND name = ?", (user_id, name)).rowcount > 0


def delete_profile(db: Db, user_id: str) -> None:
    """All of a user's fields."""
    db.execute("DELETE FROM profile_fields WHERE user_id = ?", (user_id,))
