"""Ask notaries for the keys of servers that can't be asked themselves.

A notary is believed what it has signed, of a response that its server has signed too. Servers that are looked for at
about the same time are asked for in one request. Asked for any key, a notary may tell what it happens to know; asked
for a key by its id, it looks for it.
(server-server API, "Querying Keys Through Another Server")
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from tabstead.errors import OutboundFailed, PeerMisbehaved
from tabstead.federation.client import FederationClient, Question
from tabstead.federation.server_key_responses import read_server_keys
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import ServerName
from tabstead.protocol.signatures import VerifyKey, verify_signed_json
from tabstead.storage.server_keys import ToldKeys

_GATHER_SECONDS: Final = 0.05
_MAX_SERVERS: Final = 100
_MAX_KEYS: Final = 8
_TIMEOUT_MS: Final = 20_000
_MAX_RESPONSE_BYTES: Final = 2 * 1024 * 1024
_MAX_SIGNATURES: Final = 4

FindKey = Callable[[ServerName, str], Awaitable[VerifyKey | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A server's keys that somebody waits for."""

    key_ids: Sequence[str]
    found: "asyncio.Future[ToldKeys | None]"


class Notaries:
    """Those that the operator trusts."""

    def __init__(
        self, names: Sequence[str], client: FederationClient, find_key: FindKey, now_ms: Callable[[], int]
    ) -> None:
        """`find_key` finds a notary's own key."""
        self._names = [ServerName(name) for name in names]
        self._client = client
        self._find_key = find_key
        self._now_ms = now_ms
        self._wanted: dict[ServerName, _Wanted] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def may_know(self, server_name: ServerName) -> bool:
        """Whether there is anybody to ask: nobody vouches for a notary."""
        return bool(self._names) and server_name not in self._names

    async def find_keys(self, server_name: ServerName, key_ids: Iterable[str] = ()) -> ToldKeys | None:
        """What any of them knows of a server's keys, these above all."""
        if server_name not in self._wanted:
            found: asyncio.Future[ToldKeys | None] = asyncio.get_running_loop().create_future()
            self._wanted[server_name] = _Wanted(key_ids=tuple(islice(key_ids, _MAX_KEYS)), found=found)
            if len(self._wanted) == 1:
                task = asyncio.ensure_future(self._ask_for_wanted())
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
        return await asyncio.shield(self._wanted[server_name].found)

    async def close(self) -> None:
        for task in tuple(self._asking):
            task.cancel()

    async def _ask_for_wanted(self) -> None:
        wanted: dict[ServerName, _Wanted] = {}
        try:
            await asyncio.sleep(_GATHER_SECONDS)
            wanted, self._wanted = self._wanted, {}
            await self._ask_all(wanted)
        finally:
            for each in wanted.values():
                if not each.found.done():
                    each.found.set_result(None)

    async def _ask_all(self, wanted: "Mapping[ServerName, _Wanted]") -> None:
        for notary in self._names:
            missing = {name: each.key_ids for name, each in wanted.items() if not each.found.done()}
            for batch in _batches(missing):
                try:
                    told_keys = await self._ask(notary, batch)
                except OutboundFailed:
                    break
                for told in told_keys:
                    found = wanted[ServerName(told.server_name)].found
                    if not found.done():
                        found.set_result(told)

    async def _ask(self, notary: ServerName, servers: Mapping[ServerName, Sequence[str]]) -> list[ToldKeys]:
        criteria = {"minimum_valid_until_ts": self._now_ms()}
        question = Question(
            method="POST",
            path="/_matrix/key/v2/query",
            content={"server_keys": {name: dict.fromkeys(key_ids, criteria) for name, key_ids in servers.items()}},
            timeout_ms=_TIMEOUT_MS,
            max_bytes=_MAX_RESPONSE_BYTES,
            is_signed=False,
        )
        answer = await self._client.ask(notary, question)
        found = []
        for response in _read_responses(answer, set(servers)):
            if not await self._is_signed_by(notary, response):
                continue
            try:
                found.append(read_server_keys(response, response["server_name"], self._now_ms()))
            except PeerMisbehaved:
                continue
        return found

    async def _is_signed_by(self, notary: ServerName, response: JsonDict) -> bool:
        signatures = response.get("signatures")
        by_key = signatures.get(notary) if isinstance(signatures, dict) else None
        for key_id in list(by_key)[:_MAX_SIGNATURES] if isinstance(by_key, dict) else ():
            key = await self._find_key(notary, key_id)
            if key is not None and verify_signed_json(response, notary, key):
                return True
        return False


def _batches(servers: Mapping[ServerName, Sequence[str]]) -> Iterator[dict[ServerName, Sequence[str]]]:
    entries = list(servers.items())
    for start in range(0, len(entries), _MAX_SERVERS):
        yield dict(entries[start : start + _MAX_SERVERS])


def _read_responses(answer: JsonDict, servers: set[ServerName]) -> list[dict[str, Any]]:
    """Those about servers that were asked for."""
    given = answer.get("server_keys")
    responses = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    return [each for each in responses if isinstance(name := each.get("server_name"), str) and name in servers]
