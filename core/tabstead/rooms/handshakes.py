"""Memberships of other servers' users whose server is not in the room: what a resident server does for them.

Their server asks for a template of the membership event, signs it, and hands it in; this server checks it like every
event. The template is what this server would send next if the user were its own: the authorisation rules have spoken
before anything is signed.
(server-server API, "Joining Rooms", "Knocking upon a room", "Leaving Rooms")
"""

from collections.abc import Collection, Iterable
from typing import Final

from tabstead.accounts.moderation import check_not_suspended
from tabstead.errors import Forbidden, IncompatibleRoomVersion, InvalidParam, NotFound
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event, parse_event
from tabstead.protocol.identifiers import find_server_name_of
from tabstead.protocol.signatures import sign_event
from tabstead.rooms.draft import Draft
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.restricted_joins import find_authoriser
from tabstead.rooms.send import build_next_event
from tabstead.rooms.server_access import check_server_access
from tabstead.rooms.state import find_current_event
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent
from tabstead.storage.memberships import find_membership
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import Room, find_room, get_room

AUTHORISER: Final = "join_authorised_via_users_server"

_SHOWN_TYPES: Final = (
    "m.room.create",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.avatar",
    "m.room.name",
    "m.room.topic",
    "m.room.encryption",
)
"""v1.16: the create event must be there."""


def get_resident_room(db: Db, server: LocalServer, room_id: str, origin: str) -> Room:
    """A room that this server is in and that lets the other one take part. Raises NotFound, Forbidden."""
    room = get_once_entered_room(db, room_id, origin)
    if not is_server_in(db, room.room_nid, server.name):
        raise NotFound("This server is not in the room.")
    return room


def get_once_entered_room(db: Db, room_id: str, origin: str) -> Room:
    """A room that this server is or was in and that lets the other one take part. Raises NotFound, Forbidden."""
    room = find_room(db, room_id)
    if room is None:
        raise NotFound("This server does not know the room.")
    check_server_access(db, room, origin)
    return room


def build_template(
    db: Db, server: LocalServer, room: Room, user_id: str, membership: str, *, versions: Collection[str] | None = None
) -> JsonDict:
    """The membership event that the user's server is to complete, sign and hand in, and the room's version.

    `versions` are the room versions that it knows; None where it isn't asked. Raises IncompatibleRoomVersion, and
    Forbidden if the rules don't allow it.
    """
    if versions is not None and room.version.name not in versions:
        raise IncompatibleRoomVersion(
            "Your server does not support this room's version.", room_version=room.version.name
        )
    content: JsonDict = {"membership": membership}
    authoriser = _find_authoriser(db, server, room, user_id) if membership == "join" else None
    if authoriser is not None:
        content[AUTHORISER] = authoriser
    draft = Draft(type="m.room.member", state_key=user_id, content=content)
    event, _ = build_next_event(db, server, room, user_id, draft)
    signed_by_us = {"event_id", "hashes", "signatures"}
    template = {key: value for key, value in event.pdu.items() if key not in signed_by_us}
    return {"room_version": room.version.name, "event": {**template, "origin": server.name}}


def build_invite(
    db: Db, *, server: LocalServer, room: Room, sender: str, target: str, content: JsonDict
) -> tuple[Event, list[JsonDict]]:
    """An invite of another server's user as the room's next event, and what their server may know of the room.

    Raises Forbidden, UserSuspended.
    """
    check_not_suspended(db, sender)
    draft = Draft(type="m.room.member", state_key=target, content=content)
    event, _ = build_next_event(db, server, get_room(db, room.room_nid), sender, draft)
    event = _with_origin(server, room, event)
    inviter = find_current_event(db, room, "m.room.member", sender)
    return event, select_shown_state(db, room, *(() if inviter is None else (inviter,)))


def _with_origin(server: LocalServer, room: Room, event: Event) -> Event:
    """The event with the name of its server, which an invite that is shown to another one must have."""
    bare = {key: value for key, value in event.pdu.items() if key not in {"hashes", "signatures"}}
    named = {**bare, "origin": server.name}
    return parse_event(sign_event(named, room.version, server.name, server.signing_key), room.version)


def check_handed_in(event: Event, *, membership: str, origin: str, event_id: str) -> None:
    """That this is the membership event that the path announces, of a user of the server that asks.

    Raises InvalidParam.
    """
    if event.event_id != event_id:
        raise InvalidParam("The event is not the one that the path names.")
    if event.type != "m.room.member" or event.membership != membership:
        raise InvalidParam(f"The event is no {membership}.")
    if event.state_key != event.sender or find_server_name_of(event.sender) != origin:
        raise InvalidParam("The event is not of a user of the server that asks.")


def authorise_join(db: Db, server: LocalServer, room: Room, event: Event) -> JsonDict:
    """The join, with this server's signature where one of its users is to authorise it. Raises Forbidden, BadRequest.

    Others' keys were not looked at yet.
    """
    authoriser = event.content.get(AUTHORISER)
    if not isinstance(authoriser, str) or not room.version.restricted_joins or not server.owns(authoriser):
        return event.pdu
    if _find_authoriser(db, server, room, event.sender) is None:
        raise Forbidden("The join needs nobody's authorisation.")
    return sign_event(event.pdu, room.version, server.name, server.signing_key)


def select_shown_state(db: Db, room: Room, *more: PersistedEvent) -> list[JsonDict]:
    """What someone who isn't in the room may know of it: the events that its stripped state is made of."""
    found: Iterable[PersistedEvent | None] = (find_current_event(db, room, event_type) for event_type in _SHOWN_TYPES)
    return [event.event.pdu for event in (*found, *more) if event is not None]


def _find_authoriser(db: Db, server: LocalServer, room: Room, user_id: str) -> str | None:
    known = find_membership(db, user_id, room.room_nid)
    if known is not None and known.membership in {"invite", "join"}:
        return None
    return find_authoriser(db, server, room, user_id)
