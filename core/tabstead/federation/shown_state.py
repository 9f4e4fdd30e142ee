"""What another server shows of a room to somebody who is invited to it or knocks on it.

Since version 1.16 of the specification these are whole events, which can be checked. Servers that are older send them
stripped, as clients see them: they are believed as much as whoever sends them, for rooms whose ID is not a promise.
(server-server API, "Inviting to a room": invite_room_state; "Knocking upon a room": knock_room_state)
"""

from typing import Any, Final

from tabstead.errors import InvalidParam, MatrixError, OutboundFailed
from tabstead.federation.federation import Federation
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event, to_stripped_state
from tabstead.protocol.room_versions import RoomVersion
from tabstead.protocol.signatures import MissingKeys, check_event_signatures
from tabstead.rooms.receive import parse_pdu
from tabstead.storage.database import Db

MAX_EVENTS: Final = 100
_STRIPPED_KEYS: Final = frozenset({"type", "state_key", "sender", "content"})


async def read_shown_state(federation: Federation, given: object, room_id: str, version: RoomVersion) -> list[JsonDict]:
    """As stripped state, what of it holds; the rest is left out."""
    shown, problems = await _check_all(federation, given, room_id, version)
    return [] if problems and version.room_id_is_create_hash and not _has_create(shown) else shown


async def check_shown_state(
    federation: Federation, given: object, room_id: str, version: RoomVersion
) -> list[JsonDict]:
    """The same, which must hold as a whole where the room's version demands it (v12-). Raises InvalidParam."""
    shown, problems = await _check_all(federation, given, room_id, version)
    if not version.room_id_is_create_hash:
        return shown
    if problems:
        raise InvalidParam(f"invite_room_state: {problems[0]}")
    if not _has_create(shown):
        raise InvalidParam("invite_room_state: the room's create event is missing.")
    return shown


async def _check_all(
    federation: Federation, given: object, room_id: str, version: RoomVersion
) -> tuple[list[JsonDict], list[str]]:
    shown: list[JsonDict] = []
    problems: list[str] = []
    for item in given[:MAX_EVENTS] if isinstance(given, list) else ():
        try:
            shown.append(await _check(federation, item, room_id, version))
        except MatrixError as error:
            problems.append(error.sentence)
    return shown, problems


async def _check(federation: Federation, item: Any, room_id: str, version: RoomVersion) -> JsonDict:
    """One event as stripped state. Raises BadJson, TooLarge, InvalidParam."""
    if not version.room_id_is_create_hash and _is_stripped(item):
        return {key: item[key] for key in ("type", "state_key", "sender", "content")}
    event = parse_pdu(item, room_id, version)
    if not event.is_state:
        raise InvalidParam(f"{event.event_id} is no state event.")
    problem = await federation.read(lambda db: _check_signatures(federation, db, event, version))
    if isinstance(problem, MissingKeys):
        try:
            await federation.key_ring.fetch_keys(problem.server_name)
        except OutboundFailed as failure:
            raise InvalidParam(f"The keys of {problem.server_name} can't be had.") from failure
        problem = await federation.read(lambda db: _check_signatures(federation, db, event, version))
    if problem is not None:
        raise InvalidParam(f"{event.event_id} is not signed by {problem.server_name}.")
    return to_stripped_state(event)


def _check_signatures(federation: Federation, db: Db, event: Event, version: RoomVersion) -> Any:
    return check_event_signatures(event.pdu, version, federation.key_ring.known_keys(db))


def _is_stripped(item: Any) -> bool:
    """Whether it is an event without what could be checked."""
    return (
        isinstance(item, dict)
        and "signatures" not in item
        and all(isinstance(item.get(key), str) for key in ("type", "state_key", "sender"))
        and isinstance(item.get("content"), dict)
    )


def _has_create(shown: list[JsonDict]) -> bool:
    return any(event["type"] == "m.room.create" and event["state_key"] == "" for event in shown)
