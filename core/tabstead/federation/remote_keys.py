"""Keys of other servers' users, for the clients of this one: all servers are asked at the same time.

Where a list is kept here (`encryption.remote_devices`), nobody is asked. A list that is to be kept is asked for as a
whole; where a query names many of one server's users at once, a single request asks for their keys, and the lists come
by and by. A server that can't be asked is among the failures, and what is kept of its users is told all the same.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tabstead.encryption.device_keys import RESULT_OF_USAGE, QueriedKeys, query_keys
from tabstead.encryption.remote_devices import (
    find_cross_signing_key,
    is_device_keys,
    is_list_kept,
    query_kept_keys,
)
from tabstead.encryption.signed_keys import visible_key
from tabstead.errors import OutboundFailed
from tabstead.federation.client import FederationClient, Question, federation_path
from tabstead.federation.device_lists import RemoteDeviceLists
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import ServerName, find_server_name_of, is_user_id
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Database, Db
from tabstead.storage.remote_devices import find_remote_list

_LISTS_AT_ONCE: Final = 10
"""So many users of one server are asked for by one request each, so that their lists can be kept."""

_MAX_BYTES: Final = 16 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class RemoteAnswers:
    """What other servers said, and which of them said nothing."""

    keys: QueriedKeys = field(default_factory=QueriedKeys)
    failed: set[ServerName] = field(default_factory=set)


def query_known_keys(
    db: Db, server: LocalServer, viewer: str, queried: Mapping[str, Sequence[str]]
) -> tuple[QueriedKeys, dict[ServerName, list[str]]]:
    """What this server knows, and whom of each other server it has to ask for."""
    found = query_keys(db, viewer, {user: devices for user, devices in queried.items() if server.owns(user)})
    unknown: dict[ServerName, list[str]] = {}
    for user_id, device_ids in queried.items():
        name = find_server_name_of(user_id)
        if name is None or server.owns(user_id) or not is_user_id(user_id):
            continue
        known = find_remote_list(db, user_id)
        if known is not None and known.stream_id is not None:
            query_kept_keys(db, viewer, user_id, device_ids, found)
        if known is None or known.is_stale:
            unknown.setdefault(name, []).append(user_id)
    return found, unknown


class RemoteKeys:
    """Asks other servers for keys."""

    def __init__(
        self, server: LocalServer, database: Database, client: FederationClient, device_lists: RemoteDeviceLists
    ) -> None:
        self._server = server
        self._database = database
        self._client = client
        self._device_lists = device_lists

    async def query(
        self, viewer: str, queried: Mapping[str, Sequence[str]], timeout_ms: int
    ) -> tuple[QueriedKeys, set[ServerName]]:
        """The keys that a local user asks for, and the servers that could not be asked."""
        _, unknown = await self._database.read(lambda db: query_known_keys(db, self._server, viewer, queried))
        answers = RemoteAnswers()
        asking = [
            self._query_server(server, {user_id: queried[user_id] for user_id in user_ids}, viewer, timeout_ms, answers)
            for server, user_ids in unknown.items()
        ]
        await asyncio.gather(*asking)
        found, _ = await self._database.read(lambda db: query_known_keys(db, self._server, viewer, queried))
        return _merge(answers.keys, found), answers.failed

    async def claim(
        self, claims: Mapping[str, Mapping[str, str]], timeout_ms: int
    ) -> tuple[dict[str, dict[str, Any]], set[ServerName]]:
        """One-time keys of other servers' users, by user and device, and the servers that could not be asked."""
        by_server: dict[ServerName, dict[str, Mapping[str, str]]] = {}
        for user_id, devices in claims.items():
            name = find_server_name_of(user_id)
            if name is not None and is_user_id(user_id) and not self._server.owns(user_id):
                by_server.setdefault(name, {})[user_id] = devices
        answers = await asyncio.gather(*(self._claim(name, of, timeout_ms) for name, of in by_server.items()))
        claimed: dict[str, dict[str, Any]] = {}
        failed = set()
        for name, answer in zip(by_server, answers, strict=True):
            if answer is None:
                failed.add(name)
            else:
                claimed |= answer
        return claimed, failed

    async def _query_server(
        self,
        server: ServerName,
        queried: Mapping[str, Sequence[str]],
        viewer: str,
        timeout_ms: int,
        answers: RemoteAnswers,
    ) -> None:
        kept = await self._database.read(lambda db: [user for user in queried if is_list_kept(db, self._server, user)])
        others = {user: list(devices) for user, devices in queried.items() if user not in kept}
        if len(kept) > _LISTS_AT_ONCE:
            await self._device_lists.want(kept)
            others |= {user: list(queried[user]) for user in kept}
            kept = []
        asking = [self._device_lists.fetch(user_id) for user_id in kept]
        if others:
            asking.append(self._query_others(server, others, viewer, timeout_ms, answers))
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                outcomes = await asyncio.gather(*asking, return_exceptions=True)
        except TimeoutError:
            outcomes = [OutboundFailed(f"{server} takes too long.")]
        for outcome in outcomes:
            if isinstance(outcome, OutboundFailed):
                answers.failed.add(server)
            elif outcome is not None:
                raise outcome

    async def _query_others(
        self, server: ServerName, queried: JsonDict, viewer: str, timeout_ms: int, answers: RemoteAnswers
    ) -> None:
        question = Question(
            method="POST",
            path=federation_path("v1", "user", "keys", "query"),
            content={"device_keys": queried},
            timeout_ms=timeout_ms,
            max_bytes=_MAX_BYTES,
        )
        body = await self._client.ask(server, question)
        for user_id in queried:
            _take_user(body, user_id, viewer, answers.keys)

    async def _claim(
        self, server: ServerName, claims: Mapping[str, Mapping[str, str]], timeout_ms: int
    ) -> dict[str, dict[str, Any]] | None:
        question = Question(
            method="POST",
            path=federation_path("v1", "user", "keys", "claim"),
            content={"one_time_keys": {user_id: dict(devices) for user_id, devices in claims.items()}},
            timeout_ms=timeout_ms,
            max_bytes=_MAX_BYTES,
        )
        try:
            body = await self._client.ask(server, question)
        except OutboundFailed:
            return None
        return _read_claimed(body.get("one_time_keys"), claims)


