"""What passes in rooms without being an event: receipts, and who is typing.

A client replaces what it knows of a mark, and of a room's typing users, by what it is told. After a restart nobody
types; the clients that still show somebody are told so, by what their tokens say (`tabstead.streams.tokens`).
"""

from collections.abc import Iterable

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.filters import EventFilter
from tabstead.storage.database import Db
from tabstead.storage.memberships import is_joined
from tabstead.storage.receipts import UNTHREADED, Receipt, select_receipt_changes, select_receipts
from tabstead.storage.rooms import find_room, get_room
from tabstead.sync.view import SyncView

_RECEIPT = "m.receipt"
_TYPING = "m.typing"


def initial_receipts(db: Db, view: SyncView, room_nid: int) -> list[Receipt]:
    """All marks of a room."""
    return select_receipts(db, room_nid, view.user_id)


def receipt_changes(db: Db, view: SyncView) -> dict[int, list[Receipt]]:
    """The marks that moved, by room_nid."""
    by_room: dict[int, list[Receipt]] = {}
    for receipt in select_receipt_changes(db, view.user_id, after=view.after, up_to=view.up_to):
        by_room.setdefault(receipt.room_nid, []).append(receipt)
    return by_room


def typing_changes(db: Db, view: SyncView) -> dict[int, list[str]]:
    """Who is typing, by room_nid, in the user's rooms where that changed; at first, where somebody is."""
    typing = view.typing_users
    if view.since is None:
        room_ids = typing.active_rooms()
    else:
        room_ids = typing.rooms_changed_since(view.since.ephemeral)
        if view.since.ephemeral < typing.born:
            room_ids += [
                get_room(db, room_nid).room_id
                for room_nid in view.since.typing_rooms
                if is_joined(db, view.user_id, room_nid)
            ]
    rooms = [room for room in (find_room(db, room_id) for room_id in room_ids) if room is not None]
    return {room.room_nid: typing.users(room.room_id) for room in rooms if is_joined(db, view.user_id, room.room_nid)}


def typing_rooms(view: SyncView, told: dict[int, list[str]]) -> frozenset[int]:
    """The rooms in which the client shows somebody typing, once it has this answer."""
    before = frozenset[int]() if view.since is None else view.since.typing_rooms
    return before.difference(told) | {room_nid for room_nid, user_ids in told.items() if user_ids}


def build_ephemeral(
    room_id: str, receipts: Iterable[Receipt], typing: list[str] | None, ephemeral_filter: EventFilter
) -> list[JsonDict]:
    """The ephemeral events of a room; `typing` is None where there is nothing new of it."""
    if not ephemeral_filter.allows_room(room_id):
        return []
    events = []
    if ephemeral_filter.allows_type(_RECEIPT):
        marks = [receipt for receipt in receipts if ephemeral_filter.allows_sender(receipt.user_id)]
        events += [{"type": _RECEIPT, "content": content} for content in _build_receipts(marks)]
    if typing is not None and ephemeral_filter.allows_type(_TYPING):
        user_ids = [user_id for user_id in typing if ephemeral_filter.allows_sender(user_id)]
        events.append({"type": _TYPING, "content": {"user_ids": user_ids}})
    return events


def _build_receipts(receipts: Iterable[Receipt]) -> list[JsonDict]:
    """The contents of as few m.receipt events as can hold them: in one, a user marks an event once with a type."""
    contents: list[JsonDict] = []
    for receipt in receipts:
        mark: JsonDict = {"ts": receipt.ts}
        if receipt.thread_id != UNTHREADED:
            mark["thread_id"] = receipt.thread_id
        _place(contents, receipt, mark)
    return contents


def _place(contents: list[JsonDict], receipt: Receipt, mark: JsonDict) -> None:
    for content in contents:
        marks = content.setdefault(receipt.event_id, {}).setdefault(receipt.receipt_type, {})
        if receipt.user_id not in marks:
            marks[receipt.user_id] = mark
            return
    contents.append({receipt.event_id: {receipt.receipt_type: {receipt.user_id: mark}}})
