"""Take in the memberships that other servers hand in for their users: joins, knocks and leaves.

Each is checked like every event, and is told to the other servers in the room by this one, since the user's server need
not know them. A join may need the authorisation of somebody here: then this server signs it, too.
(server-server API, "Joining Rooms", "Knocking upon a room", "Leaving Rooms")
"""

from dataclasses import dataclass
from functools import partial

from tabstead.errors import Forbidden, InvalidParam, MatrixError, OutboundFailed
from tabstead.federation.event_lists import encode_events
from tabstead.federation.federation import Federation
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import ServerName
from tabstead.protocol.signatures import MissingKeys
from tabstead.rooms.handshakes import authorise_join, check_handed_in, get_resident_room, select_shown_state
from tabstead.rooms.receive import parse_pdu, receive_pdu
from tabstead.rooms.verdicts import Accepted, Dropped, Rejected, SoftFailed, Verdict
from tabstead.storage.auth_chains import select_auth_chain
from tabstead.storage.database import Db
from tabstead.storage.events import find_event
from tabstead.storage.outbound_news import insert_relay
from tabstead.storage.room_servers import select_servers
from tabstead.storage.rooms import get_room
from tabstead.storage.state_history import read_entries

_KEY_FETCHES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedIn:
    """What the path and the body of a request say."""

    origin: ServerName
    room_id: str
    event_id: str
    membership: str
    pdu: JsonDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A membership that has its place in the room."""

    room_nid: int
    event_nid: int
    pdu: JsonDict
    """With all signatures."""
    state_before: int
    servers_before: list[ServerName]
    """Those in the room before."""


async def admit(federation: Federation, given: HandedIn) -> Admitted:
    """Let the event take its place. Raises NotFound, Forbidden, InvalidParam, UnableToAuthoriseJoin, …"""
    room = await federation.read(lambda db: get_resident_room(db, federation.server, given.room_id, given.origin))
    try:
        event = parse_pdu(given.pdu, room.room_id, room.version)
    except MatrixError as error:
        raise InvalidParam(error.sentence) from error
    check_handed_in(event, membership=given.membership, origin=given.origin, event_id=given.event_id)
    found = await federation.write(partial(_receive, federation, given, event))
    for _ in range(_KEY_FETCHES):
        if not isinstance(found, MissingKeys):
            break
        try:
            await federation.key_ring.fetch_keys(found.server_name)
        except OutboundFailed as failure:
            raise InvalidParam(f"The keys of {found.server_name} can't be had.") from failure
        found = await federation.write(partial(_receive, federation, given, event))
    return _admitted(found)


async def encode_room_before(federation: Federation, join: Admitted) -> tuple[bytes, bytes]:
    """The state before a join, and the auth chains of it and of the join, as JSON arrays without their brackets."""
    state, auth_chain = await federation.read(partial(_select_room_before, join))
    return await encode_events(federation, state), await encode_events(federation, auth_chain)


async def show_room(federation: Federation, knock: Admitted) -> list[JsonDict]:
    """What somebody who knocks may know of the room."""
    return await federation.read(lambda db: select_shown_state(db, get_room(db, knock.room_nid)))


def _receive(federation: Federation, given: HandedIn, event: Event, db: Db) -> Admitted | Verdict:
    server = federation.server
    room = get_resident_room(db, server, given.room_id, given.origin)
    servers_before = select_servers(db, room.room_nid)
    known = find_event(db, event.event_id)
    is_new = known is None or known.stream_position is None
    pdu = authorise_join(db, server, room, event) if is_new and given.membership == "join" else event.pdu
    verdict = receive_pdu(db, server, room, pdu, federation.key_ring.known_keys(db))
    if not isinstance(verdict, Accepted):
        return verdict
    if is_new:
        insert_relay(db, verdict.event.position, given.origin)
    return Admitted(
        room_nid=room.room_nid,
        event_nid=verdict.event.event_nid,
        pdu=verdict.event.event.pdu,
        state_before=verdict.event.state_before,
        servers_before=servers_before,
    )


def _admitted(found: Admitted | Verdict) -> Admitted:
    if isinstance(found, Admitted):
        return found
    if isinstance(found, Dropped):
        raise InvalidParam(f"The event does not hold: {found.reason}.")
    if isinstance(found, (Rejected, SoftFailed)):
        raise Forbidden(f"The room does not allow this: {found.reason}.")
    raise InvalidParam("The event refers to what can't be had here.")


def _select_room_before(join: Admitted, db: Db) -> tuple[list[int], list[int]]:
    state = read_entries(db, join.state_before).values()
    return sorted(state), sorted(select_auth_chain(db, [*state, join.event_nid]))
