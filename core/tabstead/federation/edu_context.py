"""What the handlers of EDUs are given, and what all of them have to check."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from tabstead.errors import Forbidden, NotFound
from tabstead.http import JsonObject
from tabstead.protocol.identifiers import ServerName, find_server_name_of, is_user_id
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.server_access import check_server_access
from tabstead.storage.database import Db
from tabstead.storage.memberships import is_joined
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import Room, find_room
from tabstead.streams.typing_users import TypingUsers


@dataclass(frozen=True, slots=True, kw_only=True)
class EduContext:
    """What handlers work with in one run of the transaction."""

    server: LocalServer
    typing_users: TypingUsers
    afterwards: list[Callable[[], None]] = field(default_factory=list)
    """What is to be done once the transaction is durable: changes of what lives in memory."""


EduHandler: TypeAlias = Callable[[Db, EduContext, ServerName, JsonObject], None]
"""Takes an EDU's `content` from a server. Raises MatrixError for one that means nothing."""


def check_owner(origin: ServerName, user_id: str) -> None:
    """A server speaks for its own users. Raises Forbidden."""
    if not is_user_id(user_id) or find_server_name_of(user_id) != origin:
        raise Forbidden(f"{origin} does not speak for this user.")


def find_shared_room(db: Db, context: EduContext, origin: ServerName, room_id: str) -> Room:
    """A room that this server is in and whose ACL lets the other one speak. Raises NotFound, Forbidden."""
    room = find_room(db, room_id)
    if room is None or not is_server_in(db, room.room_nid, context.server.name):
        raise NotFound("This server is not in the room.")
    check_server_access(db, room, origin)
    return room


def check_member(db: Db, room: Room, origin: ServerName, user_id: str) -> None:
    """The server's user is in the room. Raises Forbidden."""
    check_owner(origin, user_id)
    if not is_joined(db, user_id, room.room_nid):
        raise Forbidden("The user is not in the room.")
