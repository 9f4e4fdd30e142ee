"""Join a room that this server is not in, through a server that is.

The resident server gives a template of the join and, once it has the signed event, tells the state before it and the
auth chains. These are stored first, as outliers, which nobody sees. Then, in one transaction, the state's snapshot is
made and the join takes its place, and with it the room is there: who is killed before has joined nothing, whatever the
resident server believes, and tries again; what was stored spares the second attempt some work.

A room is joined once at a time: who wants to join it meanwhile finds this server in the room and goes on here.
(server-server API, "Joining Rooms", "Restricted rooms")
"""

from collections.abc import Iterable
from functools import partial
from typing import Final

from tabstead.errors import PeerMisbehaved
from tabstead.federation.client import Question, federation_path
from tabstead.federation.federation import Federation
from tabstead.federation.membership_events import (
    Template,
    ask_for_template,
    begin_room,
    complete,
    try_servers,
)
from tabstead.federation.send_join_response import SendJoinResponse
from tabstead.federation.told_state import ToldState, add_told_snapshot, persist_told_events
from tabstead.protocol.auth_rules.room_state import CREATE
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event, parse_event
from tabstead.protocol.identifiers import RoomID, ServerName, find_server_name_of
from tabstead.rooms.handshakes import AUTHORISER
from tabstead.rooms.receive import receive_pdu
from tabstead.rooms.state import find_event_in
from tabstead.rooms.verdicts import Accepted, Dropped, MissingEvents, Rejected, SoftFailed, Verdict
from tabstead.storage.database import Db
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import Room, find_room

_SEND_TIMEOUT_MS: Final = 5 * 60_000
"""A resident server with a big room takes its time."""
_MAX_ANSWER_BYTES: Final = 512 * 1024 * 1024


async def join_remotely(
    federation: Federation, room_id: RoomID, user_id: str, servers: Iterable[str], content: JsonDict
) -> bool:
    """Join a user to a room through one of these servers, which are tried one after another.

    False: this server has come into the room meanwhile, so that the user joins it here. Raises OutboundFailed,
    NotFound if no server is known.
    """
    async with federation.entering.hold(room_id):
        if await federation.read(lambda db: is_resident(federation, db, room_id)):
            return False
        await authorise_remotely(federation, room_id, user_id, servers, content)
        return True


async def authorise_remotely(
    federation: Federation, room_id: RoomID, user_id: str, servers: Iterable[str], content: JsonDict
) -> None:
    """The same whether this server is in the room or not: others may let a user in where it can't."""
    await try_servers(
        federation, servers, lambda server_name: _join_through(federation, server_name, room_id, user_id, content)
    )


def is_resident(federation: Federation, db: Db, room_id: str) -> bool:
    """Whether this server is in the room."""
    room = find_room(db, room_id)
    return room is not None and is_server_in(db, room.room_nid, federation.server.name)


async def _join_through(
    federation: Federation, server_name: ServerName, room_id: RoomID, user_id: str, content: JsonDict
) -> None:
    template = await ask_for_template(federation, server_name, room_id=room_id, user_id=user_id, membership="join")
    event = complete(federation.server, template, content)
    told = ToldState(room_id, template.version)
    response = SendJoinResponse(told)
    await federation.client.exchange(
        server_name,
        Question(
            method="PUT",
            path=federation_path("v2", "send_join", room_id, event.event_id),
            query={"omit_members": "false"},
            content=event.pdu,
            timeout_ms=_SEND_TIMEOUT_MS,
            max_bytes=_MAX_ANSWER_BYTES,
        ),
        take=response.feed,
    )
    response.end()
    if response.members_omitted:
        raise PeerMisbehaved(f"{server_name} tells of the room without its members.")
    if CREATE not in told.state:
        raise PeerMisbehaved(f"{server_name} tells of a room that was never created.")
    joined = _with_authorisation(template, event, response.event)
    room = await federation.write(lambda db: begin_room(db, room_id, template.version))
    await persist_told_events(federation, room, told)
    await federation.write(partial(_enter, federation, room, joined, told))


def _with_authorisation(template: Template, event: Event, returned: JsonDict | None) -> Event:
    """The join with the signature of the server that authorises it, where one must. Raises PeerMisbehaved."""
    authoriser = event.content.get(AUTHORISER)
    if not isinstance(authoriser, str):
        return event
    server_name = find_server_name_of(authoriser)
    signatures = {} if returned is None else returned.get("signatures")
    added = signatures.get(server_name) if isinstance(signatures, dict) else None
    if not isinstance(added, dict):
        raise PeerMisbehaved(f"{template.server_name} did not sign the join that it authorises.")
    pdu = {**event.pdu, "signatures": {**event.pdu["signatures"], server_name: added}}
    return parse_event(pdu, template.version)


def _enter(federation: Federation, room: Room, event: Event, told: ToldState, db: Db) -> None:
    """Let the join take its place, and this server be in the room. Raises PeerMisbehaved."""
    known_keys = federation.key_ring.known_keys(db)
    verdict: Verdict | None = None
    if is_server_in(db, room.room_nid, federation.server.name):
        verdict = receive_pdu(db, federation.server, room, event.pdu, known_keys)
    if verdict is None or isinstance(verdict, MissingEvents):
        snapshot = add_told_snapshot(db, room, told)
        if find_event_in(db, snapshot, *CREATE) is None:
            raise PeerMisbehaved("A room was told of whose create event does not hold.")
        verdict = receive_pdu(db, federation.server, room, event.pdu, known_keys, state_before=snapshot)
    if not isinstance(verdict, Accepted):
        why = verdict.reason if isinstance(verdict, (Dropped, Rejected, SoftFailed)) else "its auth events are missing"
        raise PeerMisbehaved(f"A room was told of whose state does not allow the join: {why}")
