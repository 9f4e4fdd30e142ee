"""Sticky events: for a time their sender asks for, clients learn of them whatever a timeline leaves out (MSC4354)."""

from collections.abc import Callable
from typing import Final

from tabstead.errors import InvalidParam
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent
from tabstead.storage.sticky_events import StickyEvent, insert_sticky_event

STICKY: Final = "msc4354_sticky"
"""The event's key that says how long; and that of the section of /sync."""

TTL: Final = "msc4354_sticky_duration_ttl_ms"
"""Among an event's `unsigned`: how long it will still be sticky."""

MAX_STICKY_MS: Final = 60 * 60 * 1000


def check_sticky_ms(duration_ms: int) -> int:
    """Raises InvalidParam for a duration that no event may have."""
    if not 0 <= duration_ms <= MAX_STICKY_MS:
        raise InvalidParam(f"An event may be sticky for {MAX_STICKY_MS} ms at most.")
    return duration_ms


def find_sticky_ms(event: Event) -> int | None:
    """How long an event wants to be sticky, as far as it may; None if it doesn't."""
    sticky = event.pdu.get(STICKY)
    duration = sticky.get("duration_ms") if isinstance(sticky, dict) else None
    if not isinstance(duration, int) or isinstance(duration, bool) or duration < 0:
        return None
    return min(duration, MAX_STICKY_MS)


def record_sticky_event(db: Db, persisted: PersistedEvent, *, now_ms: Callable[[], int]) -> None:
    """Follow the stream: note an event that is sticky."""
    duration = find_sticky_ms(persisted.event)
    if duration is None:
        return
    now = now_ms()
    expires_ts = min(now, persisted.event.origin_server_ts) + duration
    if expires_ts > now:
        sticky = StickyEvent(room_nid=persisted.room_nid, stream_position=persisted.position, expires_ts=expires_ts)
        insert_sticky_event(db, sticky, now)


def add_ttl(shown: JsonDict, event: Event, now_ms: int) -> JsonDict:
    """An event as a client sees it, with how long it will still be sticky."""
    duration = find_sticky_ms(event)
    left = 0 if duration is None else event.origin_server_ts + duration - now_ms
    return {**shown, "unsigned": {**shown.get("unsigned", {}), TTL: left}} if left > 0 else shown
