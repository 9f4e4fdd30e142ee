"""Tell other servers: a follower of the stream with a transaction under way to each server that is owed something.

What is owed is in the database, so a server that was killed goes on where it was, and one that was away for a year is
owed no more than a row for each room. Servers are told at the same time, each one transaction after the other; one that
can't be reached is tried again after a pause that doubles, or as soon as it is heard from. Typing and presence are not
kept for it: they are of no use later.
(server-server API, § Transactions)
"""

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import Final

from tabstead.errors import OutboundFailed, PeerRefused, StorageUnavailable
from tabstead.federation.client import FederationClient, Question, federation_path
from tabstead.federation.outbound_news import Look, look_through, note_look
from tabstead.federation.outbound_presence import OutboundPresence, build_presence_news
from tabstead.federation.outbound_transactions import (
    OutboundTransaction,
    build_transaction,
    settle_transaction,
    transaction_id,
)
from tabstead.federation.outbound_typing import OutboundTyping
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import ServerName
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Database, Db
from tabstead.storage.destinations import (
    FIRST_PAUSE_MS,
    Retry,
    delete_retry,
    pause_after,
    select_retries,
    update_failed,
)
from tabstead.storage.names import select_users
from tabstead.storage.outbound_news import (
    Kind,
    News,
    delete_news,
    select_outbound_position,
    select_owed_servers,
    update_abridged,
    update_news,
    update_outbound_position,
)
from tabstead.streams.typing_users import TypingUsers

logger = logging.getLogger(__name__)

AT_ONCE: Final = 64
"""Servers that are told something at the same time."""

LONG_OUTAGE_MS: Final = 60 * 60 * 1000
EVENTS_AFTER_LONG_OUTAGE: Final = 100
"""So many of a room's events a server is sent that was away for long; of more it gets the last, and asks for others."""

_TIMEOUT_MS: Final = 60_000
_MAX_ANSWER_BYTES: Final = 1024 * 1024
_KEPT_EVERY: Final = 10_000
"""Positions without any news, after which the place in the stream is kept all the same."""

_HOPELESS: Final = frozenset({"M_BAD_JSON", "M_NOT_JSON", "M_TOO_LARGE"})
"""What a server will say of this transaction whenever it gets it."""


@dataclass(slots=True)
class _Owed:
    """A server that has to be told something, as far as is known."""

    news: int = 0
    """Counts what came: who sees it unchanged has read all."""
    task: "asyncio.Task[None] | None" = None


