"""The source's events, each with its place: one room after the other, what is referred to before what refers to it.

Dendrite's event NIDs say in which order events came, and history that was fetched later has higher ones than what it
came before. So a room's events are taken in the order of their depth, which is that of Dendrite's own /messages, and
where a depth was not honest, what an event refers to is taken first. An event's auth events and the state before it
must be stored, too: where those come later in that order, they are stored without a place at first.

What Dendrite decided about an event is kept. It is not judged again: the room's other servers have seen this server
build on it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from tabstead.errors import ImportRefused
from tabstead.native.dendrite_import.states import StateImport, UntakenEvents
from tabstead.protocol.events import Event, event_id_of, load_event, redact_event
from tabstead.protocol.identifiers import EventID
from tabstead.protocol.room_versions import RoomVersion
from tabstead.rooms.persist import relation_of
from tabstead.storage.auth_chains import insert_auth_chain
from tabstead.storage.current_state import insert_change
from tabstead.storage.database import Db
from tabstead.storage.dendrite_import.progress import (
    EventNumber,
    insert_event_number,
    is_history,
    select_event_numbers,
    select_room_numbers,
)
from tabstead.storage.dendrite_import.source import EventKey, RoomserverSource, SourceEvent, SourceReference
from tabstead.storage.events import (
    PersistedEvent,
    Standing,
    find_event,
    get_event,
    insert_event,
    insert_pending_redaction,
    take_pending_redactions,
    update_placed,
    update_redacted,
)
from tabstead.storage.memberships import update_membership
from tabstead.storage.positions import next_position
from tabstead.storage.relations import delete_relation, insert_relation
from tabstead.storage.rooms import Room, get_room
from tabstead.storage.state_history import EMPTY, find_entries
from tabstead.storage.state_tuples import find_state_tuple

SLICE_EVENTS: Final = 250
"""Events per transaction: a tenth of a second or so."""


class EventImport:
    """Takes events in slices."""

    def __init__(self, source: RoomserverSource, states: StateImport) -> None:
        self._source = source
        self._states = states
        self._keys: Iterator[EventKey] | None = None
        self._rooms: dict[int, Room] = {}

    def take_slice(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """Take the events after the position; the position of the last one, None when there are no more."""
        if self._keys is None:
            self._keys = self._source.select_event_keys(None if position is None else tuple(position))
            self._rooms = {source: get_room(db, nid) for source, nid in select_room_numbers(db).items()}
        last: EventKey | None = None
        for last in islice(self._keys, SLICE_EVENTS):
            self._take(db, last[2], counts)
        return None if last is None else [*last]

    def _take(self, db: Db, source_nid: int, counts: Counter[str]) -> None:
        """Take an event, and before it those it comes after and that were not taken yet."""
        entered: set[int] = set()  # of events that go in a circle, which only a forger's can, one has to be the first
        stack = [source_nid]
        while stack:
            event = self._source.get_event(stack[-1])
            entered.add(event.event_nid)
            if not event.snapshot:
                self._store(db, stack.pop())
                counts["outliers"] += 1
                continue
            references = self._source.select_references(prev_events_of(event.json))
            numbers = select_event_numbers(db, [event.event_nid, *(each.event_nid for each in references.values())])
            waiting = [
                each.event_nid
                for each in references.values()
                if each.snapshot and each.event_nid not in entered and not _is_placed(numbers, each.event_nid)
            ]
            if _is_placed(numbers, event.event_nid):
                stack.pop()
            elif waiting:
                stack += waiting
            else:
                self._place(db, event, references, numbers, counts)
                stack.pop()

    def _store(self, db: Db, source_nid: int) -> None:
        """Store an event, and its auth events before it, without a place, unless it is stored."""
        entered: set[int] = set()
        stack = [source_nid]
        while stack:
            if stack[-1] in select_event_numbers(db, stack[-1:]):
                stack.pop()
                continue
            source = self._source.get_event(stack[-1])
            entered.add(source.event_nid)
            unstored = [nid for nid in self._unstored_auth_events(db, source) if nid not in entered]
            if unstored:
                stack += unstored
                continue
            self._insert(db, source, stream_position=None, state_before=EMPTY)
            stack.pop()

    def _unstored_auth_events(self, db: Db, source: SourceEvent) -> list[int]:
        references = self._source.select_references(auth_events_of(source.json))
        source_nids = [each.event_nid for each in references.values()]
        numbers = select_event_numbers(db, source_nids)
        return [source_nid for source_nid in source_nids if source_nid not in numbers]

    def _place(
        self,
        db: Db,
        source: SourceEvent,
        references: Mapping[str, SourceReference],
        numbers: Mapping[int, EventNumber],
        counts: Counter[str],
    ) -> None:
        for source_nid in self._unstored_auth_events(db, source):
            if source_nid != source.event_nid:
                self._store(db, source_nid)
        room = self._room_of(source)
        near = next((each.snapshot for each in references.values() if each.snapshot), 0)
        state_before = self._take_state(db, room.room_nid, source.snapshot, near)
        stored = self._insert(db, source, stream_position=next_position(db), state_before=state_before)
        counts["events"] += 1
        counts[stored.standing.name.lower()] += 1
        if stored.standing is Standing.ACCEPTED:
            counts["forgotten changes"] += _forgets(db, stored, references, numbers)
            self._follow(db, room, stored, counts)

    def _take_state(self, db: Db, room_nid: int, snapshot: int, near: int) -> int:
        try:
            return self._states.take(db, room_nid, snapshot, near)
        except UntakenEvents as untaken:
            for source_nid in untaken.source_nids:
                self._store(db, source_nid)
        return self._states.take(db, room_nid, snapshot, near)

    def _insert(self, db: Db, source: SourceEvent, *, stream_position: int | None, state_before: int) -> PersistedEvent:
        room = self._room_of(source)
        number = select_event_numbers(db, [source.event_nid]).get(source.event_nid)
        standing = _standing_of(db, source)
        if number is not None:
            assert stream_position is not None, "an event is stored once"
            stored = update_placed(
                db,
                get_event(db, number.event_nid),
                stream_position=stream_position,
                standing=standing,
                state_before=state_before,
            )
        else:
            stored = insert_event(
                db,
                room,
                read_event(source, room.version),
                stream_position=stream_position,
                standing=standing,
                state_before=state_before,
            )
            insert_auth_chain(db, stored.event_nid, stored.event)
        tuple_nid = find_state_tuple(db, stored.event.state_tuple) if stored.event.is_state else None
        insert_event_number(
            db,
            source.event_nid,
            EventNumber(event_nid=stored.event_nid, tuple_nid=tuple_nid, is_placed=stream_position is not None),
        )
        waited = take_pending_redactions(db, stored.event_id) if number is None else []
        for redaction_nid in waited:
            _redact(db, room, get_event(db, stored.event_nid), redaction_nid)
        return get_event(db, stored.event_nid) if waited else stored

    def _follow(self, db: Db, room: Room, stored: PersistedEvent, counts: Counter[str]) -> None:
        """What follows from an accepted event."""
        event = stored.event
        relation = relation_of(event)
        if relation is not None:
            insert_relation(db, stored.event_nid, *relation)
        if event.type == "m.room.redaction" and not event.is_state:
            counts["redactions"] += self._apply_redaction(db, room, stored)
        if event.is_state:
            _record_change(db, stored)

    def _apply_redaction(self, db: Db, room: Room, redaction: PersistedEvent) -> bool:
        """Redact what Dendrite redacted, and keep the redaction of what neither has yet."""
        found = self._source.find_redaction(redaction.event_id)
        if found is None:
            return False
        redacts, was_applied = found
        target = find_event(db, redacts)
        if target is not None and was_applied:
            _redact(db, room, target, redaction.event_nid)
        elif target is None and (was_applied or not self._source.select_references([redacts])):
            insert_pending_redaction(db, redacts, redaction.event_nid)
        return was_applied

    def _room_of(self, source: SourceEvent) -> Room:
        room = self._rooms.get(source.room_nid)
        if room is None:
            raise ImportRefused(f"The Dendrite database is damaged: the room of event {source.event_id} is missing.")
        return room


def read_event(source: SourceEvent, version: RoomVersion) -> Event:
    """The event as it was signed, or what a redaction left of it. Raises ImportRefused if it is none."""
    pdu = {key: value for key, value in source.json.items() if key != "unsigned"}
    try:
        if "event_id" in pdu and not version.references_have_hashes and event_id_of(pdu, version) != source.event_id:
            del pdu["event_id"]
        is_its_own = event_id_of(pdu, version) == source.event_id
        event = load_event(pdu, event_id=EventID(source.event_id), room_version=version)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ImportRefused(f"The Dendrite database is damaged: {source.event_id} is no event.") from error
    if not is_its_own:
        raise ImportRefused(f"The Dendrite database is damaged: {source.event_id} is not the ID of this content.")
    return event


def prev_events_of(pdu: Mapping[str, Any]) -> list[str]:
    """The IDs of the events that a PDU of any room version comes after."""
    return _references(pdu.get("prev_events"))


def auth_events_of(pdu: Mapping[str, Any]) -> list[str]:
    """The IDs of the events by which a PDU of any room version is authorised."""
    return _references(pdu.get("auth_events"))


def _references(references: Any) -> list[str]:
    named = (entry[0] if isinstance(entry, list) and entry else entry for entry in references or ())
    return [event_id for event_id in named if isinstance(event_id, str)]


def _is_placed(numbers: Mapping[int, EventNumber], source_nid: int) -> bool:
    return source_nid in numbers and numbers[source_nid].is_placed


def _standing_of(db: Db, source: SourceEvent) -> Standing:
    if source.is_rejected:
        return Standing.REJECTED
    if source.is_sent or not source.snapshot or is_history(db, source.event_nid):
        return Standing.ACCEPTED
    return Standing.SOFT_FAILED


def _forgets(
    db: Db, stored: PersistedEvent, references: Mapping[str, SourceReference], numbers: Mapping[int, EventNumber]
) -> bool:
    """Whether the state before an event lacks the state event right before it, as the source has it."""
    if len(stored.event.prev_events) != 1 or len(references) != 1:
        return False
    number = numbers.get(next(iter(references.values())).event_nid)
    if number is None or number.tuple_nid is None or not number.is_placed:
        return False
    if find_entries(db, stored.state_before, [number.tuple_nid]).get(number.tuple_nid) == number.event_nid:
        return False
    return get_event(db, number.event_nid).standing is not Standing.REJECTED


def _record_change(db: Db, stored: PersistedEvent) -> None:
    """What the event replaced, and whose membership it is, as if the current state had been that of its branch."""
    event = stored.event
    tuple_nid = find_state_tuple(db, event.state_tuple)
    assert tuple_nid is not None, "a stored event's tuple has a number"
    previous_nid = find_entries(db, stored.state_before, [tuple_nid]).get(tuple_nid)
    insert_change(
        db,
        stored.room_nid,
        stored.position,
        tuple_nid,
        event_nid=stored.event_nid,
        previous_nid=previous_nid,
    )
    if event.type == "m.room.member" and event.state_key is not None:
        update_membership(
            db,
            event.state_key,
            stored.room_nid,
            membership=event.membership or "leave",
            event_nid=stored.event_nid,
            stream_position=stored.position,
        )


def _redact(db: Db, room: Room, target: PersistedEvent, redaction_nid: int) -> None:
    if target.redacted_by is None:
        update_redacted(db, target.event_nid, redact_event(target.event.pdu, room.version), redaction_nid)
        delete_relation(db, target.event_nid)
