"""Other servers' verify keys: kept in storage, fetched when a signature needs one that isn't there.

Storage is asked within a transaction, servers outside of one: who finds a key missing ends the transaction, has it
fetched, and begins anew. A key is believed until the time that its server said, and for seven days at most; one that
its server has retired still holds for events of its time.
(server-server API, "Retrieving server keys")
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeGuard

from tabstead.errors import BadJson, OutboundFailed, PeerMisbehaved
from tabstead.federation.client import FederationClient, Question
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import ServerName
from tabstead.protocol.signatures import (
    GetVerifyKeys,
    VerifyKey,
    believed_until,
    decode_verify_key,
    verify_signed_json,
)
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Database, Db
from tabstead.storage.server_keys import ServerKey, select_server_keys, update_server_keys

_MAX_RESPONSE_BYTES = 64 * 1024


class KeyRing:
    """The verify keys of all servers, this one's included."""

    def __init__(self, server: LocalServer, database: Database, client: FederationClient) -> None:
        self._server = server
        self._database = database
        self._client = client
        self._fetching: dict[ServerName, asyncio.Task[None]] = {}

    def known_keys(self, db: Db) -> GetVerifyKeys:
        """What is known within a transaction: for the checks on receipt of a PDU."""
        return partial(self._find_known, db)

    async def fetch_keys(self, server_name: ServerName) -> None:
        """Fetch a server's keys into storage; who asks meanwhile shares the answer. Raises OutboundFailed."""
        if server_name not in self._fetching:
            fetching = asyncio.ensure_future(self._fetch(server_name))
            self._fetching[server_name] = fetching
            fetching.add_done_callback(lambda _: self._fetching.pop(server_name, None))
        await asyncio.shield(self._fetching[server_name])

    async def find_request_key(self, server_name: ServerName, key_id: str) -> VerifyKey | None:
        """A key that signs a server's requests now, fetched if need be; None if there is none, or no way to know."""
        find = partial(self._find_request_key, server_name=server_name, key_id=key_id)
        found = await self._database.read(find)
        if found is not None:
            return found
        try:
            await self.fetch_keys(server_name)
        except OutboundFailed:
            return None
        return await self._database.read(find)

    def _find_known(self, db: Db, server_name: ServerName, key_ids: Iterable[str]) -> Mapping[str, VerifyKey]:
        own = self._server.signing_key.verify_key
        if server_name == self._server.name:
            return {own.key_id: own} if own.key_id in set(key_ids) else {}
        return {key_id: known.verify_key for key_id, known in select_server_keys(db, server_name, key_ids).items()}

    def _find_request_key(self, db: Db, *, server_name: ServerName, key_id: str) -> VerifyKey | None:
        known = select_server_keys(db, server_name, [key_id]).get(key_id)
        if known is None or known.is_old:
            return None
        valid_until_ts = known.verify_key.valid_until_ts
        return known.verify_key if valid_until_ts is None or valid_until_ts >= self._server.now_ms() else None

    async def _fetch(self, server_name: ServerName) -> None:
        question = Question(method="GET", path="/_matrix/key/v2/server", max_bytes=_MAX_RESPONSE_BYTES, is_signed=False)
        response = await self._client.ask(server_name, question)
        keys = read_server_keys(response, server_name, self._server.now_ms())
        await self._database.write(lambda db: update_server_keys(db, server_name, keys))


def read_server_keys(response: JsonDict, server_name: str, now_ms: int) -> list[ServerKey]:
    """The keys of a `/key/v2/server` response, signed by each key in use. Raises PeerMisbehaved."""
    claimed = response.get("valid_until_ts")
    if response.get("server_name") != server_name or not _is_time(claimed):
        raise PeerMisbehaved(f"{server_name} answers with keys that are not its own, or of no time.")
    valid_until_ts = believed_until(claimed, now_ms)
    in_use = _read_keys(response.get("verify_keys"), lambda _: valid_until_ts)
    if not in_use or not all(verify_signed_json(response, server_name, key) for key in in_use):
        raise PeerMisbehaved(f"{server_name} does not sign its keys with each of them.")
    old = _read_keys(response.get("old_verify_keys"), lambda given: given.get("expired_ts"))
    return [
        ServerKey(verify_key=key, is_old=is_old, fetched_ts=now_ms)
        for is_old, keys in ((True, old), (False, in_use))
        for key in keys
    ]


def _read_keys(given: object, valid_until_of: Callable[[JsonDict], Any]) -> list[VerifyKey]:
    """The Ed25519 keys of an object by key id; what is none of those is left out."""
    keys = []
    for key_id, value in given.items() if isinstance(given, dict) else ():
        if not isinstance(value, dict) or not isinstance(value.get("key"), str):
            continue
        valid_until_ts = valid_until_of(value)
        if not _is_time(valid_until_ts):
            continue
        try:
            keys.append(decode_verify_key(key_id, value["key"], valid_until_ts))
        except BadJson:
            continue
    return keys


def _is_time(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
