"""How far users have read: receipts, and the fully-read marker. Client-Server API, § Receipts, § Read markers."""

from tabstead.errors import InvalidParam, NotFound
from tabstead.storage.account_data import find_account_data, update_account_data
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, find_event
from tabstead.storage.push_actions import MAIN, delete_old_push_actions
from tabstead.storage.pushers import queue_unread_count
from tabstead.storage.receipts import UNTHREADED, Receipt, update_receipt
from tabstead.storage.rooms import Room
from tabstead.streams.threads import is_in_thread

FULLY_READ = "m.fully_read"
RECEIPT_TYPES = ("m.read", "m.read.private")


def mark_read(
    db: Db, room: Room, user_id: str, event_id: str, *, receipt_type: str, thread_id: str | None, now_ms: int
) -> None:
    """The user has read the room, or one thread of it, up to the event.

    Raises NotFound for an event that is not in the room's timeline, InvalidParam for one outside of the thread.
    """
    event = _get_timeline_event(db, room, event_id)
    if thread_id is not None and not is_in_thread(db, event.event, thread_id):
        raise InvalidParam("The event does not belong to this thread.")
    receipt = Receipt(
        room_nid=room.room_nid,
        user_id=user_id,
        receipt_type=receipt_type,
        thread_id=UNTHREADED if thread_id is None else thread_id,
        event_id=event_id,
        event_position=event.position,
        ts=now_ms,
    )
    if not update_receipt(db, receipt):
        return
    queue_unread_count(db, user_id)
    if receipt.thread_id in (UNTHREADED, MAIN):
        delete_old_push_actions(db, user_id, room.room_nid, receipt.thread_id, event.position)


def take_receipt(db: Db, room: Room, user_id: str, event_id: str, *, thread_id: str | None, ts: int) -> None:
    """Another server's user has read the room, or one thread of it, up to the event. Raises as `mark_read` does."""
    event = _get_timeline_event(db, room, event_id)
    if thread_id is not None and not is_in_thread(db, event.event, thread_id):
        raise InvalidParam("The event does not belong to this thread.")
    receipt = Receipt(
        room_nid=room.room_nid,
        user_id=user_id,
        receipt_type="m.read",
        thread_id=UNTHREADED if thread_id is None else thread_id,
        event_id=event_id,
        event_position=event.position,
        ts=ts,
    )
    update_receipt(db, receipt)


def mark_fully_read(db: Db, room: Room, user_id: str, event_id: str) -> None:
    """Move the user's fully-read marker forward to the event. Raises NotFound."""
    event = _get_timeline_event(db, room, event_id)
    marked = (find_account_data(db, user_id, FULLY_READ, room.room_id) or {}).get("event_id")
    before = find_event(db, marked) if isinstance(marked, str) else None
    if before is None or before.stream_position is None or before.stream_position < event.position:
        update_account_data(db, user_id, FULLY_READ, {"event_id": event_id}, room.room_id)


def _get_timeline_event(db: Db, room: Room, event_id: str) -> PersistedEvent:
    event = find_event(db, event_id)
    if event is None or event.room_nid != room.room_nid or event.stream_position is None:
        raise NotFound("This event is not known in this room.")
    return event
