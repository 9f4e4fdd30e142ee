"""Other servers' verify keys: kept in storage, fetched when a signature needs one that isn't there.

Storage is asked within a transaction, servers outside of one: who finds a key missing ends the transaction, has it
fetched, and begins anew. A server is asked itself; if it can't be, the notaries that the operator trusts are. A key is
believed until the time that its server said, and for seven days at most; one that its server has retired still holds
for events of its time. Halfway to that time it is fetched anew, while requests go on.
(server-server API, "Retrieving server keys")
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from tabstead import configuration
from tabstead.errors import OutboundFailed
from tabstead.federation.client import FederationClient, Question
from tabstead.federation.key_fetching import Pace, Places
from tabstead.federation.notaries import Notaries
from tabstead.federation.server_key_responses import read_server_keys
from tabstead.protocol.identifiers import ServerName
from tabstead.protocol.signatures import GetVerifyKeys, VerifyKey
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Database, Db
from tabstead.storage.retired_signing_keys import select_retired_keys
from tabstead.storage.server_keys import (
    ServerKey,
    ToldKeys,
    has_server_keys,
    insert_older_server_keys,
    select_server_keys,
    update_server_keys,
)

_TIMEOUT_MS: Final = 10_000
_MAX_RESPONSE_BYTES: Final = 64 * 1024


class KeyRing:
    """The verify keys of all servers, this one's included."""

    def __init__(
        self, server: LocalServer, database: Database, client: FederationClient, options: configuration.Federation
    ) -> None:
        self._server = server
        self._database = database
        self._client = client
        self._notaries = Notaries(options.key_servers, client, self.find_request_key, server.now_ms)
        self._pace = Pace(server.now_ms)
        self._acquainted = Places(at_once=32, waiting=10_000)
        self._strangers = Places(at_once=16, waiting=500)
        self._fetching: dict[ServerName, asyncio.Task[None]] = {}

    def known_keys(self, db: Db) -> GetVerifyKeys:
        """What is known within a transaction: for the checks on receipt of a PDU."""
        return partial(self._find_known, db)

    async def fetch_keys(
        self, server_name: ServerName, key_ids: Iterable[str] = (), *, is_stranger: bool = False
    ) -> None:
        """Fetch a server's keys into storage; who asks meanwhile shares the answer.

        A server that has answered just now several times is not asked again. `key_ids` are those that are wanted, as
        far as they are known: a notary may look for them. Strangers' turn is apart from the others'. Raises
        OutboundFailed.
        """
        fetching = self._start_fetching(server_name, key_ids, is_stranger)
        if fetching is not None:
            await asyncio.shield(fetching)

    async def find_request_key(self, server_name: ServerName, key_id: str) -> VerifyKey | None:
        """A key that signs a server's requests now, fetched if need be; None if there is none, or no way to know."""
        find = partial(self._find_request_key, server_name=server_name, key_id=key_id)
        known, is_stranger = await self._database.read(find)
        if known is not None:
            self._fetch_anew_if_due(server_name, known)
            return known.verify_key
        try:
            await self.fetch_keys(server_name, [key_id], is_stranger=is_stranger)
        except OutboundFailed:
            return None
        fetched, _ = await self._database.read(find)
        return None if fetched is None else fetched.verify_key

    async def close(self) -> None:
        await self._notaries.close()
        for fetching in tuple(self._fetching.values()):
            fetching.cancel()

    def _find_known(self, db: Db, server_name: ServerName, key_ids: Iterable[str]) -> Mapping[str, VerifyKey]:
        wanted = set(key_ids)
        if server_name != self._server.name:
            return {key_id: known.verify_key for key_id, known in select_server_keys(db, server_name, wanted).items()}
        own = {self._server.signing_key.key_id: self._server.signing_key.verify_key}
        if wanted - own.keys():
            own = {key.key_id: key for key in select_retired_keys(db)} | own
        return {key_id: own[key_id] for key_id in wanted & own.keys()}

    def _find_request_key(self, db: Db, *, server_name: ServerName, key_id: str) -> tuple[ServerKey | None, bool]:
        """The key, if it holds now, and whether its server is a stranger."""
        known = select_server_keys(db, server_name, [key_id]).get(key_id)
        if known is not None and not known.is_old and self._server.now_ms() <= (known.verify_key.valid_until_ts or 0):
            return known, False
        return None, known is None and not has_server_keys(db, server_name)

    def _fetch_anew_if_due(self, server_name: ServerName, known: ServerKey) -> None:
        if not is_past_half(known, self._server.now_ms()):
            return
        with suppress(OutboundFailed):  # there is time to try again
            self._start_fetching(server_name, (known.verify_key.key_id,), is_stranger=False)

    def _start_fetching(
        self, server_name: ServerName, key_ids: Iterable[str], is_stranger: bool
    ) -> "asyncio.Task[None] | None":
        """A task that fetches the keys; None: there can't be anything new. Raises OutboundFailed."""
        if server_name in self._fetching:
            return self._fetching[server_name]
        if server_name == self._server.name or not self._pace.may_ask(server_name):
            return None
        places = self._strangers if is_stranger else self._acquainted
        fetching = asyncio.ensure_future(self._fetch(server_name, key_ids, places))
        self._fetching[server_name] = fetching
        fetching.add_done_callback(partial(self._end_fetching, server_name))
        return fetching

    def _end_fetching(self, server_name: ServerName, fetching: "asyncio.Task[None]") -> None:
        del self._fetching[server_name]
        if not fetching.cancelled():
            fetching.exception()  # whoever waited has it; nobody may have

    async def _fetch(self, server_name: ServerName, key_ids: Iterable[str], places: Places) -> None:
        """From the server itself, or else from a notary."""
        try:
            async with places.take():
                told = await self._ask(server_name)
        except OutboundFailed as error:
            second_hand = await self._find_at_notaries(server_name, key_ids)
            self._pace.note(server_name, str(error) if second_hand is None else None)
            if second_hand is None:
                raise
            await self._database.write(lambda db: insert_older_server_keys(db, second_hand))
        else:
            self._pace.note(server_name, None)
            await self._database.write(lambda db: update_server_keys(db, told))

    async def _find_at_notaries(self, server_name: ServerName, key_ids: Iterable[str]) -> ToldKeys | None:
        if not self._notaries.may_know(server_name):
            return None
        return await self._notaries.find_keys(server_name, key_ids)

    async def _ask(self, server_name: ServerName) -> ToldKeys:
        response = await self._client.ask(
            server_name,
            Question(
                method="GET",
                path="/_matrix/key/v2/server",
                timeout_ms=_TIMEOUT_MS,
                max_bytes=_MAX_RESPONSE_BYTES,
                is_signed=False,
            ),
        )
        return read_server_keys(response, server_name, self._server.now_ms())


def is_past_half(known: ServerKey, now_ms: int) -> bool:
    """Whether a key in use has less time left than has passed since it was fetched."""
    return not known.is_old and now_ms - known.fetched_ts > (known.verify_key.valid_until_ts or 0) - now_ms