def _take_user(body: JsonDict, user_id: str, viewer: str, found: QueriedKeys) -> None:
    """What an answer has of a user, as far as it is that."""
    devices = _object(_object(body.get("device_keys")).get(user_id))
    found.device_keys[user_id] = {
        device_id: _show(keys, user_id, viewer)
        for device_id, keys in devices.items()
        if is_device_keys(user_id, device_id, keys)
    }
    for usage in ("master", "self_signing"):
        key = _object(body.get(RESULT_OF_USAGE[usage])).get(user_id)
        if isinstance(key, dict) and find_cross_signing_key(user_id, usage, key) is not None:
            getattr(found, RESULT_OF_USAGE[usage])[user_id] = visible_key(key, user_id, viewer, ())


def _show(keys: JsonDict, user_id: str, viewer: str) -> JsonDict:
    shown = visible_key(keys, user_id, viewer, ())
    name = _object(keys.get("unsigned")).get("device_display_name")
    return {**shown, "unsigned": {"device_display_name": name}} if isinstance(name, str) else shown


def _merge(one: QueriedKeys, other: QueriedKeys) -> QueriedKeys:
    """Both; where both have a user, the other's."""
    return QueriedKeys(
        device_keys=one.device_keys | other.device_keys,
        master_keys=one.master_keys | other.master_keys,
        self_signing_keys=one.self_signing_keys | other.self_signing_keys,
        user_signing_keys=one.user_signing_keys | other.user_signing_keys,
    )


def _read_claimed(given: object, claims: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """The keys that were asked for, of those that an answer has: one for each device, with its name."""
    claimed: dict[str, dict[str, Any]] = {}
    for user_id, devices in claims.items():
        of_user = _object(_object(given).get(user_id))
        for device_id in devices.keys() & of_user.keys():
            keys = of_user[device_id]
            if isinstance(keys, dict) and all(_is_key(key) for key in keys.values()):
                claimed.setdefault(user_id, {})[device_id] = keys
    return claimed


def _is_key(key: object) -> bool:
    return isinstance(key, str) or (isinstance(key, dict) and isinstance(key.get("key"), str))


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def describe_failures(servers: Iterable[ServerName]) -> JsonDict:
    """`failures` of a client's answer."""
    return {server: {} for server in sorted(servers)}
