"""Whether an alias stands for a room: known here of this server's, told by their own server of others."""

from tabstead.errors import BadAlias, MatrixError
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Db
from tabstead.storage.room_aliases import find_alias
from tabstead.streams.commits import Interruption


class UntoldAlias(Interruption):
    """Where an alias leads has to be asked of its own server."""

    def __init__(self, room_alias: str) -> None:
        super().__init__(f"Nobody here knows where {room_alias} leads.")
        self.room_alias = room_alias
        self.subject = room_alias

    def refusal(self) -> MatrixError:
        return BadAlias(f"The alias {self.room_alias} does not point to this room.")


def leads_to(db: Db, server: LocalServer, room_alias: str, room_id: str) -> bool:
    """Whether an alias, of whatever server, stands for the room. Raises UntoldAlias."""
    if server.owns(room_alias):
        found = find_alias(db, room_alias)
        return found is not None and found.room_id == room_id
    told = server.told_aliases.find(room_alias, server.now_ms())
    if told is None:
        raise UntoldAlias(room_alias)
    return told.room_id == room_id
