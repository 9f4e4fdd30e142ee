"""Receive an event of another server: the checks on receipt of a PDU, in their order, and what becomes of the event.

1. Is it a valid event, by the room version's format? If not, it is dropped.
2. Do its signatures hold? If not, it is dropped.
3. Does its content hash hold? If not, its redacted copy is used from here on.
4. Do the authorisation rules allow it by its auth events? If not, it is rejected.
5. Do they by the state before it? If not, it is rejected.
6. Do they by the room's current state? If not, it is soft-failed.
7. If the room has a policy server, did that sign it? If not, it is soft-failed.

A verdict is a value, also when it has to wait for other events or for keys. What another server can send makes no
exception, and is judged in bounded time: an event has at most ten auth events and twenty prev events, each of which is
looked up once; where the states after the prev events differ, the work grows with what they differ in. An event that
came before is not judged again. (server-server API, "Checks performed on receipt of a PDU")
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from tabstead.errors import BadJson, MatrixError
from tabstead.protocol.auth_rules import Rejected as RuledOut
from tabstead.protocol.auth_rules import check_auth_events, check_event_auth
from tabstead.protocol.auth_rules.room_state import CREATE
from tabstead.protocol.events import Event, parse_event, redact_event
from tabstead.protocol.identifiers import EventID, StateTuple
from tabstead.protocol.room_versions import RoomVersion
from tabstead.protocol.signatures import (
    BadSignature,
    GetVerifyKeys,
    MissingKeys,
    check_content_hash,
    check_event_signatures,
)
from tabstead.rooms.gaps import is_awaited, note_arrival
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.persist import persist_event, persist_history_event, persist_outlier
from tabstead.rooms.policy import check_received
from tabstead.rooms.resolution import resolve_snapshots
from tabstead.rooms.state import read_auth_state, state_after
from tabstead.rooms.verdicts import Accepted, Dropped, MissingEvents, Rejected, SoftFailed, Verdict
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, Standing, find_event, select_events_by_id
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import Room, get_room
from tabstead.storage.state_history import EMPTY, find_state_event


def receive_pdu(
    db: Db,
    server: LocalServer,
    room: Room,
    pdu: object,
    get_verify_keys: GetVerifyKeys,
    *,
    state_before: int | None = None,
) -> Verdict:
    """Receive an event with its place in the timeline. `pdu` is any JSON whose depth was checked.

    `state_before` is the snapshot of the state before the event where a resident server told it, as when joining or
    when history before a gap is not wanted; otherwise it is made of the states after the prev events.
    """
    try:
        event = parse_pdu(pdu, room.room_id, room.version)
    except MatrixError as error:
        return Dropped(reason=error.sentence)
    return receive_parsed_pdu(db, server, room, event, get_verify_keys, state_before=state_before)


def receive_parsed_pdu(
    db: Db,
    server: LocalServer,
    room: Room,
    event: Event,
    get_verify_keys: GetVerifyKeys,
    *,
    state_before: int | None = None,
) -> Verdict:
    """The same of an event that `parse_pdu` has accepted: checks 2 to 7.

    With a `state_before`, prev events may be missing: there is a gap in the room's history then. Raises
    UnsignedByPolicy where the policy server must be asked first.
    """
    room = get_room(db, room.room_nid)
    placing = _place(db, room, event, get_verify_keys, state_before)
    if not isinstance(placing, _Placing):
        return placing
    standing, reason = placing.refusal
    if reason is None:
        comes_in = state_before is not None and not is_server_in(db, room.room_nid, server.name)
        # What this server knew of the room when it was last in it decides nothing.
        reason = None if comes_in else _refusal_by_current_state(db, room, placing.event)
        if reason is None:
            event, reason = _sign_by_policy(db, server, room, placing.event)
            placing = replace(placing, event=event)
        standing = Standing.ACCEPTED if reason is None else Standing.SOFT_FAILED
    awaited = is_awaited(db, room.room_nid, event.event_id)
    stored = persist_event(
        db,
        server,
        room,
        placing.event,
        state_before=placing.state_before,
        standing=standing,
        outlier=placing.outlier,
        missing=placing.missing,
        is_awaited=awaited,
    )
    note_arrival(db, room.room_nid, event.event_id)
    return _verdict(stored, reason)


def _sign_by_policy(db: Db, server: LocalServer, room: Room, event: Event) -> tuple[Event, str | None]:
    """Check 7: the event with the signature; why it has none."""
    outcome = check_received(db, server, room, event)
    if isinstance(outcome, Event):
        return outcome, None
    return event, f"the room's policy server did not sign it: {outcome.sentence}"


def receive_history_event(
    db: Db,
    room: Room,
    event: Event,
    get_verify_keys: GetVerifyKeys,
    *,
    position: int,
    state_before: int | None = None,
) -> Verdict:
    """Receive an event of a room's history, at a free position in a gap: checks 2 to 5.

    What the room's current state would say of it is no matter: it is long since part of what led there.
    """
    placing = _place(db, room, event, get_verify_keys, state_before)
    if not isinstance(placing, _Placing):
        return placing
    standing, reason = placing.refusal
    stored = persist_history_event(
        db,
        room,
        placing.event,
        position=position,
        state_before=placing.state_before,
        standing=standing,
        outlier=placing.outlier,
    )
    return _verdict(stored, reason)


def receive_outlier(db: Db, room: Room, pdu: object, get_verify_keys: GetVerifyKeys) -> Verdict:
    """Receive an event without its place in the timeline: an auth event of others, or part of a state that was told.

    It passes the checks that need no place: 1 to 4.
    """
    try:
        event = parse_pdu(pdu, room.room_id, room.version)
    except MatrixError as error:
        return Dropped(reason=error.sentence)
    return receive_parsed_outlier(db, room, event, get_verify_keys)


def receive_parsed_outlier(db: Db, room: Room, event: Event, get_verify_keys: GetVerifyKeys) -> Verdict:
    """The same of an event that `parse_pdu` has accepted: checks 2 to 4."""
    arrived = _arrive_parsed(db, room, event, get_verify_keys)
    if not isinstance(arrived, _Arrived):
        return arrived
    if arrived.known is not None:
        return _known_verdict(arrived.known)
    citations = _cite(db, room, arrived.event)
    if citations.missing:
        return MissingEvents(auth_events=citations.missing, prev_events=frozenset())
    reason = _refusal_by_auth_events(arrived.event, citations, room.version)
    standing = Standing.ACCEPTED if reason is None else Standing.REJECTED
    return _verdict(persist_outlier(db, room, arrived.event, standing=standing), reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrived:
    """An event that passed what can be checked of it alone, and what is stored under its ID."""

    event: Event
    known: PersistedEvent | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placing:
    """An event that can have its place, with what decides about it there."""

    event: Event
    outlier: PersistedEvent | None
    missing: frozenset[EventID]
    """Its prev events that have no place here."""
    state_before: int
    refusal: tuple[Standing, str | None]
    """What checks 4 and 5 say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Citations:
    """What an event is authorised by: its auth events, and the create event that its room ID names (v12-)."""

    auth_events: tuple[PersistedEvent, ...]
    create: PersistedEvent | None
    missing: frozenset[EventID]


