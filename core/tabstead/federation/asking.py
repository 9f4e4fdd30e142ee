"""Ask other servers for events: single ones, those between others, the state and the auth chain of one.

What comes back is JSON whose outline was checked; whether it is what it seems is for the checks on receipt to say. An
answer is cut at a limit, whatever was asked for.
(server-server API, "Retrieving missing events", "Backfilling and retrieving missing events", "Retrieving events")
"""

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from tabstead.errors import MatrixError, OutboundFailed, PeerMisbehaved
from tabstead.federation.client import FederationClient, Question, federation_path
from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import EventID, ServerName, is_event_id
from tabstead.rooms.receive import parse_pdu
from tabstead.storage.rooms import Room

MAX_EVENTS: Final = 100
"""In an answer that has some of a room's events."""
_MAX_EVENTS_BYTES: Final = MAX_EVENTS * 66_000
_MAX_EVENT_BYTES: Final = 128 * 1024
_MAX_CHAIN_BYTES: Final = 16 * 1024 * 1024
_TIMEOUT_MS: Final = 15_000
_STATE_TIMEOUT_MS: Final = 60_000
_AT_ONCE: Final = 10
"""Single events that are asked for at the same time."""


class StateIds(NamedTuple):
    state: list[EventID]
    auth_chain: list[EventID]


async def ask_missing_events(
    client: FederationClient,
    server: ServerName,
    room: Room,
    *,
    earliest: Collection[EventID],
    latest: Collection[EventID],
    min_depth: int,
    limit: int,
) -> list[Event]:
    """Events between some that are here and some later ones, neither included. Raises OutboundFailed."""
    question = Question(
        method="POST",
        path=federation_path("v1", "get_missing_events", room.room_id),
        content={
            "earliest_events": sorted(earliest),
            "latest_events": sorted(latest),
            "limit": limit,
            "min_depth": min_depth,
        },
        timeout_ms=_TIMEOUT_MS,
        max_bytes=_MAX_EVENTS_BYTES,
    )
    answer = await client.ask(server, question)
    return _read_events(server, room, answer.get("events"), limit)


async def ask_backfill(
    client: FederationClient, server: ServerName, room: Room, event_ids: Collection[EventID], limit: int
) -> list[Event]:
    """These events and those before them. Raises OutboundFailed."""
    question = Question(
        method="GET",
        path=federation_path("v1", "backfill", room.room_id),
        query={"v": sorted(event_ids), "limit": str(limit)},
        timeout_ms=_TIMEOUT_MS,
        max_bytes=_MAX_EVENTS_BYTES,
    )
    answer = await client.ask(server, question)
    return _read_events(server, room, answer.get("pdus"), limit + len(event_ids))


async def ask_event(client: FederationClient, server: ServerName, room: Room, event_id: EventID) -> Event:
    """One event. Raises OutboundFailed."""
    question = Question(
        method="GET",
        path=federation_path("v1", "event", event_id),
        timeout_ms=_TIMEOUT_MS,
        max_bytes=_MAX_EVENT_BYTES,
    )
    answer = await client.ask(server, question)
    events = _read_events(server, room, answer.get("pdus"), 1)
    if [event.event_id for event in events] != [event_id]:
        raise PeerMisbehaved(f"{server} answers with another event than it was asked for.")
    return events[0]


async def ask_timestamp(
    client: FederationClient, server: ServerName, room: Room, ts: int, *, forwards: bool
) -> EventID:
    """The event nearest to a time (ms), at or after it, or at or before it. Raises OutboundFailed."""
    question = Question(
        method="GET",
        path=federation_path("v1", "timestamp_to_event", room.room_id),
        query={"ts": str(ts), "dir": "f" if forwards else "b"},
        timeout_ms=_TIMEOUT_MS,
        max_bytes=_MAX_EVENT_BYTES,
    )
    event_id = (await client.ask(server, question)).get("event_id")
    if not isinstance(event_id, str) or not is_event_id(event_id):
        raise PeerMisbehaved(f"{server} answers with what is no event ID.")
    return EventID(event_id)


async def ask_events(
    client: FederationClient, server: ServerName, room: Room, event_ids: Iterable[EventID]
) -> list[Event]:
    """Those of these events that the server gives."""
    gate = asyncio.Semaphore(_AT_ONCE)
    events: list[Event] = []

    async def ask(event_id: EventID) -> None:
        async with gate:
            with suppress(OutboundFailed):
                events.append(await ask_event(client, server, room, event_id))

    await asyncio.gather(*(ask(event_id) for event_id in event_ids))
    return events


async def ask_state_ids(client: FederationClient, server: ServerName, room: Room, event_id: EventID) -> StateIds:
    """The state before an event, and the auth chains of that. Raises OutboundFailed."""
    answer = await client.ask(server, _state_question("state_ids", room, event_id))
    state, auth_chain = (_read_event_ids(server, answer.get(key)) for key in ("pdu_ids", "auth_chain_ids"))
    return StateIds(state, auth_chain)


async def ask_state(
    client: FederationClient, server: ServerName, room: Room, event_id: EventID
) -> tuple[list[Any], list[Any]]:
    """The same as PDUs, not one of them looked at. Raises OutboundFailed."""
    answer = await client.ask(server, _state_question("state", room, event_id))
    state, auth_chain = answer.get("pdus"), answer.get("auth_chain")
    if not isinstance(state, list) or not isinstance(auth_chain, list):
        raise PeerMisbehaved(f"{server} answers with what is no state.")
    return state, auth_chain


async def ask_auth_chain(client: FederationClient, server: ServerName, room: Room, event_id: EventID) -> list[Any]:
    """The PDUs of an event's auth chain, not one of them looked at. Raises OutboundFailed."""
    question = Question(
        method="GET",
        path=federation_path("v1", "event_auth", room.room_id, event_id),
        timeout_ms=_STATE_TIMEOUT_MS,
        max_bytes=_MAX_CHAIN_BYTES,
    )
    auth_chain = (await client.ask(server, question)).get("auth_chain")
    if not isinstance(auth_chain, list):
        raise PeerMisbehaved(f"{server} answers with what is no auth chain.")
    return auth_chain


def _state_question(what: str, room: Room, event_id: EventID) -> Question:
    return Question(
        method="GET",
        path=federation_path("v1", what, room.room_id),
        query={"event_id": event_id},
        timeout_ms=_STATE_TIMEOUT_MS,
        max_bytes=_MAX_CHAIN_BYTES,
    )


def _read_events(server: ServerName, room: Room, pdus: object, limit: int) -> list[Event]:
    """The first of the PDUs that are events of the room."""
    if not isinstance(pdus, list):
        raise PeerMisbehaved(f"{server} answers with what are no events.")
    events = []
    for pdu in pdus[:limit]:
        with suppress(MatrixError):
            events.append(parse_pdu(pdu, room.room_id, room.version))
    return events


def _read_event_ids(server: ServerName, event_ids: object) -> list[EventID]:
    if not isinstance(event_ids, list) or not all(isinstance(each, str) and is_event_id(each) for each in event_ids):
        raise PeerMisbehaved(f"{server} answers with what are no event IDs.")
    return list(dict.fromkeys(map(EventID, event_ids)))
