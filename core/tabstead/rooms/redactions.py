"""Redactions: who may redact what, and taking a redacted event's content away.

A redaction is an event like others; since room version 3 the rules let anyone send one who may send the type, and each
server decides whether to apply it. (Server-Server API, § Handling Redactions)
"""

from tabstead.errors import BadRequest, Forbidden
from tabstead.protocol.auth_rules import RoomState
from tabstead.protocol.auth_rules.room_state import CREATE, POWER_LEVELS
from tabstead.protocol.events import redact_event
from tabstead.protocol.identifiers import find_server_name_of
from tabstead.rooms.search_index import forget_words
from tabstead.storage.database import Db
from tabstead.storage.events import (
    PersistedEvent,
    find_event,
    get_event,
    insert_pending_redaction,
    select_events,
    take_pending_redactions,
    update_redacted,
)
from tabstead.storage.relations import delete_relation
from tabstead.storage.rooms import Room
from tabstead.storage.state_history import find_state_events


def check_may_redact(db: Db, room: Room, sender: str, redacts: str | None) -> None:
    """Whether a local user may redact the event: their own, or anyone's with the `redact` power level.

    An event that isn't here may be redacted by those with the power level alone. Raises Forbidden, or BadRequest for an
    event of another room.
    """
    target = None if redacts is None else find_event(db, redacts)
    if target is not None and target.room_nid != room.room_nid:
        raise BadRequest("An event of another room cannot be redacted from here.")
    if target is not None and target.event.sender == sender:
        return
    if not _has_redact_level(db, room, room.state_snapshot, sender):
        raise Forbidden("The redaction of another user's event needs the power level to redact.")


def apply_redaction(db: Db, room: Room, redaction: PersistedEvent) -> None:
    """Redact what an accepted redaction redacts, now or when it comes."""
    redacts = redaction.event.redacts
    if redacts is None:
        return
    target = find_event(db, redacts)
    if target is None:
        insert_pending_redaction(db, redacts, redaction.event_nid)
    else:
        _redact(db, room, target, redaction)


def apply_pending_redactions(db: Db, room: Room, event: PersistedEvent) -> None:
    """Redact an event whose redaction came before it."""
    for redaction_nid in take_pending_redactions(db, event.event_id):
        _redact(db, room, event, get_event(db, redaction_nid))


def _redact(db: Db, room: Room, target: PersistedEvent, redaction: PersistedEvent) -> None:
    if target.room_nid != room.room_nid or target.redacted_by is not None:
        return
    # "The power level of the redaction event's sender is greater than or equal to the redact level", or "the domain of
    # the redaction event's sender matches that of the original event's sender."
    same_server = find_server_name_of(redaction.event.sender) == find_server_name_of(target.event.sender)
    if same_server or _has_redact_level(db, room, redaction.state_before, redaction.event.sender):
        forget_words(db, target)
        update_redacted(db, target.event_nid, redact_event(target.event.pdu, room.version), redaction.event_nid)
        delete_relation(db, target.event_nid)


def _has_redact_level(db: Db, room: Room, snapshot: int, sender: str) -> bool:
    found = find_state_events(db, snapshot, (CREATE, POWER_LEVELS))
    events = select_events(db, found.values())
    state = {state_tuple: events[event_nid].event for state_tuple, event_nid in found.items()}
    levels = RoomState(state, room.version).power_levels
    return levels.user_power_level(sender) >= levels.redact
