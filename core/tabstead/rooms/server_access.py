"""Which servers may take part in a room: by the server ACL of its current state.

(server-server API, "Server Access Control Lists (ACLs)")
"""

from typing import Final

from tabstead.errors import Forbidden
from tabstead.protocol.server_acls import is_server_allowed
from tabstead.rooms.state import find_current_event
from tabstead.storage.database import Db
from tabstead.storage.rooms import Room

_SERVER_ACL: Final = "m.room.server_acl"


def may_take_part(db: Db, room: Room, server_name: str) -> bool:
    """Whether the room's ACL, if it has one, allows the server."""
    server_acl = find_current_event(db, room, _SERVER_ACL)
    return server_acl is None or is_server_allowed(server_name, server_acl.event.content)


def check_server_access(db: Db, room: Room, server_name: str) -> None:
    """Raises Forbidden for a server that the room's ACL keeps out."""
    if not may_take_part(db, room, server_name):
        raise Forbidden(f"The room {room.room_id} keeps {server_name} out.")