def _place(
    db: Db, room: Room, event: Event, get_verify_keys: GetVerifyKeys, state_before: int | None
) -> _Placing | Verdict:
    """Checks 2 to 5; the verdict on an event that is refused or must wait, or that came before."""
    arrived = _arrive_parsed(db, room, event, get_verify_keys)
    if not isinstance(arrived, _Arrived):
        return arrived
    event, outlier = arrived.event, arrived.known
    if outlier is not None and outlier.stream_position is not None:
        return _known_verdict(outlier)
    prev_events = select_events_by_id(db, event.prev_events)
    if any(prev_event.room_nid != room.room_nid for prev_event in prev_events.values()):
        return Dropped(reason="a prev event is of another room")
    citations = _cite(db, room, event)
    placed = {event_id for event_id, stored in prev_events.items() if stored.stream_position is not None}
    missing = frozenset(event.prev_events) - placed
    if citations.missing or (missing and state_before is None):
        unplaced = missing if state_before is None else frozenset()
        return MissingEvents(auth_events=citations.missing, prev_events=unplaced)
    if state_before is None:
        state_before = _state_before(db, room, prev_events.values())
    return _Placing(
        event=event,
        outlier=outlier,
        missing=missing,
        state_before=state_before,
        refusal=_judge(db, room, event, citations, state_before),
    )


