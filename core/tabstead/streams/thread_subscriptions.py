"""Subscribing to threads, so as to be notified of what is said in them (MSC4306).

A client that subscribes by itself names the event that gave it cause. If the user gave the thread up after that event,
it stays given up.
"""

from tabstead.errors import BadRequest, Conflict, NotFound
from tabstead.protocol.canonical_json import JsonDict
from tabstead.storage.database import Db
from tabstead.storage.events import find_event
from tabstead.storage.rooms import Room, get_room
from tabstead.storage.thread_subscriptions import (
    ThreadSubscription,
    find_subscription,
    select_subscription_changes,
    update_subscription,
)
from tabstead.streams.threads import thread_of


def subscribe(db: Db, user_id: str, room: Room, thread_id: str, cause: str | None) -> None:
    """Subscribe a user to a thread; by itself when a client names the event that is the `cause`.

    Raises BadRequest for a cause outside of the thread, Conflict when the user gave the thread up since.
    """
    known = find_subscription(db, user_id, room.room_nid, thread_id)
    if cause is not None:
        position = _get_position_in_thread(db, room, thread_id, cause)
        if known is not None and known.is_subscribed:
            return
        if known is not None and known.stream_position >= position:
            raise Conflict(
                "The thread was unsubscribed from after this event.",
                errcode="IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION",
            )
    elif known is not None and known.is_subscribed and not known.is_automatic:
        return
    update_subscription(db, user_id, room.room_nid, thread_id, is_subscribed=True, is_automatic=cause is not None)


def unsubscribe(db: Db, user_id: str, room: Room, thread_id: str) -> None:
    """Give a thread up, once."""
    known = find_subscription(db, user_id, room.room_nid, thread_id)
    if known is not None and known.is_subscribed:
        update_subscription(db, user_id, room.room_nid, thread_id, is_subscribed=False, is_automatic=False)


def get_subscription(db: Db, user_id: str, room: Room, thread_id: str) -> ThreadSubscription:
    """Raises NotFound for a thread that the user isn't subscribed to."""
    known = find_subscription(db, user_id, room.room_nid, thread_id)
    if known is None or not known.is_subscribed:
        raise NotFound("You are not subscribed to this thread.")
    return known


def build_subscription_changes(
    db: Db, user_id: str, *, after: int, up_to: int, limit: int
) -> tuple[JsonDict, int | None]:
    """What changed, the latest of it, as clients see it; and the position up to which there is more, if there is."""
    found = select_subscription_changes(db, user_id, after=after, up_to=up_to, limit=limit + 1)
    body: JsonDict = {}
    for change in found[:limit]:
        kind = "subscribed" if change.is_subscribed else "unsubscribed"
        described: JsonDict = {"bump_stamp": change.stream_position}
        if change.is_subscribed:
            described["automatic"] = change.is_automatic
        room_id = get_room(db, change.room_nid).room_id
        body.setdefault(kind, {}).setdefault(room_id, {})[change.thread_id] = described
    return body, found[limit].stream_position if len(found) > limit else None


def _get_position_in_thread(db: Db, room: Room, thread_id: str, event_id: str) -> int:
    event = find_event(db, event_id)
    is_here = event is not None and event.room_nid == room.room_nid and event.stream_position is not None
    if event is None or not is_here or thread_of(db, event.event) != thread_id:
        raise BadRequest("The event is not in this thread.", errcode="IO.ELEMENT.MSC4306.M_NOT_IN_THREAD")
    return event.position
