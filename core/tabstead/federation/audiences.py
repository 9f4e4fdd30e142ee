"""Which servers have to be told of a room's event: those that were in the room before it, or are after it.

Who is in a room now is known; how it came to that, too. So the servers at an earlier position are those of now with the
changes since undone, as exactly as if the event were sent at once: whoever left meanwhile is told what came before, and
whoever came meanwhile is not. A server that was neither before nor after hears that its user's invite or knock has
ended.

An event of this server's user goes out from here if this server was in the room before it; the first join of a room
was sent to a server that was in it, and that one tells the others.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from tabstead.protocol.identifiers import ServerName, find_server_name_of, is_server_name
from tabstead.storage.current_state import StateChange, select_changes
from tabstead.storage.database import Db
from tabstead.storage.events import select_events
from tabstead.storage.positions import select_position
from tabstead.storage.room_servers import select_joined_by_server

_MEMBER: Final = "m.room.member"
_PENDING: Final = frozenset({"invite", "knock"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Movement:
    """A change of one user's membership in a room's current state."""

    position: int
    server: str
    previous: str | None
    membership: str | None


class Audience:
    """The servers of a room at positions from the newest downwards, beginning with now."""

    def __init__(self, db: Db, local_name: str, room_nid: int, *, since: int) -> None:
        """`since` is the lowest position that will be asked for."""
        self._local_name = local_name
        self._joined = select_joined_by_server(db, room_nid)
        self._movements = _select_movements(db, room_nid, since)
        """Not undone yet, the newest last."""

    def servers_of(self, position: int) -> set[ServerName]:
        """The other servers that have to be told of the event at a position, none higher than asked for before."""
        self._go_back_to(position)
        told = {*self._joined, *self._undo_all_at(position)}
        if self._local_name not in self._joined:
            return set()
        told |= set(self._joined)
        return {ServerName(server) for server in told if server != self._local_name and is_server_name(server)}

    def has(self, server: ServerName, position: int) -> bool:
        """Whether this other server has to be told of the event at a position, none higher than asked for before."""
        self._go_back_to(position)
        is_in_after = server in self._joined
        turned_away = self._undo_all_at(position)
        is_in = is_in_after or server in self._joined or server in turned_away
        return is_in and self._local_name in self._joined

    def _go_back_to(self, position: int) -> None:
        """Undo what came after the position."""
        while self._movements and self._movements[-1].position > position:
            self._undo()

    def _undo_all_at(self, position: int) -> set[str]:
        """Undo what the event at the position did; the servers whose users' invites or knocks it ended."""
        turned_away = set()
        while self._movements and self._movements[-1].position == position:
            movement = self._undo()
            if movement.previous in _PENDING and movement.membership in ("leave", "ban"):
                turned_away.add(movement.server)
        return turned_away

    def _undo(self) -> _Movement:
        movement = self._movements.pop()
        self._count(movement.server, (movement.previous == "join") - (movement.membership == "join"))
        return movement

    def _count(self, server: str, change: int) -> None:
        self._joined[server] += change
        if self._joined[server] <= 0:
            del self._joined[server]


def select_other_servers(db: Db, local_name: str, room_nid: int) -> set[ServerName]:
    """The other servers that are in the room now."""
    joined: Counter[str] = select_joined_by_server(db, room_nid)
    return {ServerName(server) for server in joined if server != local_name and is_server_name(server)}


def _select_movements(db: Db, room_nid: int, since: int) -> list[_Movement]:
    changes = [
        change
        for change in select_changes(db, room_nid, after=since - 1, up_to=select_position(db))
        if change.state_tuple[0] == _MEMBER
    ]
    nids = {nid for change in changes for nid in (change.event_nid, change.previous_nid) if nid is not None}
    memberships = {nid: member.event.membership for nid, member in select_events(db, nids).items()} if nids else {}
    return [_movement(change, memberships) for change in changes]


def _movement(change: StateChange, memberships: dict[int, str | None]) -> _Movement:
    return _Movement(
        position=change.stream_position,
        server=find_server_name_of(change.state_tuple[1]) or "",
        previous=None if change.previous_nid is None else memberships.get(change.previous_nid),
        membership=None if change.event_nid is None else memberships.get(change.event_nid),
    )
