"""What other servers list: the rooms behind their aliases, and their published rooms.

(server-server API, "Querying for information", "Public Room Directory")
"""

from contextlib import suppress
from itertools import islice
from typing import Any, Final, NamedTuple

from tabstead.errors import MatrixError, NotFound, OutboundFailed, PeerMisbehaved, PeerRefused
from tabstead.federation.client import Question, federation_path
from tabstead.federation.federation import Federation
from tabstead.federation.room_summaries import read_summary
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import (
    RoomID,
    ServerName,
    is_room_id,
    is_server_name,
    parse_room_alias,
    server_name_of,
)
from tabstead.rooms.alias_targets import UntoldAlias
from tabstead.rooms.directory import DirectoryQuery
from tabstead.rooms.outcomes import ToldAlias

MAX_SERVERS: Final = 500
"""Of those that may have a room; who asks tries a few of them."""
_TIMEOUT_MS: Final = 15_000
_MAX_ALIAS_BYTES: Final = 1024 * 1024
_MAX_ROOMS_BYTES: Final = 4 * 1024 * 1024
_MAX_TOKEN: Final = 4096
_REMEMBERED_MS: Final = 10_000


class ResolvedAlias(NamedTuple):
    room_id: RoomID
    servers: tuple[ServerName, ...]
    """Servers that are likely in the room, the best to ask first."""


async def find_alias_remotely(federation: Federation, room_alias: str) -> ResolvedAlias:
    """What the alias's own server says of it. Raises InvalidParam, NotFound, OutboundFailed."""
    server_name = server_name_of(parse_room_alias(room_alias))
    question = Question(
        method="GET",
        path=federation_path("v1", "query", "directory"),
        query={"room_alias": room_alias},
        timeout_ms=_TIMEOUT_MS,
        max_bytes=_MAX_ALIAS_BYTES,
    )
    try:
        answer = await federation.client.ask(server_name, question)
    except PeerRefused as refusal:
        if refusal.status == NotFound.status:
            raise NotFound(f"Room alias {room_alias} not found.") from refusal
        raise
    room_id, servers = answer.get("room_id"), answer.get("servers")
    if not isinstance(room_id, str) or not is_room_id(room_id) or not isinstance(servers, list):
        raise PeerMisbehaved(f"{server_name} answers with what is no room.")
    named = (server for server in servers[:MAX_SERVERS] if isinstance(server, str) and is_server_name(server))
    return ResolvedAlias(room_id=RoomID(room_id), servers=tuple(ServerName(server) for server in dict.fromkeys(named)))


async def settle_alias(federation: Federation, untold: UntoldAlias) -> None:
    """Learn where an alias leads, for the transaction that wants to know."""
    room_id = None
    with suppress(MatrixError, OutboundFailed):
        room_id = (await find_alias_remotely(federation, untold.room_alias)).room_id
    until_ms = federation.server.now_ms() + _REMEMBERED_MS
    federation.server.told_aliases.keep(untold.room_alias, ToldAlias(room_id=room_id), until_ms=until_ms)


async def fetch_public_rooms(federation: Federation, server_name: ServerName, query: DirectoryQuery) -> JsonDict:
    """A page of another server's directory: the answer of GET and POST /publicRooms. Raises OutboundFailed."""
    question = Question(
        method="POST",
        path=federation_path("v1", "publicRooms"),
        content=_encode_query(query),
        timeout_ms=_TIMEOUT_MS,
        max_bytes=_MAX_ROOMS_BYTES,
    )
    answer = await federation.client.ask(server_name, question)
    chunk = answer.get("chunk")
    if not isinstance(chunk, list):
        raise PeerMisbehaved(f"{server_name} answers with what is no directory.")
    rooms = (room for room in map(read_summary, chunk) if room is not None)
    page: JsonDict = {"chunk": list(islice(rooms, query.limit))}
    for name in ("next_batch", "prev_batch"):
        if isinstance(token := answer.get(name), str) and len(token) <= _MAX_TOKEN:
            page[name] = token
    total = answer.get("total_room_count_estimate")
    if isinstance(total, int) and not isinstance(total, bool) and total >= 0:
        page["total_room_count_estimate"] = total
    return page


def _encode_query(query: DirectoryQuery) -> JsonDict:
    wanted: dict[str, Any] = {
        "generic_search_term": query.search_term,
        "room_types": None if query.room_types is None else list(query.room_types),
    }
    content: dict[str, Any] = {
        "limit": query.limit,
        "since": query.since,
        "third_party_instance_id": query.network,
        "filter": {name: value for name, value in wanted.items() if value is not None} or None,
    }
    return {name: value for name, value in content.items() if value is not None}
