"""Refuse an invite to a room that this server is not in, or take back a knock on it.

The servers of the room are asked for their part; where none of them answers, the user is rid of the room all the same:
by an event that this server makes alone and nobody else hears of.
(server-server API, "Leaving Rooms (Rejecting Invites)")
"""

import secrets
from collections.abc import Iterable
from functools import partial

from tabstead.errors import NotFound, OutboundFailed, PeerRefused
from tabstead.federation.client import Question, federation_path
from tabstead.federation.federation import Federation
from tabstead.federation.membership_events import ask_for_template, complete, try_servers
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event, build_event, parse_event, reference_hash
from tabstead.protocol.identifiers import EventID, ServerName, UserID
from tabstead.protocol.room_versions import EventIDFormat
from tabstead.protocol.signatures import sign_event
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Db
from tabstead.storage.events import get_event
from tabstead.storage.memberships import find_membership
from tabstead.storage.out_of_band import find_preview, insert_out_of_band
from tabstead.storage.rooms import Room


async def leave_remotely(
    federation: Federation, room: Room, user_id: str, servers: Iterable[str], content: JsonDict
) -> None:
    """Leave a room that this server is not in, through one of these servers if any of them can be had."""
    servers = list(servers)
    try:
        event = await try_servers(federation, servers, partial(_leave_through, federation, room, user_id, content))
    except (OutboundFailed, NotFound):
        await federation.write(partial(_leave_alone, federation.server, room, user_id, content))
        return
    await federation.write(lambda db: _follow(db, room, event))


async def _leave_through(
    federation: Federation, room: Room, user_id: str, content: JsonDict, server_name: ServerName
) -> Event:
    template = await ask_for_template(
        federation, server_name, room_id=room.room_id, user_id=user_id, membership="leave"
    )
    event = complete(federation.server, template, content)
    question = Question(
        method="PUT", path=federation_path("v2", "send_leave", room.room_id, event.event_id), content=event.pdu
    )
    try:
        await federation.client.ask(server_name, question)
    except PeerRefused as refusal:
        if refusal.errcode != "M_UNRECOGNIZED":
            raise
        first_version = federation_path("v1", "send_leave", room.room_id, event.event_id)
        await federation.client.exchange(server_name, Question(method="PUT", path=first_version, content=event.pdu))
    return event


def _leave_alone(server: LocalServer, room: Room, user_id: str, content: JsonDict, db: Db) -> None:
    member = find_membership(db, user_id, room.room_nid)
    if member is None or member.membership not in {"invite", "knock"}:
        return
    invite_or_knock = get_event(db, member.event_nid).event
    _follow(db, room, _build_lonely_leave(server, room, content, invite_or_knock))


def _build_lonely_leave(server: LocalServer, room: Room, content: JsonDict, member: Event) -> Event:
    """A leave whose place nobody can know: after the invite or the knock that it ends."""
    version = room.version
    before = [member.event_id]
    pdu = build_event(
        room_version=version,
        room_id=room.room_id,
        event_type="m.room.member",
        sender=UserID(str(member.state_key)),
        content=content,
        state_key=member.state_key,
        prev_events=before,
        auth_events=before,
        depth=member.depth + 1,
        origin_server_ts=server.now_ms(),
        event_id=EventID(f"${secrets.token_urlsafe(18)}:{server.name}")
        if version.event_id_format is EventIDFormat.IN_EVENT
        else None,
        reference_hashes={member.event_id: reference_hash(member.pdu, version)}
        if version.references_have_hashes
        else None,
    )
    return parse_event(sign_event(pdu, version, server.name, server.signing_key), version)


def _follow(db: Db, room: Room, event: Event) -> None:
    preview = find_preview(db, room.room_nid, event.sender)
    servers = [] if preview is None else preview.servers
    insert_out_of_band(db, room.room_nid, event, shown_state=[], servers=servers)
