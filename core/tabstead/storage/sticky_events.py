"""Which events are sticky, and until when. Those whose time is up go when the next one comes."""

from dataclasses import dataclass

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class StickyEvent:
    room_nid: int
    stream_position: int
    expires_ts: int


def insert_sticky_event(db: Db, sticky: StickyEvent, now_ms: int) -> None:
    db.execute("DELETE FROM sticky_events WHERE expires_ts <= ?", (now_ms,))
    db.execute(
        "INSERT OR REPLACE INTO sticky_events (stream_position, room_nid, expires_ts) VALUES (?, ?, ?)",
        (sticky.stream_position, sticky.room_nid, sticky.expires_ts),
    )


def select_sticky_events(db: Db, now_ms: int, *, up_to: int) -> list[StickyEvent]:
    """The server's sticky events that came not after the position, in their order."""
    rows = db.execute(
        "SELECT room_nid, stream_position, expires_ts FROM sticky_events INDEXED BY sticky_events_by_expiry"
        " WHERE expires_ts > ? AND stream_position <= ?",
        (now_ms, up_to),
    )
    found = [
        StickyEvent(room_nid=room, stream_position=position, expires_ts=expires) for room, position, expires in rows
    ]
    return sorted(found, key=lambda sticky: sticky.stream_position)
