"""Restricted rooms: whom membership of another room lets in, and in whose name this server lets them in.

(Client-Server API, § Restricted rooms)
"""

from collections.abc import Mapping
from typing import Any, Final

from tabstead.errors import Forbidden, UnableToAuthoriseJoin, UnableToGrantJoin
from tabstead.protocol.auth_rules.room_state import JOIN_RULES
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.state import read_room_state
from tabstead.storage.database import Db
from tabstead.storage.memberships import is_joined, walk_joined_users
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import Room, find_room

RESTRICTED: Final = frozenset({"restricted", "knock_restricted"})
"""The join rules that have conditions."""


def allowed_room_ids(join_rules: Mapping[str, Any]) -> list[str]:
    """The rooms whose members may join, by the content of an `m.room.join_rules`."""
    conditions = join_rules.get("allow")
    if str(join_rules.get("join_rule")) not in RESTRICTED or not isinstance(conditions, list):
        return []
    named = (
        condition.get("room_id")
        for condition in conditions
        if isinstance(condition, dict) and condition.get("type") == "m.room_membership"
    )
    return list(dict.fromkeys(room_id for room_id in named if isinstance(room_id, str)))


def meets_condition(db: Db, user_id: str, join_rules: Mapping[str, Any]) -> bool:
    """Whether the user is joined to one of the rooms that the join rules name."""
    rooms = (find_room(db, room_id) for room_id in allowed_room_ids(join_rules))
    return any(room is not None and is_joined(db, user_id, room.room_nid) for room in rooms)


def find_authoriser(db: Db, server: LocalServer, room: Room, user_id: str) -> str | None:
    """The member in whose name this server lets a user into a restricted room, None where the room isn't restricted.

    Of the members of this server with the power to invite the mightiest, the first by name among equals. Raises
    Forbidden if the user meets none of the conditions, UnableToAuthoriseJoin if that is not known here, and
    UnableToGrantJoin if nobody here may let them in.
    """
    state = read_room_state(db, room, JOIN_RULES)
    if not room.version.restricted_joins or state.join_rule not in RESTRICTED:
        return None
    join_rules = state.events.get(JOIN_RULES)
    _check_condition(db, server, user_id, {} if join_rules is None else join_rules.content)
    levels = state.power_levels
    content = levels.content or {}
    listed = content.get("users")
    named: list[str] = [*levels.creators, *(listed if isinstance(listed, dict) else ())]
    mighty = [member for member in named if server.owns(member) and levels.user_power_level(member) >= levels.invite]
    mighty.sort(key=lambda member: (-levels.user_power_level(member), member))
    for member in mighty:
        if is_joined(db, member, room.room_nid):
            return member
    # Where everybody may invite, any member of this server will do.
    if levels.user_power_level("") >= levels.invite:
        for member in walk_joined_users(db, room.room_nid):
            if server.owns(member) and levels.user_power_level(member) >= levels.invite:
                return member
    raise UnableToGrantJoin("Nobody on this server may let you into the restricted room.")


def _check_condition(db: Db, server: LocalServer, user_id: str, join_rules: Mapping[str, Any]) -> None:
    room_ids = allowed_room_ids(join_rules)
    found = [find_room(db, room_id) for room_id in room_ids]
    known = [room for room in found if room is not None and is_server_in(db, room.room_nid, server.name)]
    if any(is_joined(db, user_id, room.room_nid) for room in known):
        return
    if len(known) < len(room_ids):
        raise UnableToAuthoriseJoin("The room is restricted, and not all rooms whose members may join are known here.")
    raise Forbidden("The room is restricted, and you are in none of the rooms whose members may join.")
