"""The events of a room that wait, and what is done about it.

They are received in their order as far as that goes. Then, of what those that are left wait for, in turn:

1. Keys are fetched from the servers whose signatures can't be checked.
2. Auth events are fetched, one by one or as the whole auth chain.
3. Prev events are asked for with `/get_missing_events`, of the server that sent what refers to them. They are staged
   themselves, so that what many events miss is asked for once and held once, and a killed server goes on from there.
4. Where there are ever more of them, or the server gives none, the state before the first event after the gap is asked
   for instead. The event has its place then, with a gap before it.

Other servers in the room are asked where the first one can't be. What nobody has is tried again later, less and less
often, and forgotten in the end: whatever follows it will ask for it anew.
(server-server API, "Retrieving missing events"; "Checks performed on receipt of a PDU")
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tabstead.errors import OutboundFailed
from tabstead.federation.asking import ask_missing_events
from tabstead.federation.federation import Federation
from tabstead.federation.state_before import fetch_auth_events, fetch_state_before
from tabstead.federation.told_state import ToldState, add_told_snapshot, check_told, fetch_keys
from tabstead.protocol.events import Event, load_event
from tabstead.protocol.identifiers import EventID, ServerName
from tabstead.protocol.signatures import MissingKeys
from tabstead.rooms.event_order import in_receiving_order
from tabstead.rooms.receive import receive_parsed_pdu
from tabstead.rooms.resolution import resolve_snapshots
from tabstead.rooms.state import state_after
from tabstead.rooms.verdicts import MissingEvents
from tabstead.storage.database import Db
from tabstead.storage.events import find_event_at, select_event_ids, select_events_by_id
from tabstead.storage.gaps import select_gaps
from tabstead.storage.room_servers import is_server_in, select_servers
from tabstead.storage.rooms import Room, get_room, select_newest_extremities
from tabstead.storage.staged_pdus import (
    StagedPdu,
    delete_staged_pdus,
    insert_staged_pdu,
    measure_staged_pdus,
    select_rooms_with_staged_pdus,
    select_staged_pdus,
    update_staged_attempts,
)

logger = logging.getLogger(__name__)

_SLICE: Final = 16
"""Events that are received in a transaction."""
_MAX_ROUNDS: Final = 64
_LONGEST_WORK_S: Final = 180.0
"""So often and so long others are asked before a room makes way for another one."""
_MAX_CHASES: Final = 20
"""Times that `/get_missing_events` may lead to yet others before the state is asked for."""
_CHASED: Final = 50
"""Events that are asked for at a time."""
_MAX_CHASED: Final = 1000
_MAX_CHASED_BYTES: Final = 16 * 1024 * 1024
"""What may wait in a room with what was fetched for it."""
_EXTREMITIES: Final = 20
_SERVERS: Final = 3
"""That are asked for the same."""
_AT_ONCE: Final = 5
"""Events whose states are asked for one after the other before the rest is tried."""

_MAX_ATTEMPTS: Final = 8
_FIRST_RETRY_MS: Final = 15_000
_MAX_RETRY_MS: Final = 60 * 60 * 1000


class StagedRooms:
    """The follower that goes on with what waits since an earlier life, and with what is to be tried again."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation

    async def work(self) -> int | None:
        inbound = self._federation.inbound
        if not inbound.may_wait:
            return None
        inbound.may_wait = False
        rooms = await self._federation.read(select_rooms_with_staged_pdus)
        inbound.may_wait = inbound.may_wait or bool(rooms)
        now_ms = self._federation.server.now_ms()
        for room_nid, due_ts in rooms.items():
            if due_ts <= now_ms and not inbound.is_working(room_nid):
                inbound.start(room_nid, partial(work_on_room, self._federation, room_nid))
        return min((due_ts for due_ts in rooms.values() if due_ts > now_ms), default=None)


