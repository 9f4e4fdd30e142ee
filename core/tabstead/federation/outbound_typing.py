"""Who of this server's users began or ceased to type, for the other servers in the room. In memory, as typing is."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from tabstead.federation.audiences import select_other_servers
from tabstead.federation.outbound_transactions import MAX_EDUS, OutboundTransaction
from tabstead.protocol.identifiers import ServerName
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Db
from tabstead.storage.rooms import find_room
from tabstead.streams.typing_users import TypingUsers

Changes: TypeAlias = Mapping[str, bool]
"""Who in a room types (True), or has ceased to."""

TELL_AGAIN_MS: Final = 40_000
"""Other servers forget a notice after a minute."""

_MAX_KEPT: Final = 100
"""Notices for one server."""


class OutboundTyping:
    def __init__(self, server: LocalServer, typing_users: TypingUsers) -> None:
        self._server = server
        self._typing_users = typing_users
        self._serial = typing_users.serial
        self._known: dict[str, dict[str, int]] = {}
        """Who types, by room id, and when it was last told."""
        self._notices: dict[ServerName, dict[tuple[str, str], bool]] = {}

    def take_changes(self) -> dict[str, Changes]:
        """What changed since the last look or has to be told again, by room id."""
        self._typing_users.expire()
        room_ids = {*self._typing_users.rooms_changed_since(self._serial), *self._known}
        self._serial = self._typing_users.serial
        changes = {room_id: self._take_changes_in(room_id) for room_id in room_ids}
        return {room_id: of_room for room_id, of_room in changes.items() if of_room}

    def next_due(self) -> int | None:
        """When a notice ends by itself, or is told again."""
        if not self._known:
            return None
        again = min(told_ts for of_room in self._known.values() for told_ts in of_room.values()) + TELL_AGAIN_MS
        ends = self._typing_users.expire()
        return again if ends is None else min(again, ends)

    def find_servers(self, db: Db, room_ids: Iterable[str]) -> dict[str, set[ServerName]]:
        """Who has to be told of the changes in these rooms."""
        rooms = [room for room in (find_room(db, room_id) for room_id in room_ids) if room is not None]
        return {room.room_id: select_other_servers(db, self._server.name, room.room_nid) for room in rooms}

    def keep(self, server: ServerName, room_id: str, changes: Changes) -> None:
        """Keep changes for a server until they are sent."""
        kept = self._notices.setdefault(server, {})
        for user_id, is_typing in changes.items():
            if len(kept) < _MAX_KEPT or (room_id, user_id) in kept:
                kept[room_id, user_id] = is_typing

    def add_to(self, server: ServerName, transaction: OutboundTransaction) -> None:
        """Put a server's notices into a transaction; what it has no room for is forgotten."""
        notices = self._notices.pop(server, {})
        for (room_id, user_id), is_typing in list(notices.items())[: MAX_EDUS - len(transaction.edus)]:
            transaction.add_edu("m.typing", {"room_id": room_id, "user_id": user_id, "typing": is_typing})
            transaction.is_of_the_moment = True

    def forget(self, server: ServerName) -> None:
        """The server can't be told."""
        self._notices.pop(server, None)

    def _take_changes_in(self, room_id: str) -> Changes:
        now_ms, told = self._server.now_ms(), self._known.pop(room_id, {})
        typing = {user_id for user_id in self._typing_users.users(room_id) if self._server.owns(user_id)}
        new = {user_id for user_id in typing if now_ms - told.get(user_id, 0) >= TELL_AGAIN_MS}
        if typing:
            self._known[room_id] = {user_id: now_ms if user_id in new else told[user_id] for user_id in typing}
        return {user_id: user_id in new for user_id in new | (told.keys() - typing)}
