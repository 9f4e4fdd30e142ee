"""Unread counts of a room: what push rules notified the user of and no receipt has passed."""

from collections.abc import Iterable

from tabstead.protocol.canonical_json import JsonDict
from tabstead.storage.database import Db
from tabstead.storage.push_actions import MAIN, UnreadCount, has_push_actions, select_unread_counts
from tabstead.storage.receipts import Receipt
from tabstead.sync.view import SyncView


def has_unread_changes(db: Db, view: SyncView, room_nid: int, receipts: Iterable[Receipt]) -> bool:
    """Whether the counts may have changed: something notifies, or a mark of the user's moved."""
    if any(receipt.user_id == view.user_id for receipt in receipts):
        return True
    return has_push_actions(db, view.user_id, room_nid, after=view.after, up_to=view.up_to)


def build_unread(db: Db, view: SyncView, room_nid: int) -> JsonDict:
    """`unread_notifications`, and `unread_thread_notifications` for clients that count threads alone."""
    counts = select_unread_counts(db, view.user_id, room_nid)
    if not view.filter.timeline.unread_thread_notifications:
        return {"unread_notifications": _counts(counts.values())}
    threads = {thread_id: _counts([count]) for thread_id, count in counts.items() if thread_id != MAIN}
    unread: JsonDict = {"unread_notifications": _counts([counts[MAIN]] if MAIN in counts else [])}
    return {**unread, "unread_thread_notifications": threads} if threads else unread


def _counts(counts: Iterable[UnreadCount]) -> JsonDict:
    found = list(counts)
    return {
        "notification_count": sum(count.notifications for count in found),
        "highlight_count": sum(count.highlights for count in found),
    }
