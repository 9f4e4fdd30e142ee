"""Take in what another server sends of its own accord: a transaction of events and of what goes beside them.

Most events follow what is here: they are judged at once, in slices, each a transaction, and the answer says of each
what became of it. An event that waits for others, for a key, or for the room's policy server, is staged, which is
durable, and acknowledged; what it waits for is fetched in the background, room by room (`federation.staged_rooms`), so
that no peer and no room waits for another's. The last slice takes the EDUs and notes the answer: a transaction that
comes again is answered the same. One that was cut off by the end of the server comes again, finds its first events
here, and goes on.
(server-server API, "Transactions", "PDUs")
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from tabstead.errors import BadJson, Forbidden, InvalidParam, MatrixError
from tabstead.federation.edu_context import EduContext
from tabstead.federation.edus import receive_edus
from tabstead.federation.federation import Federation
from tabstead.federation.invites import end_out_of_band, is_outside
from tabstead.federation.staged_rooms import work_on_room
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event
from tabstead.protocol.events.hashes import event_id_of
from tabstead.protocol.identifiers import ServerName, is_event_id
from tabstead.protocol.room_versions import RoomVersion
from tabstead.protocol.signatures import MissingKeys
from tabstead.rooms.event_order import in_receiving_order
from tabstead.rooms.policy import UnsignedByPolicy
from tabstead.rooms.receive import parse_pdu, receive_parsed_pdu
from tabstead.rooms.server_access import check_server_access
from tabstead.rooms.verdicts import Accepted, Dropped, MissingEvents, Rejected, SoftFailed
from tabstead.storage.database import Db
from tabstead.storage.inbound_transactions import find_transaction_answer, insert_transaction_answer
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import Room, find_room
from tabstead.storage.staged_pdus import insert_staged_pdu, measure_staged_pdus
from tabstead.streams.typing_users import TypingUsers

logger = logging.getLogger(__name__)

MAX_PDUS: Final = 50
MAX_EDUS: Final = 100

_MAX_ID_LENGTH: Final = 255
_SLICE: Final = 16
"""Events in a transaction."""
_MAX_STAGED: Final = 500
_MAX_STAGED_BYTES: Final = 8 * 1024 * 1024
"""What may wait in a room. More is refused, and fetched if what follows it refers to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What one request brings."""

    origin: ServerName
    transaction_id: str
    pdus: list[Any]
    edus: list[Any]

    def check(self) -> None:
        """Raises BadJson, InvalidParam for more than a transaction may have."""
        if len(self.pdus) > MAX_PDUS or len(self.edus) > MAX_EDUS:
            raise BadJson(f"A transaction has at most {MAX_PDUS} PDUs and {MAX_EDUS} EDUs.")
        if len(self.transaction_id) > _MAX_ID_LENGTH:
            raise InvalidParam(f"The transaction ID is longer than {_MAX_ID_LENGTH} characters.")


async def receive_transaction(federation: Federation, typing_users: TypingUsers, transaction: Transaction) -> JsonDict:
    """Take a transaction in; the answer to it. Raises BadJson, InvalidParam."""
    transaction.check()
    async with federation.inbound.turn_of(transaction.origin):
        return await _receive(federation, typing_users, transaction)


async def _receive(federation: Federation, typing_users: TypingUsers, transaction: Transaction) -> JsonDict:
    opened = await federation.read(partial(_open, federation, transaction))
    if opened.answer is not None:
        return opened.answer
    results = dict(opened.refused)
    for event, version in opened.from_outside:
        results[event.event_id] = await end_out_of_band(federation, event, version)
    staged: set[int] = set()
    slices = list(_slices(opened.events))
    for events in slices[:-1]:
        received = await federation.write(partial(_receive_slice, federation, transaction.origin, events))
        results |= received.results
        staged |= received.staged
        await asyncio.sleep(0)
    last = slices[-1] if slices else []
    answer, received, context = await federation.write(
        partial(_receive_last, federation, transaction, last, results, typing_users=typing_users)
    )
    for effect in context.afterwards:
        effect()
    if context.afterwards:
        federation.commits.notifier.wake()  # what lives in memory has no position
    for room_nid in staged | received.staged:
        federation.inbound.start(room_nid, partial(work_on_room, federation, room_nid))
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A transaction whose events were looked at, none of them received yet."""

    answer: JsonDict | None = None
    """If it came before."""
    events: list[tuple[Room, Event]] = field(default_factory=list)
    from_outside: list[tuple[Event, RoomVersion]] = field(default_factory=list)
    """Of rooms that this server is not in."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why, by event id."""


@dataclass(slots=True, kw_only=True)
class _Received:
    results: dict[str, str] = field(default_factory=dict)
    """By event id why it was refused; "" if it was not."""
    staged: set[int] = field(default_factory=set)
    """The rooms in which events wait."""