async def work_on_room(federation: Federation, room_nid: int) -> None:
    """Decide the fate of what waits in a room, as far as that can be now. What is left is tried again later.

    Where this server is about to come into the room, that comes first.
    """
    room = await federation.read(partial(get_room, room_nid=room_nid))
    if federation.entering.is_held(room.room_id):
        async with federation.entering.hold(room.room_id):
            pass
    try:
        async with asyncio.timeout(_LONGEST_WORK_S):
            is_over = await _work(federation, room_nid)
    except TimeoutError:
        is_over = False
    if not is_over:
        await federation.write(partial(_postpone, federation, room_nid))
        federation.commits.notifier.wake()  # the follower learns when it is due


async def _work(federation: Federation, room_nid: int) -> bool:
    """Go on until nothing is left, or nothing more comes; whether nothing is left."""
    chases, asked = 0, set[ServerName]()
    for _ in range(_MAX_ROUNDS):
        waiting = await _receive_all(federation, room_nid)
        if waiting is None:
            return True
        if await _fetch_keys(federation, waiting, asked) or await _fetch_auth_events(federation, waiting):
            continue
        if chases < _MAX_CHASES:
            chases += 1
            if await _chase(federation, waiting):
                continue
            chases = _MAX_CHASES
        if not await _bridge(federation, waiting):
            return False
    return False


@dataclass(frozen=True, slots=True)
class _Late:
    """An event that is due, and what it waits for."""

    event: Event
    origin: ServerName
    missing: MissingEvents | MissingKeys
    is_last_attempt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """What is left in a room."""

    room: Room
    late: list[_Late] = field(default_factory=list)
    staged: set[EventID] = field(default_factory=set)
    """All that wait, also what is not due."""
    servers: list[ServerName] = field(default_factory=list)
    """In the room, besides this one."""

    def lacking_prev_events(self) -> list[tuple[_Late, frozenset[EventID]]]:
        """The events right after what is missing, each with what it misses."""
        found = []
        for late in self.late:
            if isinstance(late.missing, MissingEvents):
                missing = late.missing.prev_events - self.staged
                if missing and not late.missing.prev_events & self.staged:
                    found.append((late, missing))
        return found

    def servers_for(self, late: _Late) -> list[ServerName]:
        """Whom to ask: first who sent it."""
        return list(dict.fromkeys([late.origin, *self.servers]))[:_SERVERS]


async def _receive_all(federation: Federation, room_nid: int) -> _Waiting | None:
    """Receive what can be. What has to wait for others, None if nothing that is due has to."""
    while True:
        waiting = await federation.write(partial(_receive_slice, federation, room_nid))
        if isinstance(waiting, _Waiting):
            return waiting if waiting.late else None


def _receive_slice(federation: Federation, room_nid: int, db: Db) -> _Waiting | None:
    """Receive some of what waits; None if there may be more."""
    room, server = get_room(db, room_nid), federation.server
    staged = {each.event_id: each for each in select_staged_pdus(db, room_nid)}
    if not is_server_in(db, room_nid, server.name):
        delete_staged_pdus(db, room_nid, staged)
        return _Waiting(room=room)
    ordered = in_receiving_order(_load(room, each) for each in staged.values())
    settled: list[EventID] = [*(staged.keys() - {event.event_id for event in ordered})]
    late: list[_Late] = []
    known_keys, now_ms = federation.key_ring.known_keys(db), server.now_ms()
    for event in ordered:
        verdict = receive_parsed_pdu(db, server, room, event, known_keys)
        if isinstance(verdict, (MissingEvents, MissingKeys)):
            late.append(_Late(event, staged[event.event_id].origin, verdict, _is_last(staged[event.event_id])))
        else:
            settled.append(event.event_id)
        if len(settled) >= _SLICE:
            break
    delete_staged_pdus(db, room_nid, settled)
    if len(settled) >= _SLICE:
        return None
    late = _select_due(late, staged, now_ms)
    others = [name for name in select_servers(db, room_nid) if name != server.name]
    return _Waiting(room=room, late=late, staged=staged.keys() - set(settled), servers=others)


