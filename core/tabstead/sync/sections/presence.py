"""The presence of those who share a room with the user, and the user's own.

That somebody turned idle or went away is written nowhere; it is told to those who come back after it happened.
"""

from collections.abc import Iterable

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.filters import EventFilter
from tabstead.storage.database import Db
from tabstead.storage.presence import (
    StoredPresence,
    find_presence,
    select_presence_changes,
    select_shared_presence,
)
from tabstead.streams.presence import GONE_MS, IDLE_MS, presence_at
from tabstead.sync.view import SyncView


def initial(db: Db, view: SyncView) -> list[JsonDict]:
    """Everyone who isn't offline."""
    events = _build(view, select_shared_presence(db, view.user_id))
    return [event for event in events if event["content"]["presence"] != "offline"]


def changes(db: Db, view: SyncView, met: Iterable[str]) -> list[JsonDict]:
    """Who changed, or faded, and those who are met anew."""
    assert view.since is not None, "without a token everything is initial"
    found: dict[str, StoredPresence] = {}
    for lapse in (IDLE_MS, GONE_MS):
        changed = select_presence_changes(
            db,
            view.user_id,
            after=view.after,
            up_to=view.up_to,
            active_after=view.since.ephemeral - lapse,
            active_up_to=view.serial - lapse,
        )
        found.update((presence.user_id, presence) for presence in changed)
    for user_id in met:
        presence = find_presence(db, user_id)
        if presence is not None:
            found[user_id] = presence
    return _build(view, found.values())


def _build(view: SyncView, presences: Iterable[StoredPresence]) -> list[JsonDict]:
    event_filter: EventFilter = view.filter.presence
    events = []
    for presence in presences:
        content = presence_at(presence, view.now_ms).content()
        if event_filter.allows("m.presence", presence.user_id, content):
            events.append({"type": "m.presence", "sender": presence.user_id, "content": content})
    return events
