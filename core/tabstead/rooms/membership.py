"""Membership: joining, inviting, leaving, kicking, banning, knocking, and forgetting.

Each is a member event that `send_event` puts to the authorisation rules; what is here is what the endpoints demand
beside those: who counts as invited to a restricted room, what guests may join, which of a user's changes are none.
(Client-Server API, § Room membership)
"""

from contextlib import suppress
from typing import Final

from tabstead.accounts.profiles import Profile, find_profile
from tabstead.errors import BadRequest, Forbidden
from tabstead.protocol.canonical_json import JsonDict
from tabstead.rooms.draft import Draft
from tabstead.rooms.guests import allows_guests
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.restricted_joins import find_authoriser
from tabstead.rooms.send import send_event
from tabstead.rooms.state import find_current_event
from tabstead.rooms.succession import carry_settings_over
from tabstead.storage import memberships
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent
from tabstead.storage.memberships import find_membership, update_forgotten
from tabstead.storage.room_servers import is_server_in, select_servers
from tabstead.storage.rooms import Room, get_room
from tabstead.storage.state_history import EMPTY

_MAY_BE_KICKED: Final = frozenset({"join", "invite", "knock"})


def membership_of(db: Db, room: Room, user_id: str) -> str | None:
    """The user's membership by the current state, None for someone who never had one."""
    found = find_membership(db, user_id, room.room_nid)
    return None if found is None else found.membership


def join_room(
    db: Db,
    server: LocalServer,
    room: Room,
    user_id: str,
    *,
    is_guest: bool = False,
    reason: str | None = None,
) -> None:
    """Join a user to a room; one who is joined already stays so. Raises Forbidden."""
    membership = membership_of(db, room, user_id)
    if membership == "join":
        return
    if is_guest and not allows_guests(db, room):
        raise Forbidden("This room is not open to guests.", errcode="M_GUEST_ACCESS_FORBIDDEN")
    content = member_content(db, user_id, "join", reason)
    if membership != "invite":
        authoriser = find_authoriser(db, server, room, user_id)
        if authoriser is not None:
            content["join_authorised_via_users_server"] = authoriser
    send_membership(db, server, room, content, sender=user_id, target=user_id)
    carry_settings_over(db, room, user_id)


def invite_user(
    db: Db,
    server: LocalServer,
    room: Room,
    sender: str,
    target: str,
    *,
    reason: str | None = None,
    is_direct: bool = False,
) -> None:
    """Invite a user. Raises Forbidden."""
    content = member_content(db, target, "invite", reason)
    if is_direct:
        content["is_direct"] = True
    send_membership(db, server, room, content, sender=sender, target=target)


def knock_on_room(db: Db, server: LocalServer, room: Room, user_id: str, *, reason: str | None = None) -> None:
    """Ask to be let in; to ask twice is to ask once. Raises Forbidden."""
    if membership_of(db, room, user_id) == "knock":
        return
    send_membership(db, server, room, member_content(db, user_id, "knock", reason), sender=user_id, target=user_id)


def leave_room(db: Db, server: LocalServer, room: Room, user_id: str, *, reason: str | None = None) -> None:
    """Leave a room, or refuse an invite, or take a knock back; one who has left stays so. Raises Forbidden."""
    if membership_of(db, room, user_id) == "leave":
        return
    send_membership(db, server, room, _content("leave", reason), sender=user_id, target=user_id)


def kick_user(db: Db, server: LocalServer, room: Room, sender: str, target: str, *, reason: str | None = None) -> None:
    """Make someone leave who is in the room, invited to it or knocking on it. Raises Forbidden."""
    if membership_of(db, room, target) not in _MAY_BE_KICKED:
        raise Forbidden(f"{target} is not in the room.")
    send_membership(db, server, room, _content("leave", reason), sender=sender, target=target)


def ban_user(db: Db, server: LocalServer, room: Room, sender: str, target: str, *, reason: str | None = None) -> None:
    """Ban a user, who need not be in the room. Raises Forbidden."""
    send_membership(db, server, room, _content("ban", reason), sender=sender, target=target)


def unban_user(db: Db, server: LocalServer, room: Room, sender: str, target: str, *, reason: str | None = None) -> None:
    """Lift a ban. Raises Forbidden."""
    if membership_of(db, room, target) != "ban":
        raise Forbidden(f"{target} is not banned.")
    send_membership(db, server, room, _content("leave", reason), sender=sender, target=target)


def forget_room(db: Db, room: Room, user_id: str) -> None:
    """Hear no more of a room that the user has left. Raises BadRequest while they are in it or invited."""
    membership = find_membership(db, user_id, room.room_nid)
    if membership is None or membership.forgotten:
        return
    if membership.membership not in {"leave", "ban"}:
        raise BadRequest(f"User {user_id} is in room {room.room_id}.")
    update_forgotten(db, user_id, room.room_nid)


def update_member_profiles(db: Db, server: LocalServer, user_id: str, profile: Profile) -> None:
    """Tell the rooms that a user is joined to of a changed profile; a room that doesn't allow it keeps the old one."""
    for membership in memberships.select_memberships(db, user_id, ("join",)):
        room = get_room(db, membership.room_nid)
        member = find_current_event(db, room, "m.room.member", user_id)
        if member is None:
            continue
        kept = {
            key: value
            for key, value in member.event.content.items()
            if key not in {"displayname", "avatar_url", "reason", "join_authorised_via_users_server"}
        }
        # The rules speak before anything is written.
        with suppress(Forbidden):
            send_membership(db, server, room, {**kept, **profile.fields}, sender=user_id, target=user_id)


def send_membership(
    db: Db, server: LocalServer, room: Room, content: JsonDict, *, sender: str, target: str
) -> PersistedEvent:
    """Send a membership as it is given."""
    return send_event(db, server, room, sender, Draft(type="m.room.member", state_key=target, content=content))


def needs_others(db: Db, server: LocalServer, room: Room) -> bool:
    """Whether others are in the room and this server is not: what happens there is not known here.

    A room that nobody is in any more goes on wherever it is known.
    """
    if is_server_in(db, room.room_nid, server.name):
        return False
    return room.state_snapshot == EMPTY or bool(select_servers(db, room.room_nid))


def member_content(db: Db, user_id: str, membership: str, reason: str | None = None) -> JsonDict:
    """A member event's content with the user's profile, as far as it is known here."""
    return {**_content(membership, reason), **find_profile(db, user_id).fields}


def _content(membership: str, reason: str | None) -> JsonDict:
    return {"membership": membership} if reason is None else {"membership": membership, "reason": reason}
