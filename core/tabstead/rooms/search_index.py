"""Keeping the index of words in step with the events.

A follower of the stream that comes after, some events at a time: to index each event alone would write more than the
event itself does. What is not indexed yet when somebody searches, is indexed then (`index_next`). What is redacted
leaves the index in the transaction of its redaction. Edits are indexed as events of their own; which text of a message
counts, its own or an edit's, is for the search to say.
"""

from typing import Final

from tabstead.protocol.events import Event
from tabstead.protocol.words import split_words
from tabstead.rooms.summary import plain_topics
from tabstead.storage.database import Db
from tabstead.storage.event_words import (
    TextKind,
    delete_words,
    insert_words,
    select_indexed_position,
    select_unindexed,
    update_indexed_position,
)
from tabstead.storage.events import PersistedEvent, Standing, select_events

_EVERY: Final = 64
"""One event in so many brings the index up to date."""

_SLICE: Final = 256
"""Events that are indexed in one transaction."""


def follow_for_search(db: Db, event: PersistedEvent) -> None:
    """Index what has come lately, now and then."""
    if event.event_nid % _EVERY == 0:
        index_next(db)


def is_index_behind(db: Db) -> bool:
    """Whether there are events that are not indexed yet."""
    return bool(select_unindexed(db, 1))


def index_next(db: Db) -> bool:
    """Index the next events; whether there may be more."""
    unindexed = select_unindexed(db, _SLICE)
    if not unindexed:
        return False
    for event in select_events(db, (event_nid for event_nid, _ in unindexed)).values():
        kind, text = searched_text(event.event)
        if text:
            insert_words(db, event.event_nid, event.room_nid, kind, split_words(text))
    update_indexed_position(db, unindexed[-1][1])
    return len(unindexed) == _SLICE


def index_history(db: Db, event: PersistedEvent) -> None:
    """Index an event that came late, at a position among those that are indexed already."""
    kind, text = searched_text(event.event)
    if text and event.position <= select_indexed_position(db):
        insert_words(db, event.event_nid, event.room_nid, kind, split_words(text))


def forget_words(db: Db, event: PersistedEvent) -> None:
    """Take an event that is about to be redacted out of the index, if it is in there."""
    if event.standing is not Standing.ACCEPTED or event.stream_position is None:
        return
    kind, text = searched_text(event.event)
    if text and event.stream_position <= select_indexed_position(db):
        delete_words(db, event.event_nid, event.room_nid, kind, split_words(text))


def searched_text(event: Event) -> tuple[TextKind, str]:
    """What of an event can be searched for; an empty text for nothing. Of an edit it is the new text.

    "`content.body` in `m.room.message`; `content.name` in `m.room.name`; in `m.room.topic`, `content.topic` as well as
    the `body` of the `text/plain` representation".
    """
    content = event.content
    if event.type == "m.room.message":
        replaced = content.get("m.new_content") if is_edit(event) else None
        return TextKind.BODY, _text((replaced if isinstance(replaced, dict) else content).get("body"))
    if event.type == "m.room.name" and event.is_state:
        return TextKind.NAME, _text(content.get("name"))
    if event.type == "m.room.topic" and event.is_state:
        return TextKind.TOPIC, "\n".join(plain_topics(content))
    return TextKind.BODY, ""


def is_edit(event: Event) -> bool:
    """Whether the event says of itself that it replaces another one."""
    relation = event.content.get("m.relates_to")
    return isinstance(relation, dict) and relation.get("rel_type") == "m.replace"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
