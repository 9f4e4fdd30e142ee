"""Bundled aggregations: what an event is told of the events that relate to it.

References are listed, of replacements the newest valid one is given whole, of a thread the newest event, the number of
its events and whether the reader took part. Redacted events relate to nothing; a redacted event and a state event have
no replacements; a replacement is by the same sender, of the same type, and itself no state event.
(Client-Server API, § Aggregations of child events, § Validity of replacement events)
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from tabstead.protocol.canonical_json import JsonDict
from tabstead.rooms.ignored_users import select_ignored_users
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, select_events
from tabstead.storage.relations import select_relations_to

REFERENCE: Final = "m.reference"
REPLACE: Final = "m.replace"
THREAD: Final = "m.thread"

BUNDLED: Final = (REFERENCE, REPLACE, THREAD)
_BUNDLED_IN_THREADS: Final = (REFERENCE, REPLACE)
"""Threads have no threads: nothing is nested any deeper."""


class Show(Protocol):
    """Gives events in the client format, with what is bundled of these relation types."""

    def __call__(self, events: Sequence[PersistedEvent], *, bundled: Sequence[str]) -> list[JsonDict]: ...


def select_aggregations(
    db: Db,
    events: Sequence[PersistedEvent],
    relation_types: Sequence[str],
    *,
    reader_id: str,
    may_see: Callable[[PersistedEvent], bool],
    show: Show,
) -> dict[int, JsonDict]:
    """The `m.relations` of those of the events that something relates to in one of these ways, by event_nid.

    What the reader may not see is left out, and what users wrote whom they ignore.
    """
    by_id: dict[str, PersistedEvent] = {event.event_id: event for event in events}
    if not by_id or not relation_types:
        return {}
    rows = select_relations_to(db, by_id, relation_types)
    if not rows:
        return {}
    ignored = select_ignored_users(db, reader_id)
    related = select_events(db, (event_nid for _, _, event_nid in rows))
    children: dict[str, dict[str, list[PersistedEvent]]] = {}
    for event_id, relation_type, event_nid in rows:
        child = related[event_nid]
        is_of_room = child.room_nid == by_id[event_id].room_nid
        if is_of_room and child.event.sender not in ignored and may_see(child):
            children.setdefault(event_id, {}).setdefault(relation_type, []).append(child)
    found = {
        by_id[event_id].event_nid: _aggregate(by_id[event_id], by_type, reader_id, show)
        for event_id, by_type in children.items()
    }
    return {event_nid: relations for event_nid, relations in found.items() if relations}


def find_newest_replacement(
    db: Db, original: PersistedEvent, may_see: Callable[[PersistedEvent], bool]
) -> PersistedEvent | None:
    """The event whose new content counts as the original's, of those that may be seen."""
    rows = select_relations_to(db, [original.event_id], [REPLACE])
    candidates = select_events(db, (event_nid for _, _, event_nid in rows)).values() if rows else ()
    return _newest_replacement(original, (candidate for candidate in candidates if may_see(candidate)))


def is_valid_replacement(original: PersistedEvent, replacement: PersistedEvent) -> bool:
    """Whether an event may replace another one of its room."""
    return (
        replacement.room_nid == original.room_nid
        and replacement.event.sender == original.event.sender
        and replacement.event.type == original.event.type
        and not replacement.event.is_state
        and not original.event.is_state
        and original.redacted_by is None
        and not _is_replacement(original)
        # What is encrypted has its new content where the server can't see it.
        and ("m.new_content" in replacement.event.content or replacement.event.type == "m.room.encrypted")
    )


def _is_replacement(event: PersistedEvent) -> bool:
    relation = event.event.content.get("m.relates_to")
    return isinstance(relation, dict) and relation.get("rel_type") == REPLACE


def _newest_replacement(original: PersistedEvent, candidates: Iterable[PersistedEvent]) -> PersistedEvent | None:
    """§ Applying `m.new_content`: by `origin_server_ts`, then by the lexicographically largest event ID."""
    valid = (candidate for candidate in candidates if is_valid_replacement(original, candidate))
    return max(valid, key=lambda event: (event.event.origin_server_ts, event.event_id), default=None)


def _aggregate(
    event: PersistedEvent, children: dict[str, list[PersistedEvent]], reader_id: str, show: Show
) -> JsonDict:
    relations: JsonDict = {}
    if references := children.get(REFERENCE):
        relations[REFERENCE] = {"chunk": [{"event_id": child.event_id} for child in references]}
    if replacement := _newest_replacement(event, children.get(REPLACE, ())):
        relations[REPLACE] = show([replacement], bundled=())[0]
    if thread := children.get(THREAD):
        relations[THREAD] = {
            "latest_event": show([thread[-1]], bundled=_BUNDLED_IN_THREADS)[0],
            "count": len(thread),
            "current_user_participated": event.event.sender == reader_id
            or any(child.event.sender == reader_id for child in thread),
        }
    return relations
