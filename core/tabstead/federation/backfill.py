"""Fetch what is missing in a room's timeline, a page at a time, when somebody reads that far.

Servers in the room are asked for the events that those above the gap refer to, and for what is before them. The state
before the oldest of what comes is asked for; that before the others follows. They take the free positions from the
gap's bottom down, all of them in one transaction, which notes what is missing next.

Several readers of one room share what is fetched. What a server gives that does not hold is not stored and goes on
missing, so that the next server is asked for it.
(server-server API, "Backfilling and retrieving missing events")
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from tabstead.errors import OutboundFailed
from tabstead.federation.asking import ask_backfill, ask_event, ask_timestamp
from tabstead.federation.federation import Federation
from tabstead.federation.staged_rooms import select_connected
from tabstead.federation.state_before import fetch_auth_events, fetch_state_before
from tabstead.federation.told_state import ToldState, add_told_snapshot, check_told, fetch_keys
from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import EventID, ServerName
from tabstead.protocol.signatures import required_signers
from tabstead.rooms.event_order import in_receiving_order
from tabstead.rooms.gaps import note_arrival
from tabstead.rooms.receive import receive_history_event
from tabstead.rooms.verdicts import Accepted, Rejected
from tabstead.storage.database import Db
from tabstead.storage.events import select_event_nids, select_placed
from tabstead.storage.gaps import Gap, find_gap, split_gap, update_gap
from tabstead.storage.room_servers import is_server_in, select_joined_by_server
from tabstead.storage.rooms import Room, get_room

_PAGE: Final = 50
"""Events that are asked for at a time; all are stored in one transaction."""
_SERVERS: Final = 4
_PATIENCE_S: Final = 20.0
"""For all that one server is asked for."""
_MAX_ASKED_FOR: Final = 20
_MAX_STATES: Final = 5
"""Oldest events of a page whose states are asked for; what follows others goes on missing."""
_MAX_MISSING: Final = 200


async def fill_gap(federation: Federation, gap: Gap) -> bool:
    """Fetch some of the events that are missing in a gap; whether any came, for this reader or another one."""
    async with federation.inbound.turn_of(f"gaps of {gap.room_nid}"):
        room, now, servers = await federation.read(partial(_look_at, federation, gap))
        if now != gap:
            return True
        for server in servers:
            with suppress(OutboundFailed, TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    if await _fill_from(federation, server, room, gap):
                        return True
    return False


async def find_event_remotely(federation: Federation, gap: Gap, ts: int, *, forwards: bool) -> bool:
    """Have the event of a gap that is nearest to a time (ms), by what a server in the room says; whether it came."""
    async with federation.inbound.turn_of(f"gaps of {gap.room_nid}"):
        room, now, servers = await federation.read(partial(_look_at, federation, gap))
        if now is None:
            return True
        for server in servers:
            with suppress(OutboundFailed, TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    event_id = await ask_timestamp(federation.client, server, room, ts, forwards=forwards)
                    if await _place_amid(federation, server, room, now, event_id):
                        return True
    return False


def _look_at(federation: Federation, gap: Gap, db: Db) -> tuple[Room, Gap | None, list[ServerName]]:
    """The room, the gap as it is now, and the servers to ask, those with the most members first."""
    room = get_room(db, gap.room_nid)
    now = find_gap(db, gap.room_nid, gap.top)
    if not is_server_in(db, gap.room_nid, federation.server.name):
        return room, now, []
    joined = select_joined_by_server(db, gap.room_nid)
    others = sorted((name for name in joined if name != federation.server.name), key=lambda name: (-joined[name], name))
    return room, now, [ServerName(name) for name in others[:_SERVERS]]


async def _fill_from(federation: Federation, server: ServerName, room: Room, gap: Gap) -> bool:
    events = await ask_backfill(federation.client, server, room, gap.missing[:_MAX_ASKED_FOR], _PAGE)
    found = in_receiving_order(select_connected(events, gap.missing))
    placed = await federation.read(partial(_select_placed_around, found))
    page, oldest = _choose(found, placed)
    told = {event.event_id: await _fetch_state(federation, server, room, event) for event in oldest}
    await _fetch_what_decides(federation, server, room, page)
    return await federation.commits.database.write(partial(_place, federation, gap, page, told))


def _select_placed_around(events: Iterable[Event], db: Db) -> set[EventID]:
    """Which of the events, and of those that they refer to, have their place."""
    return select_placed(db, {each for event in events for each in (event.event_id, *event.prev_events)})


def _choose(events: list[Event], placed: Collection[EventID]) -> tuple[list[Event], list[Event]]:
    """The events that can have their place, in their order; and those of them whose state has to be asked for."""
    page: dict[EventID, Event] = {}
    oldest: list[Event] = []
    for event in events:
        if event.event_id in placed:
            continue
        if any(each not in page and each not in placed for each in event.prev_events):
            if len(oldest) == _MAX_STATES:
                continue
            oldest.append(event)
        page[event.event_id] = event
    return list(page.values()), oldest


async def _fetch_state(federation: Federation, server: ServerName, room: Room, event: Event) -> ToldState:
    """What of the state can be had: it is for who reads the past, and decides nothing of the present."""
    return await fetch_state_before(federation, server, room, event.event_id, event.auth_events, is_part_enough=True)


async def _fetch_what_decides(federation: Federation, server: ServerName, room: Room, page: list[Event]) -> None:
    """Fetch keys and auth events that aren't here."""
    signed: dict[ServerName, set[str]] = {}
    for event in page:
        for name in required_signers(event.pdu, room.version):
            signed.setdefault(name, set()).update(event.pdu["signatures"].get(name, ()))

    def select_unknown(db: Db) -> tuple[list[ServerName], set[EventID]]:
        known_keys = federation.key_ring.known_keys(db)
        wanted = {each for event in page for each in event.auth_events} - {event.event_id for event in page}
        unknown = [name for name, key_ids in signed.items() if not known_keys(name, key_ids)]
        return unknown, wanted - select_event_nids(db, wanted).keys()

    servers, missing = await federation.read(select_unknown)
    await fetch_keys(federation, servers)
    if missing:
        await fetch_auth_events(federation, server, room, page[-1].event_id, missing)


