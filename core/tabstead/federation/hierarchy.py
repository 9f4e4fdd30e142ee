"""Spaces and rooms that this server is not in, as others tell of them.

Each room is asked for at the servers that are named for it, one after another until one tells; what is told is good for
a while. However deep spaces on other servers lead, and however slowly they answer, a page asks for so many rooms and
takes so long at most: what is not told by then is passed over.
(server-server API, "Spaces")
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from tabstead.errors import OutboundFailed, PeerMisbehaved, PeerRefused
from tabstead.federation.client import FederationClient, Question, federation_path
from tabstead.federation.recent_answers import RecentAnswers
from tabstead.federation.room_summaries import read_child, read_summary
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import ServerName
from tabstead.rooms.hierarchy import MAX_VIA, HierarchyPage, HierarchyQuery, Told, ToldRoom, UntoldRooms, walk_hierarchy
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Database

_TIMEOUT_MS: Final = 10_000
_PAGE_MS: Final = 25_000
_MAX_BYTES: Final = 1024 * 1024
_MAX_CHILDREN: Final = 500
_MAX_ASKED: Final = 50
"""Rooms that one page asks for."""
_LIVES_MS: Final = 5 * 60 * 1000
_MOST: Final = 30

_SPACE: Final = "m.space"


class RemoteHierarchy:
    """The rooms that others told of lately."""

    def __init__(self, server: LocalServer, database: Database, client: FederationClient) -> None:
        self._server = server
        self._database = database
        self._client = client
        self._recent: RecentAnswers[str, Told] = RecentAnswers(server.now_ms, lives_ms=_LIVES_MS, most=_MOST)

    async def fetch_room(self, room_id: str, servers: Iterable[str]) -> ToldRoom | None:
        """What one of the servers tells of a room; None where none does."""
        return (await self._fetch_all({room_id: tuple(servers)}, _PAGE_MS)).get(room_id)

    async def walk(self, root_id: str, user_id: str, *, query: HierarchyQuery, token: str | None) -> HierarchyPage:
        """A page of a walk, with the rooms that others have to tell of. Raises as `walk_hierarchy` does."""
        told: dict[str, ToldRoom | None] = {}
        deadline, asked = self._server.now_ms() + _PAGE_MS, 0
        while True:
            page = await self._database.read(
                lambda db: walk_hierarchy(db, self._server, root_id, user_id, query=query, token=token, told=told)
            )
            if isinstance(page, HierarchyPage):
                return page
            left_ms = deadline - self._server.now_ms()
            within = {} if left_ms <= 0 else _take(page, _MAX_ASKED - asked)
            asked += len(within)
            _learn(told, await self._fetch_all(within, left_ms))
            for room_id in page.via:
                _give_up(told, room_id)

    async def _fetch_all(self, via: Mapping[str, tuple[str, ...]], timeout_ms: int) -> Told:
        """What is told of these rooms, and what is told besides of their children."""
        asking = [asyncio.ensure_future(self._fetch(room_id, servers)) for room_id, servers in via.items()]
        if not asking:
            return {}
        done, late = await asyncio.wait(asking, timeout=timeout_ms / 1000)
        for task in late:
            task.cancel()
        told: dict[str, ToldRoom | None] = {}
        for task in done:
            _learn(told, task.result())
        return told

    async def _fetch(self, room_id: str, servers: tuple[str, ...]) -> Told:
        async def ask() -> Told:
            return await self._ask_any(room_id, servers)

        try:
            return await self._recent.find_or_fetch(room_id, ask)
        except OutboundFailed:
            return {}

    async def _ask_any(self, room_id: str, servers: tuple[str, ...]) -> Told:
        """Raises OutboundFailed when none of the servers tells."""
        failure: OutboundFailed | None = None
        question = Question(
            method="GET",
            path=federation_path("v1", "hierarchy", room_id),
            query={"suggested_only": "false"},
            timeout_ms=_TIMEOUT_MS,
            max_bytes=_MAX_BYTES,
        )
        for server_name in [name for name in servers if name != self._server.name][:MAX_VIA]:
            try:
                return read_hierarchy(room_id, await self._client.ask(ServerName(server_name), question))
            except PeerRefused as refusal:
                failure = refusal
            except OutboundFailed as error:
                failure = error
        raise failure or OutboundFailed(f"No server is known to ask for {room_id}.")


def read_hierarchy(room_id: str, answer: JsonDict) -> Told:
    """What the answer of `/hierarchy` tells. Raises PeerMisbehaved."""
    room = answer.get("room")
    summary = read_summary(room)
    if not isinstance(room, dict) or summary is None or summary["room_id"] != room_id:
        raise PeerMisbehaved(f"What is told is not {room_id}.")
    children = tuple(_read_all(read_child, room.get("children_state")))
    told: dict[str, ToldRoom | None] = {room_id: ToldRoom(summary=summary, children=children)}
    named = {child["state_key"] for child in children} - {room_id}
    for child in _read_all(read_summary, answer.get("children")):
        if child["room_id"] in named:
            is_space = child.get("room_type") == _SPACE
            told[child["room_id"]] = ToldRoom(summary=child, children=None if is_space else ())
    inaccessible = answer.get("inaccessible_children")
    for each in inaccessible[:_MAX_CHILDREN] if isinstance(inaccessible, list) else ():
        if isinstance(each, str) and each in named:
            told.setdefault(each, None)
    return told


def _read_all(read: Callable[[object], JsonDict | None], values: object) -> Iterable[JsonDict]:
    for value in values[:_MAX_CHILDREN] if isinstance(values, list) else ():
        found = read(value)
        if found is not None:
            yield found


def _take(untold: UntoldRooms, most: int) -> Mapping[str, tuple[str, ...]]:
    return dict(list(untold.via.items())[: max(0, most)])


def _learn(told: dict[str, ToldRoom | None], news: Told) -> None:
    """What is known stays; only that a space has children is made good by telling them."""
    for room_id, room in news.items():
        known = told.get(room_id)
        if known is None or (known.children is None and room is not None):
            told[room_id] = room


def _give_up(told: dict[str, ToldRoom | None], room_id: str) -> None:
    """Nobody is asked again for a room in the same page."""
    known = told.setdefault(room_id, None)
    if known is not None and known.children is None:
        told[room_id] = ToldRoom(summary=known.summary, children=())
