"""What of a room's events another server in the room may see: what some user of it may.

By the `m.room.history_visibility` of the state that an event was sent in: everything if that is `world_readable` or
`shared`, since the server is in the room now, or was at the last event that it asks for; else what was sent while one
of its users was joined, or, if `invited`, invited. A change of the visibility or of such a membership counts as what is
the more permissive of before and after.

What a server may not see it is told redacted: it still has the graph, the state and whatever the rules go by. The same
holds for what erased users wrote. (server-server API, "Backfilling and retrieving missing events"; client-server API,
"Room history visibility")
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import redact_event
from tabstead.protocol.identifiers import find_server_name_of
from tabstead.rooms.history_visibility import visibility_of
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, get_event, select_events
from tabstead.storage.memberships import select_members_of_server
from tabstead.storage.rooms import Room
from tabstead.storage.state_history import find_state_event, find_state_events
from tabstead.storage.users import select_erased_users

_VISIBILITY: Final = "m.room.history_visibility"
_MEMBER: Final = "m.room.member"
_OPEN: Final = frozenset({"world_readable", "shared"})


def was_server_in(db: Db, room: Room, server_name: str, event: PersistedEvent) -> bool:
    """Whether one of the server's users was joined before an event."""
    users = select_members_of_server(db, room.room_nid, server_name)
    return "join" in _select_memberships(db, users, event.state_before)


class PeerVisibility:
    """What a server in the room may see; remembers what it looked up for the events of one answer."""

    def __init__(self, db: Db, room: Room, server_name: str) -> None:
        self._db = db
        self._room = room
        self._server_name = server_name
        self._before: dict[int, tuple[str, frozenset[str]]] = {}

    def show(self, event: PersistedEvent) -> JsonDict:
        """The event's PDU, or its redacted form."""
        if self.may_see(event):
            return event.event.pdu
        return redact_event(event.event.pdu, self._room.version)

    def may_see(self, event: PersistedEvent) -> bool:
        if event.event.sender in self._erased:
            return False
        if event.stream_position is None:
            return event.event.is_state  # of an outlier nobody knows the state; it is here for that of others
        visibility, memberships = self._state_before(event)
        if _admits(visibility, memberships):
            return True
        if event.event.type == _VISIBILITY and event.event.state_key == "":
            return _admits(visibility_of(event), memberships)
        if event.event.type == _MEMBER and find_server_name_of(event.event.state_key or "") == self._server_name:
            return _admits(visibility, {event.event.membership or "leave"})
        return False

    @cached_property
    def _erased(self) -> set[str]:
        return select_erased_users(self._db)

    @cached_property
    def _members(self) -> list[str]:
        """The server's users that the room knows."""
        return select_members_of_server(self._db, self._room.room_nid, self._server_name)

    def _state_before(self, event: PersistedEvent) -> tuple[str, frozenset[str]]:
        """The visibility and the memberships of the server's users before an event, these where they matter."""
        snapshot = event.state_before
        if snapshot not in self._before:
            event_nid = find_state_event(self._db, snapshot, _VISIBILITY, "")
            visibility = visibility_of(None if event_nid is None else get_event(self._db, event_nid))
            memberships = (
                frozenset[str]() if visibility in _OPEN else _select_memberships(self._db, self._members, snapshot)
            )
            self._before[snapshot] = visibility, memberships
        return self._before[snapshot]


def _select_memberships(db: Db, user_ids: Iterable[str], snapshot: int) -> frozenset[str]:
    found = find_state_events(db, snapshot, [(_MEMBER, user_id) for user_id in user_ids])
    members = select_events(db, found.values()).values()
    return frozenset(member.event.membership or "leave" for member in members)


def _admits(visibility: str, memberships: Iterable[str]) -> bool:
    admitted = {"join", "invite"} if visibility == "invited" else {"join"}
    return visibility in _OPEN or not admitted.isdisjoint(memberships)