def _place(federation: Federation, gap: Gap, page: list[Event], told: Mapping[EventID, ToldState], db: Db) -> bool:
    """Give what was fetched its place; whether any of it has one now."""
    room, now = get_room(db, gap.room_nid), find_gap(db, gap.room_nid, gap.top)
    if now != gap or gap.room_left < len(page):
        return False
    received = _receive(federation, db, room, page, told, position=gap.bottom - len(page) + 1)
    for event in received:
        note_arrival(db, room.room_nid, event.event_id)
    referred = {*gap.missing, *(each for event in received for each in event.prev_events)}
    missing = sorted(referred - select_placed(db, referred))[:_MAX_MISSING]
    update_gap(db, replace(gap, bottom=gap.bottom - len(page), missing=tuple(missing)))
    return bool(received)


def _receive(
    federation: Federation,
    db: Db,
    room: Room,
    page: list[Event],
    told: Mapping[EventID, ToldState],
    *,
    position: int,
) -> list[Event]:
    """Receive events at positions from this one on. Those that have a place now. Raises PeerMisbehaved."""
    for each in told.values():
        check_told(db, each)
    known_keys = federation.key_ring.known_keys(db)
    received = []
    for offset, event in enumerate(page):
        state = told.get(event.event_id)
        verdict = receive_history_event(
            db,
            room,
            event,
            known_keys,
            position=position + offset,
            state_before=None if state is None else add_told_snapshot(db, room, state),
        )
        if isinstance(verdict, (Accepted, Rejected)):
            received.append(event)
    return received


async def _place_amid(federation: Federation, server: ServerName, room: Room, gap: Gap, event_id: EventID) -> bool:
    """Fetch an event from amid a gap, which is two gaps then."""
    if await federation.read(partial(select_placed, event_ids=[event_id])):
        return False
    event = await ask_event(federation.client, server, room, event_id)
    told = await _fetch_state(federation, server, room, event)
    await _fetch_what_decides(federation, server, room, [event])
    return await federation.commits.database.write(partial(_split, federation, gap, event, told))


def _split(federation: Federation, gap: Gap, event: Event, told: ToldState, db: Db) -> bool:
    room, now = get_room(db, gap.room_nid), find_gap(db, gap.room_nid, gap.top)
    if now != gap or gap.room_left < _MAX_MISSING:
        return False
    position = (gap.bottom + gap.floor) // 2
    if not _receive(federation, db, room, [event], {event.event_id: told}, position=position):
        return False
    missing = frozenset(event.prev_events)
    split_gap(db, gap, position, missing - select_placed(db, missing))
    note_arrival(db, room.room_nid, event.event_id)
    return True
