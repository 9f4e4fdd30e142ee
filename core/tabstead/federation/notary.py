"""This server as a notary: it tells others' keys to whoever asks, with its signature beside theirs.

What is known is told for half of its validity, then it is fetched anew; what can't be fetched in time is told as it is
known, and of what is not known nothing is told. Anybody may ask, so a query has an end, and takes its turn with
strangers' keys.
(server-server API, "Querying Keys Through Another Server")
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, TypeAlias

from tabstead.errors import OutboundFailed
from tabstead.federation.key_ring import KeyRing, is_past_half
from tabstead.federation.server_key_responses import build_own_response
from tabstead.http import parse_json
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import ServerName
from tabstead.protocol.signatures import sign_json
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Database, Db
from tabstead.storage.retired_signing_keys import select_retired_keys
from tabstead.storage.server_keys import ServerKey, select_all_server_keys, select_key_responses

_TIMEOUT_SECONDS: Final = 15

KeyQuery: TypeAlias = Mapping[str, int]
"""Until when each key is to be valid, by key id, in milliseconds since the epoch; without any: all keys in use."""

ANY_KEY: Final[KeyQuery] = {}


class Notary:
    """Answers key queries."""

    def __init__(self, server: LocalServer, database: Database, key_ring: KeyRing) -> None:
        self._server = server
        self._database = database
        self._key_ring = key_ring

    async def find_responses(
        self, queries: Mapping[ServerName, KeyQuery], minimum_valid_until_ts: int = 0
    ) -> list[JsonDict]:
        """What is to be told of these servers' keys, signed. `minimum_valid_until_ts` is of keys without id."""
        unmet = await self._database.read(
            lambda db: [
                name for name, query in queries.items() if not self._is_met(db, name, query, minimum_valid_until_ts)
            ]
        )
        await self._fetch({name: queries[name] for name in unmet})
        return await self._database.read(
            lambda db: [response for name, query in queries.items() for response in self._tell(db, name, query)]
        )

    def _is_met(self, db: Db, server_name: ServerName, query: KeyQuery, minimum_valid_until_ts: int) -> bool:
        if server_name == self._server.name:
            return True
        known = select_all_server_keys(db, server_name)
        if query:
            return all(self._is_fresh(known.get(key_id), until_ts) for key_id, until_ts in query.items())
        return any(self._is_fresh(key, minimum_valid_until_ts) for key in known.values() if not key.is_old)

    def _is_fresh(self, key: ServerKey | None, minimum_valid_until_ts: int) -> bool:
        """A key that was retired stays what it is."""
        if key is None or key.is_old:
            return key is not None
        valid_until_ts = key.verify_key.valid_until_ts or 0
        return minimum_valid_until_ts <= valid_until_ts and not is_past_half(key, self._server.now_ms())

    async def _fetch(self, queries: Mapping[ServerName, KeyQuery]) -> None:
        """Fetch what can be had in time; what comes later is there for the next query."""

        async def fetch(server_name: ServerName) -> None:
            with suppress(OutboundFailed):
                await self._key_ring.fetch_keys(server_name, queries[server_name], is_stranger=True)

        with suppress(TimeoutError):
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await asyncio.gather(*map(fetch, queries))

    def _tell(self, db: Db, server_name: ServerName, query: KeyQuery) -> list[JsonDict]:
        server = self._server
        if server_name == server.name:
            return [build_own_response(server, select_retired_keys(db))]
        wanted = query or [key_id for key_id, key in select_all_server_keys(db, server_name).items() if not key.is_old]
        responses = select_key_responses(db, server_name, wanted)
        if not query:
            responses = responses[:1]
        return [sign_json(parse_json(response), server.name, server.signing_key) for response in responses]