def _select_due(late: list[_Late], staged: Mapping[EventID, StagedPdu], now_ms: int) -> list[_Late]:
    """Those of the events that are due, and those that due ones wait for, if they were not tried just now."""
    due = {each.event.event_id for each in late if staged[each.event.event_id].due_ts <= now_ms}
    for each in reversed(late):
        if each.event.event_id in due and isinstance(each.missing, MissingEvents):
            due.update(named for named in each.missing.event_ids if named in staged)
    return [each for each in late if each.event.event_id in due and _may_try(staged[each.event.event_id], now_ms)]


def _may_try(staged: StagedPdu, now_ms: int) -> bool:
    """Whether an event is due, or was tried so long ago that it may be tried out of turn."""
    if not staged.attempts:
        return True
    tried_ts = staged.due_ts - _delay_ms(staged.attempts - 1)
    return now_ms >= min(staged.due_ts, tried_ts + _FIRST_RETRY_MS)


def _delay_ms(attempts: int) -> int:
    """How long to wait after so many vain attempts, and one more."""
    return min(_FIRST_RETRY_MS << attempts, _MAX_RETRY_MS)


def _load(room: Room, staged: StagedPdu) -> Event:
    return load_event(staged.pdu, event_id=staged.event_id, room_version=room.version)


async def _fetch_keys(federation: Federation, waiting: _Waiting, asked: set[ServerName]) -> bool:
    """Fetch the keys that are waited for, of servers that weren't asked before; whether there is any of them now."""
    wanted: defaultdict[ServerName, set[str]] = defaultdict(set)
    for late in waiting.late:
        if isinstance(late.missing, MissingKeys) and late.missing.server_name not in asked:
            wanted[late.missing.server_name].update(late.missing.key_ids)
    if not wanted:
        return False
    asked |= wanted.keys()
    await fetch_keys(federation, wanted)

    def is_any_known(db: Db) -> bool:
        known_keys = federation.key_ring.known_keys(db)
        return any(known_keys(server, key_ids) for server, key_ids in wanted.items())

    return await federation.read(is_any_known)


async def _fetch_auth_events(federation: Federation, waiting: _Waiting) -> bool:
    """Fetch the auth events of the first event whose prev events are here; whether one of them is here now."""
    for late in waiting.late[:_AT_ONCE]:
        missing = late.missing
        if not isinstance(missing, MissingEvents) or missing.prev_events or missing.auth_events & waiting.staged:
            continue
        for server in waiting.servers_for(late):
            with suppress(OutboundFailed):
                wanted = missing.auth_events
                await fetch_auth_events(federation, server, waiting.room, late.event.event_id, wanted)
                if await federation.read(partial(select_events_by_id, event_ids=wanted)):
                    return True
    return False


async def _chase(federation: Federation, waiting: _Waiting) -> bool:
    """Ask for the events before those that wait; whether any came."""
    lacking = waiting.lacking_prev_events()
    if not lacking:
        return False
    earliest, min_depth = await federation.read(partial(_where_to_stop, waiting.room))
    first, _ = lacking[0]
    together = [(late, missing) for late, missing in lacking if late.origin == first.origin][:_EXTREMITIES]
    for server in waiting.servers_for(first):
        with suppress(OutboundFailed):
            events = await ask_missing_events(
                federation.client,
                server,
                waiting.room,
                earliest=earliest,
                latest=[late.event.event_id for late, _ in together],
                min_depth=min_depth,
                limit=_CHASED,
            )
            wanted = frozenset[EventID]().union(*(missing for _, missing in together))
            found = select_connected(events, wanted)
            if not found:
                continue
            if await federation.write(partial(_stage, federation, waiting.room, server, found)):
                return True
    return False


