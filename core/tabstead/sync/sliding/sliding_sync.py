"""Answers requests of simplified sliding sync, and waits where there is nothing new.

A request with a `pos` goes on with a *connection*, whose books say what the client was told (`storage.sliding_sync`).
The books change in a transaction of their own after the answer was read, and the answer goes out once that is durable;
so a server that is killed in between has told nothing, and the client comes with the `pos` that it has. Only an answer
that changes the books writes: a quiet client costs no write, nor does news of a room that it is told of anyway.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tabstead.errors import InvalidParam, UnknownPos
from tabstead.protocol.canonical_json import JsonDict
from tabstead.rooms.ignored_users import select_ignored_users
from tabstead.storage.database import Database, Db
from tabstead.storage.positions import select_position
from tabstead.storage.sliding_sync import (
    SlidingConnection,
    count_configs,
    delete_old_connections,
    find_connection,
    insert_connection,
    insert_generation,
    select_told_rooms,
    update_acknowledged,
)
from tabstead.storage.to_device import delete_to_device_messages, has_to_device_messages
from tabstead.streams.notifier import Notifier
from tabstead.streams.presence import needs_refresh, refresh_presence
from tabstead.streams.tokens import SlidingToken, parse_sliding_token
from tabstead.streams.typing_users import TypingUsers
from tabstead.sync.members_sent import MembersSentToDevices
from tabstead.sync.sliding.answer import Scene, SlidingAnswer, build_sliding_answer
from tabstead.sync.sliding.extensions import parse_position
from tabstead.sync.sliding.request import TO_DEVICE, SlidingRequest
from tabstead.sync.sliding.room_list import EventMemory
from tabstead.sync.view import SyncView
from tabstead.sync.waiting import Waiting, check_device

MAX_CONNECTIONS: Final = 10
"""Of a device; the one that was not used for longest goes first."""

MAX_AGE_MS: Final = 7 * 24 * 60 * 60 * 1000
"""A connection that nobody used for so long is forgotten."""

_MAX_CONFIGS: Final = 200
"""So many different wishes a connection may have had before it has to begin anew."""

_USED_EVERY_MS: Final = 60 * 60 * 1000
_MAX_SCENES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Books:
    """A request's connection as its token has it; None for one that begins."""

    token: SlidingToken | None
    connection: SlidingConnection | None


