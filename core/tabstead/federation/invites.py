"""Invites by other servers: this server signs those of its users, and keeps them for rooms that it is not in.

(server-server API, "Inviting to a room")
"""

from dataclasses import dataclass
from functools import partial

from tabstead.errors import Forbidden, IncompatibleRoomVersion, InvalidParam, MatrixError, OutboundFailed
from tabstead.federation.federation import Federation
from tabstead.federation.membership_events import begin_room
from tabstead.federation.shown_state import check_shown_state
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import ServerName, find_server_name_of, server_name_of
from tabstead.protocol.room_versions import ROOM_VERSIONS, RoomVersion
from tabstead.protocol.signatures import (
    BadSignature,
    MissingKeys,
    check_content_hash,
    check_event_signatures,
    sign_event,
)
from tabstead.rooms.invite_permission import check_takes_invites
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.receive import parse_pdu
from tabstead.rooms.server_access import check_server_access
from tabstead.storage.database import Db
from tabstead.storage.events import get_event
from tabstead.storage.memberships import find_membership
from tabstead.storage.out_of_band import find_preview, insert_out_of_band
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import Room, find_room
from tabstead.storage.users import find_user


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenInvite:
    """What the path and the body of a request say."""

    origin: ServerName
    room_id: str
    event_id: str
    room_version: str
    pdu: JsonDict
    shown_state: object


async def accept_invite(federation: Federation, given: GivenInvite) -> JsonDict:
    """The invite with this server's signature. Raises InvalidParam, Forbidden, IncompatibleRoomVersion."""
    version = ROOM_VERSIONS.get(given.room_version)
    if version is None:
        raise IncompatibleRoomVersion("This server does not know the room's version.", room_version=given.room_version)
    try:
        event = parse_pdu(given.pdu, given.room_id, version)
    except MatrixError as error:
        raise InvalidParam(error.sentence) from error
    _check_is_invite(federation.server, given, event)
    await _check_whole(federation, event, version)
    shown = await check_shown_state(federation, given.shown_state, given.room_id, version)
    server = federation.server
    signed = sign_event(event.pdu, version, server.name, server.signing_key)
    invite = parse_pdu(signed, given.room_id, version)
    await federation.write(partial(_keep, server, invite, version, shown))
    return signed


def _check_is_invite(server: LocalServer, given: GivenInvite, event: Event) -> None:
    """ "Servers MUST apply certain validation to ensure they don't accidentally sign non-invite events"."""
    if event.event_id != given.event_id:
        raise InvalidParam("The event is not the one that the path names.")
    if event.type != "m.room.member" or event.membership != "invite":
        raise InvalidParam("The event is no invite.")
    if find_server_name_of(event.sender) != given.origin:
        raise InvalidParam("The sender is not a user of the server that asks.")
    if event.state_key is None or not server.owns(event.state_key):
        raise InvalidParam("The invited user is not one of this server's.")


async def _check_whole(federation: Federation, event: Event, version: RoomVersion) -> None:
    """Raises InvalidParam for an event that isn't what its servers signed."""
    if not check_content_hash(event.pdu):
        raise InvalidParam("The event is not whole.")
    check = partial(_check_signatures, federation, event, version)
    problem = await federation.read(check)
    if isinstance(problem, MissingKeys):
        try:
            await federation.key_ring.fetch_keys(problem.server_name)
        except OutboundFailed as failure:
            raise InvalidParam(f"The keys of {problem.server_name} can't be had.") from failure
        problem = await federation.read(check)
    if problem is not None:
        raise InvalidParam(f"The event is not signed by {problem.server_name}.")


def _check_signatures(
    federation: Federation, event: Event, version: RoomVersion, db: Db
) -> BadSignature | MissingKeys | None:
    return check_event_signatures(event.pdu, version, federation.key_ring.known_keys(db))


def _keep(server: LocalServer, event: Event, version: RoomVersion, shown: list[JsonDict], db: Db) -> None:
    """Raises Forbidden, InvalidParam."""
    target, origin = str(event.state_key), server_name_of(event.sender)
    user = find_user(db, target)
    if user is None or user.is_deactivated:
        raise Forbidden(f"{target} takes no invites.")
    check_takes_invites(db, target)
    room = find_room(db, event.room_id)
    if room is not None and is_server_in(db, room.room_nid, server.name):
        check_server_access(db, room, origin)
        return  # it comes once more, with its place in the room
    room = begin_room(db, event.room_id, version)
    if room.version is not version:
        raise InvalidParam("The room is of another version.")
    event_nid = insert_out_of_band(db, room.room_nid, event, shown_state=shown, servers=[origin])
    invite = get_event(db, event_nid)
    for follow in server.followers:
        follow(db, invite)


def is_outside(db: Db, server: LocalServer, room: Room) -> bool:
    """Whether the room is known here by out-of-band memberships alone, or from before this server left it."""
    return not is_server_in(db, room.room_nid, server.name)


async def end_out_of_band(federation: Federation, event: Event, version: RoomVersion) -> str:
    """Follow the end of an invite or a knock: a leave or a ban by somebody in a room that this server is not in.

    Nothing of the room is known here by which it could be judged. It is believed of the servers that had to do with the
    membership, and of whoever knows the event that it ends. Why it is refused; "" if it isn't.
    """
    if event.type != "m.room.member" or event.membership not in {"leave", "ban"}:
        return "This server is not in the room."
    try:
        await _check_whole(federation, event, version)
    except InvalidParam as error:
        return error.sentence
    return await federation.write(partial(_end, federation.server, event))


def _end(server: LocalServer, event: Event, db: Db) -> str:
    room, target = find_room(db, event.room_id), str(event.state_key)
    if room is None or not server.owns(target) or not is_outside(db, server, room):
        return "This server is not in the room."
    member, preview = find_membership(db, target, room.room_nid), find_preview(db, room.room_nid, target)
    if member is None or member.membership not in {"invite", "knock"} or preview is None:
        return "The event ends nothing."
    if find_server_name_of(event.sender) not in preview.servers:
        ended = get_event(db, member.event_nid)
        if ended.event_id not in event.auth_events:
            return "The event does not say what it ends."
    insert_out_of_band(db, room.room_nid, event, shown_state=[], servers=preview.servers)
    return ""