def _arrive_parsed(
    db: Db, room: Room, event: Event, get_verify_keys: GetVerifyKeys
) -> _Arrived | Dropped | MissingKeys:
    """Checks 2 and 3."""
    known = find_event(db, event.event_id)
    if known is not None:
        if known.room_nid != room.room_nid:
            return Dropped(reason="the event's ID is that of an event in another room")
        # What was checked then, and maybe redacted since.
        return _Arrived(event=known.event, known=known)
    problem = check_event_signatures(event.pdu, room.version, get_verify_keys)
    if isinstance(problem, BadSignature):
        return Dropped(reason=f"{problem.server_name}: {problem.reason}")
    if problem is not None:
        return problem
    if not check_content_hash(event.pdu):
        event = parse_event(redact_event(event.pdu, room.version), room.version)
    return _Arrived(event=event, known=None)


def parse_pdu(pdu: object, room_id: str, version: RoomVersion) -> Event:
    """Check 1. Raises BadJson, TooLarge."""
    if not isinstance(pdu, dict):
        raise BadJson("An event is a JSON object.")
    event = parse_event(pdu, version)
    if event.room_id != room_id:
        raise BadJson("room_id: not of this room.")
    if event.event_id in (*event.prev_events, *event.auth_events):
        raise BadJson("prev_events, auth_events: the event refers to itself.")
    return event


def _cite(db: Db, room: Room, event: Event) -> _Citations:
    wanted = set(event.auth_events)
    create_id = None
    if room.version.room_id_is_create_hash and event.type != CREATE[0]:  # v12-
        create_id = EventID("$" + event.room_id[1:])
        wanted.add(create_id)
    found = select_events_by_id(db, wanted)
    return _Citations(
        auth_events=tuple(found[event_id] for event_id in event.auth_events if event_id in found),
        create=None if create_id is None else found.get(create_id),
        missing=frozenset(wanted - found.keys()),
    )


def _state_before(db: Db, room: Room, prev_events: Collection[PersistedEvent]) -> int:
    return resolve_snapshots(db, room, [state_after(db, prev_event) for prev_event in prev_events] or [EMPTY])


def _judge(db: Db, room: Room, event: Event, citations: _Citations, state_before: int) -> tuple[Standing, str | None]:
    """Checks 4 and 5."""
    reason = _refusal_by_auth_events(event, citations, room.version)
    if reason is None:
        reason = _refusal_by_state(db, room, event, state_before)
    return (Standing.ACCEPTED if reason is None else Standing.REJECTED), reason


def _refusal_by_auth_events(event: Event, citations: _Citations, version: RoomVersion) -> str | None:
    """Check 4: why the rules refuse the event by its auth events; None if they allow it."""
    auth_events = [stored.event for stored in citations.auth_events]
    rejected = {stored.event_id for stored in citations.auth_events if stored.standing is Standing.REJECTED}
    verdict = check_auth_events(event, auth_events, version, rejected)
    if isinstance(verdict, RuledOut):
        return verdict.reason
    state: dict[StateTuple, Event] = {each.state_tuple: each for each in auth_events if each.is_state}
    if citations.create is not None and citations.create.standing is not Standing.REJECTED:  # v12-
        state[CREATE] = citations.create.event
    return _refusal(event, state, version)


def _refusal_by_state(db: Db, room: Room, event: Event, snapshot: int) -> str | None:
    """Check 5."""
    state = read_auth_state(
        db,
        room,
        snapshot,
        event_type=event.type,
        state_key=event.state_key,
        sender=event.sender,
        content=event.content,
    )
    return _refusal(event, state, room.version)


def _refusal_by_current_state(db: Db, room: Room, event: Event) -> str | None:
    """Check 6. A room that has no state yet refuses nothing; one that has begun does not begin again."""
    if room.state_snapshot == EMPTY:
        return None
    if event.type == CREATE[0] and find_state_event(db, room.state_snapshot, *CREATE) is not None:
        return "the room has a create event already"
    return _refusal_by_state(db, room, event, room.state_snapshot)


def _refusal(event: Event, state: Mapping[StateTuple, Event], version: RoomVersion) -> str | None:
    verdict = check_event_auth(event, state, version)
    return verdict.reason if isinstance(verdict, RuledOut) else None


def _verdict(stored: PersistedEvent, reason: str | None) -> Verdict:
    if stored.standing is Standing.ACCEPTED or reason is None:
        return Accepted(event=stored)
    return (Rejected if stored.standing is Standing.REJECTED else SoftFailed)(event=stored, reason=reason)


def _known_verdict(stored: PersistedEvent) -> Verdict:
    """The verdict on an event that was received before; why is not kept."""
    return _verdict(stored, None if stored.standing is Standing.ACCEPTED else "the event was refused before")