class SlidingSync:
    """Answers requests. What it remembers of its answers spares work and repetitions, and may vanish."""

    def __init__(
        self,
        *,
        database: Database,
        notifier: Notifier,
        typing_users: TypingUsers,
        now_ms: Callable[[], int],
        waiting: Waiting,
    ) -> None:
        self._database = database
        self._notifier = notifier
        self._typing_users = typing_users
        self._now_ms = now_ms
        self._waiting = waiting
        self._members_sent = MembersSentToDevices()
        self._memory = EventMemory()
        self._scenes: OrderedDict[tuple[int, int], Scene] = OrderedDict()
        self._current: dict[tuple[str, str, str], object] = {}

    async def answer(self, request: SlidingRequest, timeout_ms: int) -> JsonDict:
        """The response's body, as soon as there is news, or when the time is up.

        Raises UnknownPos for a token that this device can't go on with, InvalidParam for one of to-device messages that
        isn't this server's, UnknownToken when the device was logged out while it waited.
        """
        name = (request.user_id, request.device_id, request.conn_id)
        turn = self._current[name] = object()
        try:
            return await self._answer(request, timeout_ms, lambda: self._current.get(name) is turn)
        finally:
            if self._current.get(name) is turn:
                del self._current[name]

    async def _answer(self, request: SlidingRequest, timeout_ms: int, is_current: Callable[[], bool]) -> JsonDict:
        books = await self._settle(request)
        deadline = self._waiting.deadline(timeout_ms)
        answer = await self._build(request, books)
        while (
            books.token is not None
            and not answer.has_news
            and await self._waiting.wait(answer.streams, deadline)
            and is_current()
        ):
            answer = await self._build(request, books)
        if not is_current():
            raise UnknownPos("A later request of this connection has taken over.")
        token = await self._keep(request, books, answer)
        self._remember(request, token, answer)
        return {"pos": token.encode(), **answer.body}

    async def _settle(self, request: SlidingRequest) -> _Books:
        """Find the connection, and write what the request itself says."""
        token = None if request.pos is None else _parse_pos(request.pos)
        to_device = request.extensions.get(TO_DEVICE)

        def look(db: Db) -> tuple[_Books, bool]:
            books = _Books(token=token, connection=None if token is None else _get_connection(db, request, token))
            acknowledged = parse_position(
                TO_DEVICE, None if to_device is None else to_device.since, select_position(db)
            )
            return books, self._is_worth_a_write(db, request, books, acknowledged)

        books, is_worth_a_write = await self._database.read(look)
        if is_worth_a_write:
            books, position = await self._database.write(lambda db: self._note(db, request, token))
            self._notifier.advance(position)
        return books

    def _is_worth_a_write(self, db: Db, request: SlidingRequest, books: _Books, acknowledged: int) -> bool:
        if needs_refresh(db, request.user_id, request.set_presence, self._now_ms()):
            return True
        if acknowledged and has_to_device_messages(db, request.user_id, request.device_id, acknowledged):
            return True
        if books.token is None or books.connection is None:
            return False
        is_stale = self._now_ms() - books.connection.last_used_ts > _USED_EVERY_MS
        return is_stale or books.token.generation != books.connection.acknowledged

    def _note(self, db: Db, request: SlidingRequest, token: SlidingToken | None) -> tuple[_Books, int]:
        now_ms = self._now_ms()
        to_device = request.extensions.get(TO_DEVICE)
        if to_device is not None and to_device.since:
            acknowledged = parse_position(TO_DEVICE, to_device.since, select_position(db))
            delete_to_device_messages(db, request.user_id, request.device_id, acknowledged)
        refresh_presence(db, request.user_id, request.set_presence, now_ms)
        if token is not None:
            connection = _get_connection(db, request, token)
            update_acknowledged(db, connection.connection_nid, token.generation, now_ms)
            return _Books(token=token, connection=_get_connection(db, request, token)), select_position(db)
        return _Books(token=None, connection=None), select_position(db)

    async def _build(self, request: SlidingRequest, books: _Books) -> SlidingAnswer:
        self._typing_users.expire()
        serial = self._typing_users.issue_serial()
        now_ms = max(serial, self._now_ms())
        token = books.token
        scene = None if token is None else self._scenes.get((token.connection_nid, token.generation))

        def build(db: Db) -> SlidingAnswer:
            check_device(db, request.user_id, request.device_id)
            view = SyncView(
                user_id=request.user_id,
                device_id=request.device_id,
                since=None if token is None else token.streams,
                up_to=select_position(db),
                serial=serial,
                now_ms=now_ms,
                ignored_users=select_ignored_users(db, request.user_id),
                typing_users=self._typing_users,
                members_sent=self._members_sent.get(request.user_id, _device_of(request)),
            )
            known = {} if token is None else select_told_rooms(db, token.connection_nid, token.generation)
            return build_sliding_answer(
                db,
                request,
                view,
                known=known,
                were_on="" if token is None else token.extensions,
                last_scene=scene,
                memory=self._memory,
            )

        return await self._database.read(build)

    async def _keep(self, request: SlidingRequest, books: _Books, answer: SlidingAnswer) -> SlidingToken:
        """Write what the answer changes of the books; the token that the client goes on with."""
        if books.token is not None and not answer.told:
            connection_nid, generation = books.token.connection_nid, books.token.generation
        else:
            connection_nid, generation = await self._database.write(lambda db: self._write(db, request, books, answer))
        return SlidingToken(
            connection_nid=connection_nid,
            generation=generation,
            extensions=answer.extensions,
            streams=answer.streams,
        )

    def _write(self, db: Db, request: SlidingRequest, books: _Books, answer: SlidingAnswer) -> tuple[int, int]:
        now_ms = self._now_ms()
        if books.token is not None:
            connection = _get_connection(db, request, books.token)
            if count_configs(db, connection.connection_nid) > _MAX_CONFIGS:
                raise UnknownPos("This connection has seen too many different wishes: begin anew.")
        else:
            nid = insert_connection(db, request.user_id, request.device_id, request.conn_id, now_ms)
            delete_old_connections(
                db, request.user_id, request.device_id, keep=MAX_CONNECTIONS, unused_since=now_ms - MAX_AGE_MS
            )
            connection = SlidingConnection(connection_nid=nid, acknowledged=0, newest=0, last_used_ts=now_ms)
        return connection.connection_nid, insert_generation(db, connection, answer.told, now_ms)

    def _remember(self, request: SlidingRequest, token: SlidingToken, answer: SlidingAnswer) -> None:
        if request.pos is None:
            self._members_sent.forget(request.user_id, _device_of(request))
        self._members_sent.remember(request.user_id, _device_of(request), answer.members_sent, answer.streams.position)
        self._scenes.pop((token.connection_nid, token.generation), None)
        self._scenes[token.connection_nid, token.generation] = answer.scene
        while len(self._scenes) > _MAX_SCENES:
            self._scenes.popitem(last=False)


def _parse_pos(pos: str) -> SlidingToken:
    try:
        return parse_sliding_token(pos)
    except InvalidParam:
        raise UnknownPos("This is not a token of this server.") from None


def _get_connection(db: Db, request: SlidingRequest, token: SlidingToken) -> SlidingConnection:
    """The connection that a token goes on with. Raises UnknownPos."""
    connection = find_connection(db, token.connection_nid, request.user_id, request.device_id, request.conn_id)
    if connection is None or token.streams.position > select_position(db):
        raise UnknownPos("This server does not know the connection, or no longer: begin anew.")
    if token.generation not in (connection.acknowledged, connection.newest):
        raise UnknownPos("This token is older than what the client has acknowledged: begin anew.")
    return connection


def _device_of(request: SlidingRequest) -> str:
    """A connection as if it were a device."""
    return f"{request.device_id}/{request.conn_id}"
