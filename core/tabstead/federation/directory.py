"""What other servers list: the rooms behind their aliases, and their published rooms.

(server-server API, "Querying for information", "Public Room Directory")
"""

from typing import Final, NamedTuple

from tabstead.errors import NotFound, PeerMisbehaved, PeerRefused
from tabstead.federation.client import Question, federation_path
from tabstead.federation.federation import Federation
from tabstead.protocol.identifiers import (
    RoomID,
    ServerName,
    is_room_id,
    is_server_name,
    parse_room_alias,
    server_name_of,
)

MAX_SERVERS: Final = 500
"""Of those that may have a room; who asks tries a few of them."""
_TIMEOUT_MS: Final = 15_000
_MAX_ALIAS_BYTES: Final = 1024 * 1024


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