def _where_to_stop(room: Room, db: Db) -> tuple[list[EventID], int]:
    """The events up to which history is known, and the depth that need not be gone below."""
    newest = select_newest_extremities(db, room.room_nid, _EXTREMITIES)
    gap = next(iter(select_gaps(db, room.room_nid)), None)
    top = None if gap is None else find_event_at(db, room.room_nid, gap.top)
    return list(select_event_ids(db, newest).values()), 0 if top is None else top.event.depth


def select_connected(events: Iterable[Event], wanted: Iterable[EventID]) -> list[Event]:
    """Those of the events that are wanted, or that lead to one along the prev events."""
    by_id = {event.event_id: event for event in events}
    connected: dict[EventID, Event] = {}
    unvisited = [event_id for event_id in wanted if event_id in by_id]
    while unvisited:
        event = by_id[unvisited.pop()]
        if event.event_id not in connected:
            connected[event.event_id] = event
            unvisited += [each for each in event.prev_events if each in by_id]
    return list(connected.values())


def _stage(federation: Federation, room: Room, origin: ServerName, events: list[Event], db: Db) -> bool:
    """Let what was fetched wait too; whether there was anything new in it, and place for it."""
    before, size = measure_staged_pdus(db, room.room_nid)
    known = select_events_by_id(db, [event.event_id for event in events])
    for event in events:
        is_placed = event.event_id in known and known[event.event_id].stream_position is not None
        if not is_placed and size < _MAX_CHASED_BYTES:
            insert_staged_pdu(db, room.room_nid, event, origin, federation.server.now_ms())
    after, _ = measure_staged_pdus(db, room.room_nid)
    return before < after <= _MAX_CHASED


async def _bridge(federation: Federation, waiting: _Waiting) -> bool:
    """Ask for the state before the events right after what is missing; whether one has its place now."""
    is_bridged = False
    for late, _ in waiting.lacking_prev_events()[:_AT_ONCE]:
        for server in waiting.servers_for(late):
            with suppress(OutboundFailed):
                event = late.event
                told = await fetch_state_before(
                    federation,
                    server,
                    waiting.room,
                    event.event_id,
                    event.auth_events,
                    is_part_enough=late.is_last_attempt,
                )
                if await federation.write(partial(_receive_after_gap, federation, waiting.room, event, told)):
                    is_bridged = True
                    break
    return is_bridged


def _receive_after_gap(federation: Federation, room: Room, event: Event, told: ToldState, db: Db) -> bool:
    """Receive an event after a state that was told; False if it still has to wait.

    Where some of its prev events are here, the state is that of all of them. Raises PeerMisbehaved.
    """
    check_told(db, told)
    found = select_events_by_id(db, event.prev_events).values()
    placed = [stored for stored in found if stored.stream_position is not None and stored.room_nid == room.room_nid]
    snapshots = [add_told_snapshot(db, room, told), *(state_after(db, stored) for stored in placed)]
    verdict = receive_parsed_pdu(
        db,
        federation.server,
        room,
        event,
        federation.key_ring.known_keys(db),
        state_before=resolve_snapshots(db, room, snapshots),
    )
    if isinstance(verdict, (MissingEvents, MissingKeys)):
        return False
    delete_staged_pdus(db, room.room_nid, [event.event_id])
    return True


def _is_last(staged: StagedPdu) -> bool:
    return staged.attempts + 1 >= _MAX_ATTEMPTS


def _postpone(federation: Federation, room_nid: int, db: Db) -> None:
    """Try again later what is due, and forget what was tried often enough."""
    now_ms = federation.server.now_ms()
    due = [each for each in select_staged_pdus(db, room_nid) if each.due_ts <= now_ms]
    given_up = [each.event_id for each in due if _is_last(each)]
    delete_staged_pdus(db, room_nid, given_up)
    if given_up:
        logger.info("%d events in room %s waited in vain for others", len(given_up), room_nid)
    for each in due:
        update_staged_attempts(db, room_nid, [each.event_id], now_ms + _delay_ms(each.attempts))
