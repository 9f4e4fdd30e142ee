"""Other servers' users' device lists: asked for when a client needs one, and again when a change of it was missed.

A follower asks for the lists that are stale, a few at a time; one that can't be had is asked for again after the pause
that its server has. (server-server API, § Device Management)
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from tabstead.encryption.remote_devices import (
    ToldList,
    is_list_kept,
    mark_stale,
    parse_told_list,
    put_off,
    replace_list,
)
from tabstead.errors import MatrixError, OutboundFailed, PeerMisbehaved, PeerRefused
from tabstead.federation.client import FederationClient, Question, federation_path
from tabstead.http import JsonObject
from tabstead.protocol.identifiers import ServerName, server_name_of
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Db
from tabstead.storage.destinations import find_retry
from tabstead.storage.remote_devices import find_next_retry, select_stale_lists
from tabstead.streams.commits import Commits

logger = logging.getLogger(__name__)

AT_ONCE: Final = 10
"""Lists that are asked for at the same time."""

PAUSE_MS: Final = 10 * 60 * 1000
"""After a list could not be had from a server that answers."""

_TIMEOUT_MS: Final = 30_000
_MAX_BYTES: Final = 8 * 1024 * 1024


class RemoteDeviceLists:
    """Asks for lists and keeps them; also the follower that keeps them in step."""

    def __init__(self, server: LocalServer, commits: Commits, client: FederationClient) -> None:
        self._server = server
        self._commits = commits
        self._client = client
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def work(self) -> int | None:
        """Ask for the lists that are stale; when to do so next."""
        now = self._server.now_ms()
        stale = await self._commits.database.read(lambda db: self._select_due(db, now))
        if stale:
            await asyncio.gather(*(self._refresh(user_id) for user_id in stale))
        return await self._commits.database.read(find_next_retry)

    async def fetch(self, user_id: str) -> None:
        """Ask for a user's list, and keep it where that is due; who asks meanwhile shares it. Raises OutboundFailed."""
        if user_id not in self._asking:
            asking = asyncio.ensure_future(self._fetch(user_id))
            self._asking[user_id] = asking
            asking.add_done_callback(lambda _: self._asking.pop(user_id, None))
        await asyncio.shield(self._asking[user_id])

    async def want(self, user_ids: Iterable[str]) -> None:
        """Have lists asked for by and by."""
        wanted, now = list(user_ids), self._server.now_ms()

        def note(db: Db) -> None:
            for user_id in wanted:
                if is_list_kept(db, self._server, user_id):
                    mark_stale(db, user_id, now)

        if wanted:
            await self._commits.database.write(note)
            self._commits.notifier.wake()

    def _select_due(self, db: Db, now: int) -> list[str]:
        return [stale.user_id for stale in select_stale_lists(db, now, AT_ONCE)]

    async def _refresh(self, user_id: str) -> None:
        server = server_name_of(user_id)
        retry = await self._commits.database.read(lambda db: find_retry(db, server))
        if retry is not None and retry.next_try_ts > self._server.now_ms():
            await self._put_off(user_id, retry.next_try_ts)
            return
        try:
            await self.fetch(user_id)
        except OutboundFailed as failure:
            logger.info("The devices of %s can't be had: %s", user_id, failure)
            await self._put_off(user_id, self._server.now_ms() + PAUSE_MS)

    async def _put_off(self, user_id: str, retry_ts: int) -> None:
        await self._commits.database.write(lambda db: put_off(db, user_id, retry_ts))

    async def _fetch(self, user_id: str) -> None:
        question = Question(
            method="GET",
            path=federation_path("v1", "user", "devices", user_id),
            timeout_ms=_TIMEOUT_MS,
            max_bytes=_MAX_BYTES,
        )
        server = server_name_of(user_id)
        try:
            body = await self._client.ask(server, question)
            told = _parse(server, user_id, body)
        except PeerRefused as refusal:
            if refusal.status != 404:
                raise
            told = ToldList(user_id=user_id, stream_id=0, devices=(), cross_signing_keys=())
        await self._commits.write(lambda db: replace_list(db, self._server, told, self._server.now_ms()))


def _parse(server: ServerName, user_id: str, body: dict[str, object]) -> ToldList:
    try:
        return parse_told_list(user_id, JsonObject(body))
    except MatrixError as error:
        raise PeerMisbehaved(f"{server} answers with no list of devices: {error.sentence}") from error