def _open(federation: Federation, transaction: Transaction, db: Db) -> _Opened:
    answer = find_transaction_answer(db, transaction.origin, transaction.transaction_id)
    if answer is not None:
        return _Opened(answer=answer)
    by_room: dict[str, list[JsonDict]] = {}
    for pdu in transaction.pdus:
        if isinstance(pdu, dict) and isinstance(pdu.get("room_id"), str):
            by_room.setdefault(pdu["room_id"], []).append(pdu)
    opened = _Opened()
    for room_id, pdus in by_room.items():
        room = find_room(db, room_id)
        refusal = _refuse_room(db, federation, room, transaction.origin)
        events = []
        for pdu in pdus:
            try:
                if refusal is not None and room is not None and is_outside(db, federation.server, room):
                    opened.from_outside.append((parse_pdu(pdu, room.room_id, room.version), room.version))
                    continue
                if refusal is not None or room is None:
                    raise Forbidden(refusal or "")
                events.append(parse_pdu(pdu, room.room_id, room.version))
            except MatrixError as error:
                event_id = _find_event_id(pdu, None if room is None else room.version)
                if event_id is not None:
                    opened.refused[event_id] = error.sentence
        if room is not None:
            opened.events.extend((room, event) for event in in_receiving_order(events))
    return opened


def _refuse_room(db: Db, federation: Federation, room: Room | None, origin: ServerName) -> str | None:
    """Why nothing of a room is taken from a server."""
    is_in = room is not None and is_server_in(db, room.room_nid, federation.server.name)
    if room is None or not (is_in or federation.entering.is_held(room.room_id)):
        return "This server is not in the room."
    try:
        check_server_access(db, room, origin)
    except Forbidden as error:
        return error.sentence
    return None


def _find_event_id(pdu: JsonDict, version: RoomVersion | None) -> str | None:
    """The id of what may be no event at all, as far as it has one: to say that it was refused."""
    try:
        event_id = pdu.get("event_id") if version is None else event_id_of(pdu, version)
    except (MatrixError, LookupError, TypeError, ValueError, AttributeError):
        return None
    return event_id if isinstance(event_id, str) and is_event_id(event_id) else None


def _slices(events: list[tuple[Room, Event]]) -> Iterator[list[tuple[Room, Event]]]:
    for start in range(0, len(events), _SLICE):
        yield events[start : start + _SLICE]


def _receive_slice(
    federation: Federation, origin: ServerName, events: Iterable[tuple[Room, Event]], db: Db
) -> _Received:
    received = _Received()
    known_keys = federation.key_ring.known_keys(db)
    for room, event in events:
        try:
            verdict = receive_parsed_pdu(db, federation.server, room, event, known_keys)
        except UnsignedByPolicy:
            verdict = None
        if verdict is None or isinstance(verdict, (MissingEvents, MissingKeys)):
            received.results[event.event_id] = stage_event(db, room, event, origin, federation.server.now_ms())
            received.staged.add(room.room_nid)
        else:
            received.results[event.event_id] = _refusal(verdict)
    return received


def _refusal(verdict: Accepted | SoftFailed | Rejected | Dropped) -> str:
    """What the sender is told; of a soft-failed event nothing: it may be right, and no more."""
    return f"The event is refused: {verdict.reason}." if isinstance(verdict, (Rejected, Dropped)) else ""


def stage_event(db: Db, room: Room, event: Event, origin: ServerName, now_ms: int) -> str:
    """Let an event wait; why not, where too much waits in the room already."""
    count, size = measure_staged_pdus(db, room.room_nid)
    if count >= _MAX_STAGED or size >= _MAX_STAGED_BYTES:
        return "Too many events of this room wait for others."
    insert_staged_pdu(db, room.room_nid, event, origin, now_ms)
    return ""


def _receive_last(
    federation: Federation,
    transaction: Transaction,
    events: Iterable[tuple[Room, Event]],
    results: Mapping[str, str],
    db: Db,
    *,
    typing_users: TypingUsers,
) -> tuple[JsonDict, _Received, EduContext]:
    """The last events, the EDUs, and the answer."""
    context = EduContext(server=federation.server, typing_users=typing_users)
    received = _receive_slice(federation, transaction.origin, events, db)
    receive_edus(db, context, transaction.origin, transaction.edus)
    answer = {"pdus": {event_id: _result(reason) for event_id, reason in {**results, **received.results}.items()}}
    now_ms = federation.server.now_ms()
    insert_transaction_answer(db, transaction.origin, transaction.transaction_id, answer, now_ms)
    return answer, received, context


def _result(reason: str) -> JsonDict:
    return {"error": reason} if reason else {}
