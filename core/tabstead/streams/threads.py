"""Which thread an event belongs to. Client-Server API, § Threading, § Threaded read receipts."""

from typing import Final

from tabstead.protocol.events import Event
from tabstead.storage.database import Db
from tabstead.storage.push_actions import MAIN
from tabstead.storage.relations import find_relation

_MAX_HOPS: Final = 3
"""So far an event is followed to what it relates to, in search of a thread."""


def thread_of(db: Db, event: Event) -> str:
    """The event id of the thread's root, or "main"."""
    thread_id, _ = _follow(db, event)
    return thread_id


def is_in_thread(db: Db, event: Event, thread_id: str) -> bool:
    """Whether a receipt for the event may name the thread: its own, or the one whose root it is or relates to."""
    own, topmost = _follow(db, event)
    return thread_id in (own, topmost)


def _follow(db: Db, event: Event) -> tuple[str, str]:
    """The thread of the event, and the topmost event that it relates to."""
    topmost: str = event.event_id
    for _ in range(_MAX_HOPS):
        relation = find_relation(db, topmost)
        if relation is None:
            break
        topmost, relation_type = relation
        if relation_type == "m.thread":
            return topmost, topmost
    return MAIN, topmost
