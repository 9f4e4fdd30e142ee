"""A room's state as another server tells it: where this server was not there to see it come about.

Joining a room, or coming to an event behind a gap, there is no other way to the state before an event than to ask a
server that has it. It tells the state's events, and the auth chains behind them. `ToldState` takes them as they come,
one by one, and keeps little more than their bytes; `persist_told_events` checks them like all events and stores them
as outliers; `add_told_snapshot` makes the state's snapshot, in the transaction that uses it.

What can't be verified is left out: an event whose server's keys nobody has, or that names one which was left out. What
the rules reject is stored and is no part of the state. Events are stored in the order of their auth chains and in
slices, each a transaction of its own, so that others get their turn; what was stored before a server was killed is
outliers, which nobody sees, and is there for the next attempt.
(server-server API, "Joining Rooms", "Retrieving a room's state")
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from tabstead.errors import MatrixError, OutboundFailed, PeerMisbehaved
from tabstead.federation.federation import Federation
from tabstead.protocol.auth_rules.room_state import CREATE
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event, load_event
from tabstead.protocol.identifiers import EventID, RoomID, ServerName, StateTuple, is_server_name
from tabstead.protocol.room_versions import RoomVersion
from tabstead.protocol.signatures import GetVerifyKeys, MissingKeys, VerifyKey, required_signers
from tabstead.rooms.receive import parse_pdu, receive_parsed_outlier
from tabstead.rooms.verdicts import MissingEvents
from tabstead.storage.database import Db
from tabstead.storage.events import Standing, select_standings
from tabstead.storage.rooms import Room, get_room
from tabstead.storage.state_history import EMPTY, add_snapshot, read_state

MAX_EVENTS: Final = 500_000
_SLICE: Final = 48
"""Events in a transaction: some 50 ms."""
_KEY_REQUESTS: Final = 32
"""Servers that are asked for their keys at the same time."""
_KEYS_TIMEOUT_S: Final = 60.0
"""So long keys are waited for; what is signed by servers that don't answer is left out."""


@dataclass(frozen=True, slots=True)
class _ToldEvent:
    """An event whose format was checked."""

    event_id: EventID
    auth_events: tuple[EventID, ...]
    encoded: bytes
    """The PDU."""