class Sending:
    """The follower. Its memory is what it can find again: who is owed something, and who can't be reached."""

    def __init__(
        self, *, server: LocalServer, database: Database, client: FederationClient, typing_users: TypingUsers
    ) -> None:
        self._server = server
        self._database = database
        self._client = client
        self._typing = OutboundTyping(server, typing_users)
        self._presence = OutboundPresence(server)
        self._owed: dict[ServerName, _Owed] = {}
        self._retries: dict[str, Retry] = {}
        self._position: int | None = None
        self._kept_position = 0

    async def work(self) -> int | None:
        """Find what is new, and begin to tell those who can be told; when to look again."""
        if self._position is None:
            await self._load()
        await self._look_through()
        await self._look_who_types()
        await self._look_who_is_here()
        self._start()
        return self._next_due()

    def hear(self, origin: ServerName) -> None:
        """A server that asks something can be asked, too: it is tried again at once."""
        retry = self._retries.get(origin)
        now = self._server.now_ms()
        if retry is None or now - _last_try(retry) < FIRST_PAUSE_MS:
            return
        self._retries[origin] = Retry(failing_since_ts=retry.failing_since_ts, failures=retry.failures, next_try_ts=now)
        self._start()

    async def finish(self) -> None:
        """Wait until nothing is under way."""
        while tasks := [owed.task for owed in self._owed.values() if owed.task is not None]:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Let go of what is under way: it is owed, and will be told by the next life."""
        tasks = [owed.task for owed in self._owed.values() if owed.task is not None]
        self._owed.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _load(self) -> None:
        def load(db: Db) -> tuple[int, set[ServerName], dict[str, Retry]]:
            return select_outbound_position(db), select_owed_servers(db), select_retries(db)

        position, servers, self._retries = await self._database.read(load)
        self._position = self._kept_position = position
        for server in servers:
            self._owe(server)

    def _owe(self, server: ServerName) -> None:
        self._owed.setdefault(server, _Owed()).news += 1

    async def _look_through(self) -> None:
        """Follow the stream to its end."""
        while True:
            position = self._position
            assert position is not None, "it was loaded"
            look = await self._database.read(partial(self._look, after=position))
            if look.news:
                await self._database.write(partial(note_look, look=look))
                self._kept_position = look.up_to
            elif look.up_to - self._kept_position >= _KEPT_EVERY:
                await self._database.write(partial(update_outbound_position, position=look.up_to))
                self._kept_position = look.up_to
            self._position = look.up_to
            self._presence.note(look.presences, self._server.now_ms())
            for server in look.servers:
                self._owe(server)
            if look.up_to == position:
                return

    def _look(self, db: Db, after: int) -> Look:
        return look_through(db, self._server, after, self._retries)

    async def _look_who_types(self) -> None:
        changes = self._typing.take_changes()
        if not changes:
            return
        servers = await self._database.read(lambda db: self._typing.find_servers(db, changes))
        for room_id, others in servers.items():
            for server in others - self._retries.keys():
                self._typing.keep(server, room_id, changes[room_id])
                self._owe(server)

    async def _look_who_is_here(self) -> None:
        now = self._server.now_ms()
        if not self._presence.is_due(now):
            return
        found = await self._database.read(lambda db: self._presence.look(db, now))
        changed = self._presence.take(found, now)
        if not changed:
            return

        def note(db: Db) -> list[News]:
            news = build_presence_news(db, self._server, select_users(db, changed), self._retries)
            update_news(db, news)
            return news

        for news in await self._database.write(note):
            self._owe(news.server)

    def _start(self) -> None:
        """Begin with those who may be told now, as many as may be at once."""
        now = self._server.now_ms()
        running = sum(owed.task is not None for owed in self._owed.values())
        for server, owed in self._owed.items():
            if running >= AT_ONCE:
                return
            retry = self._retries.get(server)
            if owed.task is None and (retry is None or retry.next_try_ts <= now):
                owed.task = asyncio.create_task(self._tell(server, owed))
                running += 1

    def _next_due(self) -> int | None:
        """When a pause ends, or typing or presence has to be looked at; soon, while something may yet fail."""
        due = [retry.next_try_ts for server, retry in self._retries.items() if server in self._owed]
        if any(owed.task is not None for owed in self._owed.values()):
            due.append(self._server.now_ms() + FIRST_PAUSE_MS)
        due += [time for time in (self._typing.next_due(), self._presence.next_due()) if time is not None]
        return min(due, default=None)

    async def _tell(self, server: ServerName, owed: _Owed) -> None:
        """Tell a server all that it is owed, or as much as it takes."""
        try:
            await self._tell_all(server, owed)
        except StorageUnavailable:
            return
        except Exception:
            logger.exception("%s could not be told what it is owed", server)
            self._retries[server] = await self._database.write(
                lambda db: update_failed(db, server, self._server.now_ms())
            )
        finally:
            owed.task = None
        self._start()

    async def _tell_all(self, server: ServerName, owed: _Owed) -> None:
        while True:
            seen = owed.news
            transaction = await self._database.read(lambda db: build_transaction(db, self._server, server))
            self._typing.add_to(server, transaction)
            if transaction.is_empty:
                if owed.news == seen:
                    self._owed.pop(server, None)
                    return
                continue
            if transaction.has_content and not await self._send(server, transaction):
                return
            await self._database.write(partial(self._settle, server=server, transaction=transaction))
            self._retries.pop(server, None)

    async def _send(self, server: ServerName, transaction: OutboundTransaction) -> bool:
        """Whether the server has it now, or never will."""
        content = transaction.content(self._server.name, self._server.now_ms())
        question = Question(
            method="PUT",
            path=federation_path("v1", "send", transaction_id(content)),
            content=content,
            timeout_ms=_TIMEOUT_MS,
            max_bytes=_MAX_ANSWER_BYTES,
        )
        try:
            answer = await self._client.ask(server, question)
        except OutboundFailed as error:
            if isinstance(error, PeerRefused) and error.errcode in _HOPELESS:
                logger.error("%s will not take a transaction, which is dropped: %s", server, error.sentence)
                return True
            logger.info("%s can't be told what it is owed: %s", server, error)
            await self._note_failure(server)
            return False
        _log_refusals(server, transaction, answer)
        return True

    def _settle(self, db: Db, server: ServerName, transaction: OutboundTransaction) -> None:
        settle_transaction(db, server, transaction)
        if server in self._retries:
            delete_retry(db, server)

    async def _note_failure(self, server: ServerName) -> None:
        def note(db: Db) -> Retry:
            now = self._server.now_ms()
            retry = update_failed(db, server, now)
            delete_news(db, server, Kind.PRESENCE)
            if now - retry.failing_since_ts >= LONG_OUTAGE_MS:
                update_abridged(db, server, EVENTS_AFTER_LONG_OUTAGE)
            return retry

        self._retries[server] = await self._database.write(note)
        self._typing.forget(server)


def _last_try(retry: Retry) -> int:
    return retry.next_try_ts - pause_after(retry.failures)


def _log_refusals(server: ServerName, transaction: OutboundTransaction, answer: JsonDict) -> None:
    results = answer.get("pdus")
    for event_id in transaction.event_ids if isinstance(results, dict) else ():
        result = results.get(event_id) if isinstance(results, dict) else None
        if isinstance(result, dict) and result.get("error"):
            logger.warning("%s does not take %s: %.200s", server, event_id, result["error"])
