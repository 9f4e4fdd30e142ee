"""Presence that changes by nothing but time, for other servers: who turned idle or has gone, and who is still here.

What users set is in the stream. That they fade is written nowhere, so it is looked for now and then, among those who
were active lately. Another server takes a user of whom it hears nothing for gone; so it is told again of who is not.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from tabstead.protocol.identifiers import ServerName
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Db
from tabstead.storage.names import find_user
from tabstead.storage.outbound_news import Kind, News, select_outbound_position, select_servers_near
from tabstead.storage.presence import select_active_presence
from tabstead.streams.presence import GONE_MS, presence_at

LOOK_EVERY_MS: Final = 60_000
TELL_AGAIN_MS: Final = 20 * 60 * 1000
"""Other servers forget after 30 minutes."""

_MARGIN_MS: Final = 10 * LOOK_EVERY_MS
"""So long after users have gone they are still looked at, should a look be late."""


class OutboundPresence:
    """Remembers what was told of whom; what it forgets is told again."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._told: dict[int, tuple[str, int]] = {}
        """By the user's number: the presence, and when it was told."""
        self._next_look = 0

    def next_due(self) -> int | None:
        """When to look again."""
        return self._next_look if self._told else None

    def is_due(self, now_ms: int) -> bool:
        return now_ms >= self._next_look

    def look(self, db: Db, now_ms: int) -> dict[int, str]:
        """The presence of everybody who is here or has gone lately, by the user's number. Only reads."""
        found = {}
        for stored in select_active_presence(db, active_after=now_ms - GONE_MS - _MARGIN_MS):
            user_nid = find_user(db, stored.user_id)
            if user_nid is not None and self._server.owns(stored.user_id):
                found[user_nid] = presence_at(stored, now_ms).presence
        return found

    def take(self, found: Mapping[int, str], now_ms: int) -> list[int]:
        """Those of a look of whom others have to be told, who count as told from now on."""
        self._next_look = now_ms + LOOK_EVERY_MS
        self._told = {user_nid: told for user_nid, told in self._told.items() if user_nid in found}
        news = [user_nid for user_nid, presence in found.items() if self._is_news(user_nid, presence, now_ms)]
        self.note({user_nid: found[user_nid] for user_nid in news}, now_ms)
        return news

    def note(self, told: Mapping[int, str], now_ms: int) -> None:
        """Others are told of these users anyway."""
        self._told |= {user_nid: (presence, now_ms) for user_nid, presence in told.items()}

    def _is_news(self, user_nid: int, presence: str, now_ms: int) -> bool:
        before, told_ts = self._told.get(user_nid, ("offline", now_ms))
        return presence != before or (presence != "offline" and now_ms - told_ts >= TELL_AGAIN_MS)


def build_presence_news(db: Db, server: LocalServer, users: Mapping[int, str], failing: Iterable[str]) -> list[News]:
    """Who has to be told of these users, by their numbers, except servers that can't be reached."""
    position, spared = select_outbound_position(db), {server.name, *failing}
    return [
        News(
            server=ServerName(near),
            kind=Kind.PRESENCE,
            subject=user_nid,
            first_position=position,
            last_position=position,
        )
        for user_nid, user_id in users.items()
        for near in select_servers_near(db, user_id)
        if near not in spared
    ]