class ToldState:
    """The events of a state and of its auth chains, as a server tells them of a room."""

    def __init__(self, room_id: RoomID, version: RoomVersion) -> None:
        self.room_id = room_id
        self.version = version
        self.state: dict[StateTuple, EventID] = {}
        self.key_ids: dict[ServerName, set[str]] = {}
        """What the events are signed with, of servers that must have signed them."""
        self._events: dict[EventID, _ToldEvent] = {}

    def add_state(self, pdu: object) -> None:
        """An event of the state. Raises PeerMisbehaved."""
        event = self._add(pdu)
        if event is not None:
            self.note_state(event)

    def add_auth_event(self, pdu: object) -> None:
        """An event of an auth chain. Raises PeerMisbehaved."""
        self._add(pdu)

    def note_state(self, event: Event) -> None:
        """An event of the state that is stored here. Raises PeerMisbehaved."""
        if not event.is_state or self.state.setdefault(event.state_tuple, event.event_id) != event.event_id:
            raise PeerMisbehaved("The state that was told is none.")

    def in_auth_order(self) -> list[_ToldEvent]:
        """All that were told, each behind those of its auth events that were told too. What goes round is left out."""
        ordered: list[_ToldEvent] = []
        waiting = {
            event_id: sum(auth_event in self._events for auth_event in event.auth_events)
            for event_id, event in self._events.items()
        }
        named_by: dict[EventID, list[EventID]] = {}
        for event_id, event in self._events.items():
            for auth_event in event.auth_events:
                if auth_event in self._events:
                    named_by.setdefault(auth_event, []).append(event_id)
        ready = [event_id for event_id, count in waiting.items() if count == 0]
        while ready:
            event_id = ready.pop()
            ordered.append(self._events[event_id])
            for follower in named_by.get(event_id, ()):
                waiting[follower] -= 1
                if waiting[follower] == 0:
                    ready.append(follower)
        return ordered

    def load(self, told: _ToldEvent) -> Event:
        return load_event(json.loads(told.encoded), event_id=told.event_id, room_version=self.version)

    def _add(self, pdu: object) -> Event | None:
        """None for what is no event of the room."""
        if len(self._events) >= MAX_EVENTS:
            raise PeerMisbehaved(f"More than {MAX_EVENTS} events were told of a room.")
        try:
            event = parse_pdu(pdu, self.room_id, self.version)
        except MatrixError:
            return None
        if event.event_id not in self._events:
            encoded = json.dumps(event.pdu, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
            auth_events = tuple(dict.fromkeys([*event.auth_events, *self._implied(event)]))
            self._events[event.event_id] = _ToldEvent(event.event_id, auth_events, encoded)
            self._note_signers(event.pdu)
        return event

    def _implied(self, event: Event) -> list[EventID]:
        """v12-: the create event, which events don't name among their auth events."""
        is_implied = self.version.room_id_is_create_hash and event.type != CREATE[0]
        return [EventID("$" + self.room_id[1:])] if is_implied else []

    def _note_signers(self, pdu: JsonDict) -> None:
        for server_name in required_signers(pdu, self.version):
            signatures = pdu["signatures"].get(server_name)
            if signatures and is_server_name(server_name):
                self.key_ids.setdefault(server_name, set()).update(signatures)


async def persist_told_events(federation: Federation, room: Room, told: ToldState) -> None:
    """Store what was told, as far as it holds."""
    await fetch_keys(federation, await federation.read(lambda db: _select_unknown_signers(federation, db, told)))
    left = told.in_auth_order()
    asked: set[ServerName] = set()
    while left:
        left, unsigned_by = await _persist(federation, room, told, left)
        if unsigned_by <= asked:
            return
        await fetch_keys(federation, unsigned_by - asked)
        asked |= unsigned_by


def check_told(db: Db, told: ToldState) -> None:
    """Refuse a state in which the room was never created. Raises PeerMisbehaved."""
    create = told.state.get(CREATE)
    standings = {} if create is None else select_standings(db, [create])
    if all(standing is Standing.REJECTED for _, standing in standings.values()):
        raise PeerMisbehaved("A state was told in which the room was never created.")


def add_told_snapshot(db: Db, room: Room, told: ToldState) -> int:
    """The snapshot of the state that was told, of what of it is stored and was not rejected."""
    room = get_room(db, room.room_nid)
    standings = select_standings(db, told.state.values())
    event_nids = {event_id: nid for nid, (event_id, standing) in standings.items() if standing is not Standing.REJECTED}
    entries = {key: event_nids[event_id] for key, event_id in told.state.items() if event_id in event_nids}
    gone: Mapping[StateTuple, None] = {}
    if room.state_snapshot != EMPTY:
        before = read_state(db, room.state_snapshot)
        gone = {state_tuple: None for state_tuple in before if state_tuple not in entries}
    return add_snapshot(db, room.room_nid, room.state_snapshot, {**gone, **entries})


async def _persist(
    federation: Federation, room: Room, told: ToldState, events: list[_ToldEvent]
) -> tuple[list[_ToldEvent], set[ServerName]]:
    """Receive these events. What has to wait, and the servers whose keys it waits for."""
    waiting: list[_ToldEvent] = []
    servers: set[ServerName] = set()
    for part in _slices(events):
        late, unsigned_by = await federation.write(partial(_receive, federation, room, told, part))
        waiting += late
        servers |= unsigned_by
        await asyncio.sleep(0)
    return waiting, servers


def _receive(
    federation: Federation, room: Room, told: ToldState, events: list[_ToldEvent], db: Db
) -> tuple[list[_ToldEvent], set[ServerName]]:
    known_keys = _remembering(federation.key_ring.known_keys(db))
    waiting: list[_ToldEvent] = []
    servers: set[ServerName] = set()
    for event in events:
        verdict = receive_parsed_outlier(db, room, told.load(event), known_keys)
        if isinstance(verdict, MissingKeys):
            servers.add(verdict.server_name)
        if isinstance(verdict, (MissingKeys, MissingEvents)):
            waiting.append(event)
    return waiting, servers


def _remembering(get_verify_keys: GetVerifyKeys) -> GetVerifyKeys:
    """The same, looked up once: a few servers sign most of a room's events."""
    found: dict[tuple[ServerName, tuple[str, ...]], Mapping[str, VerifyKey]] = {}

    def get(server_name: ServerName, key_ids: Iterable[str]) -> Mapping[str, VerifyKey]:
        key = server_name, tuple(key_ids)
        if key not in found:
            found[key] = get_verify_keys(*key)
        return found[key]

    return get


def _slices(events: list[_ToldEvent]) -> Iterator[list[_ToldEvent]]:
    for start in range(0, len(events), _SLICE):
        yield events[start : start + _SLICE]


def _select_unknown_signers(federation: Federation, db: Db, told: ToldState) -> set[ServerName]:
    find_keys = federation.key_ring.known_keys(db)
    return {server for server, key_ids in told.key_ids.items() if not find_keys(server, key_ids)}


async def fetch_keys(federation: Federation, servers: Iterable[ServerName]) -> None:
    """Fetch what can be had of these servers' keys."""
    gate = asyncio.Semaphore(_KEY_REQUESTS)

    async def fetch(server: ServerName) -> None:
        async with gate:
            with suppress(OutboundFailed):
                await federation.key_ring.fetch_keys(server)

    fetching = [asyncio.ensure_future(fetch(server)) for server in servers]
    if not fetching:
        return
    _, late = await asyncio.wait(fetching, timeout=_KEYS_TIMEOUT_S)
    for task in late:
        task.cancel()
