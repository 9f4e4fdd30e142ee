"""Room aliases: making, resolving and deleting them.

(Client-Server API, § Room aliases)
"""

from typing import Final

from tabstead.errors import Conflict, Forbidden, InvalidParam, NotFound, RoomInUse
from tabstead.protocol.identifiers import RoomAlias, is_room_alias, parse_room_alias
from tabstead.rooms.draft import Draft
from tabstead.rooms.local_checks import listed_aliases
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.send import send_event
from tabstead.rooms.state import find_current_event, read_power_levels
from tabstead.storage.database import Db
from tabstead.storage.memberships import is_joined
from tabstead.storage.room_aliases import StoredAlias, delete_alias, find_alias, insert_alias
from tabstead.storage.room_servers import select_joined_by_server
from tabstead.storage.rooms import Room, find_room

CANONICAL_ALIAS: Final = "m.room.canonical_alias"
MAX_ALIAS_SERVERS: Final = 200
"""That an alias is said to lead to; a room may be on thousands."""


def resolve_alias(db: Db, server: LocalServer, room_alias: str) -> str:
    """The room id that an alias stands for. Raises InvalidParam, NotFound."""
    parse_room_alias(room_alias)
    found = find_alias(db, room_alias)
    if found is None:
        where = "here" if server.owns(room_alias) else "here, and other servers cannot be asked"
        raise NotFound(f"Room alias {room_alias} is not known {where}.")
    return found.room_id


def select_alias_servers(db: Db, server: LocalServer, room_id: str) -> list[str]:
    """The servers to ask for the room behind an alias of this server: this one, then those with the most members."""
    room = find_room(db, room_id)
    joined = {} if room is None else select_joined_by_server(db, room.room_nid)
    others = sorted(joined, key=lambda name: (-joined[name], name))
    return list(dict.fromkeys([server.name, *others]))[:MAX_ALIAS_SERVERS]


def create_alias(db: Db, server: LocalServer, room_alias: str, room: Room, user_id: str) -> None:
    """Give a room an alias of this server. Raises InvalidParam, Conflict, or Forbidden for who isn't in the room."""
    parse_room_alias(room_alias)
    if not server.owns(room_alias):
        raise InvalidParam(f"Aliases of this server end in :{server.name}.")
    if find_alias(db, room_alias) is not None:
        raise Conflict(f"Room alias {room_alias} already exists.")
    if not is_joined(db, user_id, room.room_nid):
        raise Forbidden("You are not in the room.")
    insert_alias(db, room_alias, room.room_id, user_id)


def build_local_alias(db: Db, server: LocalServer, localpart: str) -> RoomAlias:
    """The alias of this localpart, which must be free. Raises InvalidParam, RoomInUse."""
    room_alias = f"#{localpart}:{server.name}"
    if ":" in localpart or not is_room_alias(room_alias):
        raise InvalidParam(f"{localpart[:80]!r} cannot be the local part of a room alias.")
    if find_alias(db, room_alias) is not None:
        raise RoomInUse(f"Room alias {room_alias} already exists.")
    return RoomAlias(room_alias)


def remove_alias(db: Db, server: LocalServer, room_alias: str, user_id: str) -> None:
    """Delete an alias; its maker may, and who may set the room's canonical alias.

    Where they may, it is taken out of that event too. Raises InvalidParam, NotFound, Forbidden.
    """
    parse_room_alias(room_alias)
    found = find_alias(db, room_alias)
    if found is None:
        raise NotFound(f"Room alias {room_alias} not found.")
    room = find_room(db, found.room_id)
    may_set_canonical = room is not None and may_send_canonical_alias(db, room, user_id)
    if found.creator != user_id and not may_set_canonical:
        raise Forbidden("You may not delete this alias.")
    delete_alias(db, room_alias)
    if room is not None and may_set_canonical:
        _drop_from_canonical(db, server, room, found, user_id)


def may_send_canonical_alias(db: Db, room: Room, user_id: str) -> bool:
    """Whether the user is in the room with the power to say under which alias it is known."""
    levels = read_power_levels(db, room)
    required = levels.event_power_level_required(CANONICAL_ALIAS, is_state=True)
    return is_joined(db, user_id, room.room_nid) and levels.user_power_level(user_id) >= required


def _drop_from_canonical(db: Db, server: LocalServer, room: Room, alias: StoredAlias, user_id: str) -> None:
    current = find_current_event(db, room, CANONICAL_ALIAS)
    if current is None or alias.room_alias not in listed_aliases(current.event.content):
        return
    content = dict(current.event.content)
    if content.get("alias") == alias.room_alias:
        del content["alias"]
    if isinstance(alternatives := content.get("alt_aliases"), list):
        content["alt_aliases"] = [name for name in alternatives if name != alias.room_alias]
    send_event(db, server, room, user_id, Draft(type=CANONICAL_ALIAS, state_key="", content=content))
