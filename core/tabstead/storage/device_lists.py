"""Whose devices or cross-signing keys changed, and when last."""

from tabstead.storage.database import Db
from tabstead.storage.positions import next_position


def insert_device_list_change(db: Db, user_id: str) -> None:
    """The user's devices, names or keys of them, or cross-signing keys changed: news for all who share rooms."""
    db.execute(
        "INSERT INTO device_list_changes (user_id, stream_position) VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET stream_position = excluded.stream_position",
        (user_id, next_position(db)),
    )


def select_device_list_changes(db: Db, *, after: int) -> set[str]:
    """The users whose last change came after the position."""
    rows = db.execute("SELECT user_id FROM device_list_changes WHERE stream_position > ?", (after,))
    return {user_id for (user_id,) in rows}
