"""Room membership that other servers have a part in: rooms that this server is not in, users that are others'.

What is needed of the database is read in the transaction that finds out that others are needed; they are asked when it
is over.
"""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from tabstead.accounts.moderation import check_not_suspended
from tabstead.client_api.call import Call
from tabstead.client_api.other_servers import ask_others, elsewhere
from tabstead.client_api.routes import Elsewhere, carry_out
from tabstead.errors import Forbidden, MatrixError
from tabstead.http import Response, json_response
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import RoomID, find_server_name_of
from tabstead.rooms.draft import Draft
from tabstead.rooms.membership import member_content, needs_others
from tabstead.rooms.succession import carry_settings_over
from tabstead.storage.database import Db
from tabstead.storage.events import get_event
from tabstead.storage.memberships import find_membership
from tabstead.storage.out_of_band import find_preview
from tabstead.storage.room_servers import select_servers
from tabstead.storage.rooms import Room, find_room

if TYPE_CHECKING:  # loaded when somebody is asked
    from tabstead.federation.federation import Federation

logger = logging.getLogger(__name__)

_Continue = Callable[[Call, Db, str, list[str]], Response | Elsewhere]


def resolve(call: Call, room_alias: str, go_on: _Continue) -> Elsewhere:
    """Ask an alias's server for the room, and go on with it."""

    async def ask(federation: "Federation") -> Response:
        from tabstead.federation.directory import find_alias_remotely

        found = await find_alias_remotely(federation, room_alias)
        servers = [*found.servers, find_server_name_of(room_alias) or ""]
        return await carry_out(call, lambda db: go_on(call, db, found.room_id, servers))

    return elsewhere(call, ask)


def join(call: Call, db: Db, room_id: str, servers: list[str]) -> Elsewhere:
    """Join a room through others. Raises UserSuspended, Forbidden."""
    check_not_suspended(db, call.user_id)
    if call.requester.is_guest:
        raise Forbidden("Guests may join rooms of this server only.", errcode="M_GUEST_ACCESS_FORBIDDEN")
    content = member_content(db, call.user_id, "join", _reason(call))
    servers = select_candidates(call, db, room_id, servers)
    is_resident = _is_resident(call, db, room_id)

    async def ask(federation: "Federation") -> Response:
        from tabstead.federation.joining import authorise_remotely, join_remotely

        if is_resident:
            await authorise_remotely(federation, RoomID(room_id), call.user_id, servers, content)
        elif not await join_remotely(federation, RoomID(room_id), call.user_id, servers, content):
            from tabstead.client_api import membership

            return await carry_out(call, partial(membership.join, call, room_id=room_id, servers=servers))
        return await call.context.write_once(call.request, partial(_finish_join, call, room_id))

    return elsewhere(call, ask)


def knock(call: Call, db: Db, room_id: str, servers: list[str]) -> Response | Elsewhere:
    """Knock on a room through others. Raises UserSuspended."""
    check_not_suspended(db, call.user_id)
    room = find_room(db, room_id)
    member = None if room is None else find_membership(db, call.user_id, room.room_nid)
    if member is not None and member.membership == "knock":
        return json_response({"room_id": room_id})
    content = member_content(db, call.user_id, "knock", _reason(call))
    servers = select_candidates(call, db, room_id, servers)

    async def ask(federation: "Federation") -> Response:
        from tabstead.federation.knocking import knock_remotely

        await knock_remotely(federation, RoomID(room_id), call.user_id, servers, content)
        return json_response({"room_id": room_id})

    return elsewhere(call, ask)


def leave(call: Call, db: Db, room: Room, reason: str | None) -> Response | Elsewhere:
    """Refuse an invite, or take back a knock, with the help of others. Raises Forbidden."""
    member = find_membership(db, call.user_id, room.room_nid)
    if member is None:
        raise Forbidden("You are not in this room.")
    if member.membership in {"leave", "ban"}:
        return json_response({})
    content: JsonDict = {"membership": "leave"} if reason is None else {"membership": "leave", "reason": reason}
    servers = select_candidates(call, db, room.room_id, [])

    async def ask(federation: "Federation") -> Response:
        from tabstead.federation.leaving import leave_remotely

        await leave_remotely(federation, room, call.user_id, servers, content)
        return json_response({})

    return elsewhere(call, ask)


def invite(call: Call, db: Db, room: Room, target: str, reason: str | None, *, is_direct: bool = False) -> Elsewhere:
    """Invite another server's user."""
    content: JsonDict = {"membership": "invite"}
    if reason is not None:
        content["reason"] = reason
    if is_direct:
        content["is_direct"] = True
    return elsewhere(call, partial(_invite, call, room, target, content))


def invite_as_drafted(call: Call, room: Room, draft: Draft) -> Elsewhere:
    """Invite another server's user by a member event that the client has written."""

    async def ask(federation: "Federation") -> Response:
        from tabstead.federation.inviting import invite_remotely

        event_id = await invite_remotely(federation, room, call.user_id, str(draft.state_key), draft.content)
        return json_response({"event_id": event_id})

    return elsewhere(call, ask)


async def invite_all(call: Call, room: Room, targets: Iterable[str], *, is_direct: bool) -> None:
    """Invite other servers' users to a new room, as far as their servers take it."""
    content: JsonDict = {"membership": "invite", **({"is_direct": True} if is_direct else {})}
    for target in targets:
        try:
            await ask_others(call, partial(_invite, call, room, target, content))
        except MatrixError as error:
            logger.info("%s was not invited to %s: %s", target, room.room_id, error.sentence)


def is_shared(call: Call, db: Db, room: Room) -> bool:
    """Whether other servers are in the room, and can be asked."""
    others = (name for name in select_servers(db, room.room_nid) if name != call.context.local_server.name)
    return call.context.federation is not None and any(others)


def select_candidates(call: Call, db: Db, room_id: str, servers: Iterable[str]) -> list[str]:
    """Servers that may be in the room, the best to ask first.

    Those that the client names, those that an alias or an invite came with, those that were in it when this server
    was, and the one where it began.
    """
    query = call.query
    found = [*query.all("via"), *query.all("server_name"), *servers]
    room = find_room(db, room_id)
    if room is not None:
        member = find_membership(db, call.user_id, room.room_nid)
        if member is not None and member.membership == "invite":
            found.insert(0, find_server_name_of(get_event(db, member.event_nid).event.sender) or "")
        preview = find_preview(db, room.room_nid, call.user_id)
        found += [] if preview is None else preview.servers
        found += select_servers(db, room.room_nid)
    found.append(find_server_name_of(room_id) or "")
    return list(dict.fromkeys(found))


async def _invite(call: Call, room: Room, target: str, content: JsonDict, federation: "Federation") -> Response:
    from tabstead.federation.inviting import invite_remotely

    await invite_remotely(federation, room, call.user_id, target, content)
    return json_response({})


def _finish_join(call: Call, room_id: str, db: Db) -> Response:
    room = find_room(db, room_id)
    assert room is not None, "it was joined"
    carry_settings_over(db, room, call.user_id)
    return json_response({"room_id": room_id})


def _is_resident(call: Call, db: Db, room_id: str) -> bool:
    room = find_room(db, room_id)
    return room is not None and not needs_others(db, call.context.local_server, room)


def _reason(call: Call) -> str | None:
    return call.request.optional_json_object().find_string("reason")
