"""The list of what a user was notified of, over all rooms, the newest first."""

from dataclasses import dataclass

from tabstead.protocol.canonical_json import JsonDict
from tabstead.rooms.client_events import Reader, client_events
from tabstead.storage.database import Db
from tabstead.storage.events import find_event_at
from tabstead.storage.push_actions import Notification, select_notifications


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationPage:
    notifications: list[JsonDict]
    next_position: int | None
    """Where the next page goes on; None at the end."""


def list_notifications(
    db: Db, reader: Reader, *, before: int | None, limit: int, only_highlights: bool, now_ms: int
) -> NotificationPage:
    """A page of notifications of events before the position."""
    found = select_notifications(db, reader.user_id, before=before, limit=limit + 1, only_highlights=only_highlights)
    page = found[:limit]
    shown = [_build(db, reader, notification, now_ms) for notification in page]
    return NotificationPage(
        notifications=[notification for notification in shown if notification is not None],
        next_position=page[-1].event_position if len(found) > limit else None,
    )


def _build(db: Db, reader: Reader, notification: Notification, now_ms: int) -> JsonDict | None:
    event = find_event_at(db, notification.room_nid, notification.event_position)
    if event is None:
        return None
    (shown,) = client_events(db, [event], reader=reader, now_ms=now_ms, with_room_id=False)
    return {
        "room_id": event.event.room_id,
        "event": shown,
        "actions": notification.actions,
        "read": notification.read,
        "ts": event.event.origin_server_ts,
    }
