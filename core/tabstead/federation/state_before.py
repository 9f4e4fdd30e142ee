"""The state before an event that others know and we don't: asked of a server that has it, as little of it as need be.

A server tells the ids; most of the events are here already. A few that aren't are asked for one by one, many as the
whole state at once. What is told is that server's claim: each event passes the checks that need no place, and the
state counts for the one event that it was asked for. What it makes of the room's current state, state resolution says.
"""

import asyncio
from collections.abc import Collection, Iterable
from functools import partial
from typing import Final

from tabstead.errors import PeerMisbehaved
from tabstead.federation.asking import ask_auth_chain, ask_events, ask_state, ask_state_ids
from tabstead.federation.federation import Federation
from tabstead.federation.told_state import MAX_EVENTS, ToldState, persist_told_events
from tabstead.protocol.identifiers import EventID, ServerName
from tabstead.storage.events import select_event_nids, select_events_by_id
from tabstead.storage.rooms import Room

_SINGLY: Final = 50
"""So many events are asked for one by one."""
_SLICE: Final = 500
_MAX_AUTH_EVENTS: Final = 100
_MAX_AUTH_DEPTH: Final = 10
"""So many auth events of auth events are asked for one by one; then the whole chain is."""


async def fetch_state_before(
    federation: Federation,
    server: ServerName,
    room: Room,
    event_id: EventID,
    auth_events: Collection[EventID] = (),
    *,
    is_part_enough: bool = False,
) -> ToldState:
    """The state before an event as a server tells it, with each event stored, and these auth events too.

    An event that does not come, or can't be verified now, may come from another server or later: a state without it
    would be another one. Only where `is_part_enough` is the rest taken for it. Raises OutboundFailed.
    """
    ids = await ask_state_ids(federation.client, server, room, event_id)
    if len(ids.state) + len(ids.auth_chain) > MAX_EVENTS:
        raise PeerMisbehaved(f"{server} tells a state of more than {MAX_EVENTS} events.")
    missing = await _select_missing(federation, (*ids.state, *ids.auth_chain, *auth_events))
    told = ToldState(room.room_id, room.version)
    if len(missing) > _SINGLY:
        await _ask_whole(federation, server, room, event_id, told)
        for event in await ask_events(federation.client, server, room, missing & set(auth_events)):
            told.add_auth_event(event.pdu)
    else:
        of_state = set(ids.state)
        await _note_stored(federation, room, told, [each for each in ids.state if each not in missing])
        for event in await ask_events(federation.client, server, room, missing):
            if event.event_id in of_state:
                told.add_state(event.pdu)
            else:
                told.add_auth_event(event.pdu)
    await persist_told_events(federation, room, told)
    if not is_part_enough and await _select_missing(federation, ids.state):
        raise PeerMisbehaved(f"{server} does not give all of the state that it tells.")
    return told


async def fetch_auth_events(
    federation: Federation, server: ServerName, room: Room, event_id: EventID, missing: Iterable[EventID]
) -> None:
    """Store an event's auth events that aren't here, as far as a server gives them. Raises OutboundFailed."""
    told = ToldState(room.room_id, room.version)
    asked: set[EventID] = set()
    wanted = set(missing)
    for _ in range(_MAX_AUTH_DEPTH):
        if len(asked) + len(wanted) > _MAX_AUTH_EVENTS:
            break
        asked |= wanted
        behind: set[EventID] = set()
        for event in await ask_events(federation.client, server, room, sorted(wanted)):
            told.add_auth_event(event.pdu)
            behind.update(event.auth_events)
        wanted = await _select_missing(federation, behind - asked)
        if not wanted:
            break
    if wanted:
        for pdu in await ask_auth_chain(federation.client, server, room, event_id):
            told.add_auth_event(pdu)
    await persist_told_events(federation, room, told)


async def _select_missing(federation: Federation, event_ids: Collection[EventID]) -> set[EventID]:
    """Those of the events that aren't here."""
    missing = set(event_ids)
    for part in _slices(list(missing)):
        missing -= (await federation.read(partial(select_event_nids, event_ids=part))).keys()
        await asyncio.sleep(0)
    return missing


async def _note_stored(federation: Federation, room: Room, told: ToldState, event_ids: list[EventID]) -> None:
    """Note what of a state is here."""
    for part in _slices(event_ids):
        found = await federation.read(partial(select_events_by_id, event_ids=part))
        for stored in found.values():
            if stored.room_nid != room.room_nid:
                raise PeerMisbehaved("The state that was told is none of the room's.")
            told.note_state(stored.event)
        await asyncio.sleep(0)


async def _ask_whole(
    federation: Federation, server: ServerName, room: Room, event_id: EventID, told: ToldState
) -> None:
    state, auth_chain = await ask_state(federation.client, server, room, event_id)
    for pdus, add in ((state, told.add_state), (auth_chain, told.add_auth_event)):
        for number, pdu in enumerate(pdus):
            add(pdu)
            if number % _SLICE == 0:
                await asyncio.sleep(0)


def _slices(event_ids: list[EventID]) -> Iterable[list[EventID]]:
    for start in range(0, len(event_ids), _SLICE):
        yield event_ids[start : start + _SLICE]
