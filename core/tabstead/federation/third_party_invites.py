"""Invites of people of whom an address was known: turned into invites of users, once somebody has bound the address.

The room holds an `m.room.third_party_invite` with the identity server's keys; that server signs whose the address is,
and tells the user's server, which asks the inviter's server for the invite proper. This server does both parts for
rooms and users that it has; it asks no identity server itself.
(server-server API, "Third-party invites")
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tabstead.errors import Forbidden, InvalidParam, MatrixError, NotFound, OutboundFailed
from tabstead.federation.client import Question, federation_path
from tabstead.federation.federation import Federation
from tabstead.federation.inviting import invite_remotely
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import ServerName, find_server_name_of, is_room_id, is_user_id
from tabstead.rooms.draft import Draft
from tabstead.rooms.handshakes import get_resident_room
from tabstead.rooms.invite_permission import check_takes_invites
from tabstead.rooms.receive import receive_pdu
from tabstead.rooms.send import build_next_event
from tabstead.rooms.verdicts import Accepted
from tabstead.storage.database import Db
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import find_room
from tabstead.storage.users import find_user

logger = logging.getLogger(__name__)

MAX_INVITES: Final = 100
"""That are told of with one address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundInvite:
    """An invite whose address is now a user's."""

    room_id: str
    sender: str
    user_id: str
    third_party_invite: JsonDict
    """With what the identity server `signed`."""

    @property
    def content(self) -> JsonDict:
        return {"membership": "invite", "third_party_invite": self.third_party_invite}


def parse_partial_event(room_id: str, event: JsonDict) -> BoundInvite:
    """The invite that another server asks for. Raises InvalidParam."""
    content = event.get("content")
    given = content.get("third_party_invite") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(given, dict) or not isinstance(given.get("signed"), dict):
        raise InvalidParam("content.third_party_invite: there is nothing signed.")
    if event.get("type") != "m.room.member" or content.get("membership") != "invite":
        raise InvalidParam("The event is no invite.")
    if event.get("room_id") != room_id:
        raise InvalidParam("room_id: not the one in the path.")
    sender, user_id = _user_id(event, "sender"), _user_id(event, "state_key")
    return BoundInvite(room_id=room_id, sender=sender, user_id=user_id, third_party_invite=given)


def parse_bound(address: str, user_id: str, invites: Iterable[Any]) -> list[BoundInvite]:
    """What an identity server tells of an address that a user has bound. Raises InvalidParam."""
    found = []
    for given in invites:
        if not isinstance(given, dict) or not isinstance(given.get("signed"), dict):
            raise InvalidParam("invites: there is nothing signed.")
        room_id, sender = str(given.get("room_id")), _user_id(given, "sender")
        if not is_room_id(room_id) or given.get("mxid") != user_id:
            raise InvalidParam("invites: of another user, or to no room.")
        shown = {"display_name": address, "signed": given["signed"]}
        found.append(BoundInvite(room_id=room_id, sender=sender, user_id=user_id, third_party_invite=shown))
    return found


async def exchange(federation: Federation, origin: ServerName, invite: BoundInvite) -> None:
    """Invite the user in the name of who invited the address. Raises Forbidden, NotFound, OutboundFailed."""
    server = federation.server
    if not server.owns(invite.sender):
        raise Forbidden(f"{invite.sender} is not a user of this server.")
    room = await federation.read(lambda db: get_resident_room(db, server, invite.room_id, origin))
    if server.owns(invite.user_id):
        await federation.write(partial(_invite_here, federation, invite))
    else:
        await invite_remotely(federation, room, invite.sender, invite.user_id, invite.content)


async def follow_bound(federation: Federation, invites: Iterable[BoundInvite]) -> None:
    """Turn the invites of an address into its user's, each as far as that goes."""
    for invite in list(invites)[:MAX_INVITES]:
        try:
            await _follow(federation, invite)
        except (MatrixError, OutboundFailed) as failure:
            logger.info("%s was not invited to %s: %s", invite.user_id, invite.room_id, failure)


async def _follow(federation: Federation, invite: BoundInvite) -> None:
    if await federation.read(partial(_is_resident, federation, invite)):
        await federation.write(partial(_invite_here, federation, invite))
        return
    inviters_server = find_server_name_of(invite.sender)
    assert inviters_server is not None, "a user ID names a server"
    event = {
        "type": "m.room.member",
        "room_id": invite.room_id,
        "sender": invite.sender,
        "state_key": invite.user_id,
        "content": invite.content,
    }
    path = federation_path("v1", "exchange_third_party_invite", invite.room_id)
    await federation.client.ask(inviters_server, Question(method="PUT", path=path, content=event))


def _is_resident(federation: Federation, invite: BoundInvite, db: Db) -> bool:
    room = find_room(db, invite.room_id)
    return room is not None and is_server_in(db, room.room_nid, federation.server.name)


def _invite_here(federation: Federation, invite: BoundInvite, db: Db) -> None:
    """Invite a user of this server to a room that it is in. Raises Forbidden, NotFound."""
    room = find_room(db, invite.room_id)
    if room is None or find_user(db, invite.user_id) is None:
        raise NotFound(f"{invite.user_id} is not a user of this server.")
    check_takes_invites(db, invite.user_id)
    draft = Draft(type="m.room.member", state_key=invite.user_id, content=invite.content)
    event, _ = build_next_event(db, federation.server, room, invite.sender, draft)
    verdict = receive_pdu(db, federation.server, room, event.pdu, federation.key_ring.known_keys(db))
    if not isinstance(verdict, Accepted):
        raise Forbidden("The room does not allow this.")


def _user_id(fields: JsonDict, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not is_user_id(value):
        raise InvalidParam(f"{name}: not a user ID.")
    return value
