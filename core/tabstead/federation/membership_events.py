"""Membership events made together with a resident server: it gives the template, this server completes and signs it.

For joining, knocking and leaving, in rooms that this server is not in. (server-server API, "Joining Rooms", "Knocking
upon a room", "Leaving Rooms")
"""

import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tabstead.errors import MatrixError, NotFound, OutboundFailed, PeerMisbehaved, PeerRefused, UnsupportedRoomVersion
from tabstead.federation.client import Question, federation_path
from tabstead.federation.federation import Federation
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event, parse_event
from tabstead.protocol.identifiers import RoomID, ServerName, find_server_name_of, is_server_name
from tabstead.protocol.room_versions import ROOM_VERSIONS, EventIDFormat, RoomVersion, get_room_version
from tabstead.protocol.signatures import sign_event
from tabstead.rooms.handshakes import AUTHORISER
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Db
from tabstead.storage.rooms import Room, find_room, insert_room, update_room_version

T = TypeVar("T")

MAX_SERVERS: Final = 16
"""So many are tried, one after another."""
_MAKE_TIMEOUT_MS: Final = 20_000
_MAX_TEMPLATE_BYTES: Final = 256 * 1024
_DECISIVE: Final = frozenset({"M_FORBIDDEN", "M_INCOMPATIBLE_ROOM_VERSION", "M_UNSUPPORTED_ROOM_VERSION"})
"""What one server of the room says, the others would say too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A membership event to be completed. Nothing of it was checked but its kind."""

    server_name: ServerName
    """Who made it, and is to have it back."""
    version: RoomVersion
    event: JsonDict


async def try_servers(
    federation: Federation, servers: Iterable[str], attempt: Callable[[ServerName], Awaitable[T]]
) -> T:
    """The first success. Raises the most telling of the failures, an OutboundFailed; NotFound without any server."""
    told: OutboundFailed | None = None
    for server_name in list(candidates(federation.server, servers))[:MAX_SERVERS]:
        try:
            return await attempt(server_name)
        except OutboundFailed as failure:
            if isinstance(failure, PeerRefused) and failure.errcode in _DECISIVE:
                raise
            if told is None or (isinstance(failure, PeerRefused) and not isinstance(told, PeerRefused)):
                told = failure
    if told is None:
        raise NotFound("No server is known that could be in the room.")
    raise told


def candidates(server: LocalServer, servers: Iterable[str]) -> Iterable[ServerName]:
    """Those that can be asked, each once."""
    return (ServerName(name) for name in dict.fromkeys(servers) if name != server.name and is_server_name(name))


async def ask_for_template(
    federation: Federation, server_name: ServerName, *, room_id: str, user_id: str, membership: str
) -> Template:
    """Ask a resident server for the template of a `join`, `knock` or `leave`. Raises OutboundFailed."""
    question = Question(
        method="GET",
        path=federation_path("v1", f"make_{membership}", room_id, user_id),
        query=None if membership == "leave" else {"ver": list(ROOM_VERSIONS)},
        timeout_ms=_MAKE_TIMEOUT_MS,
        max_bytes=_MAX_TEMPLATE_BYTES,
    )
    answer = await federation.client.ask(server_name, question)
    event = answer.get("event")
    expected = {"type": "m.room.member", "room_id": room_id, "sender": user_id, "state_key": user_id}
    if not isinstance(event, dict) or any(event.get(key) != value for key, value in expected.items()):
        raise PeerMisbehaved(f"{server_name} answers with a template of something else.")
    content = event.get("content")
    if not isinstance(content, dict) or content.get("membership") != membership:
        raise PeerMisbehaved(f"{server_name} answers with a template that is no {membership}.")
    return Template(server_name=server_name, version=_version(answer.get("room_version"), server_name), event=event)


def complete(server: LocalServer, template: Template, content: JsonDict) -> Event:
    """This server's event with what the template says of its place, and the user's content. Raises PeerMisbehaved."""
    given, version = template.event, template.version
    if AUTHORISER in given["content"] and version.restricted_joins:
        content = {**content, AUTHORISER: given["content"][AUTHORISER]}
    pdu: dict[str, Any] = {
        "type": given["type"],
        "room_id": given["room_id"],
        "sender": given["sender"],
        "state_key": given["state_key"],
        "content": content,
        "prev_events": given.get("prev_events"),
        "auth_events": given.get("auth_events"),
        "depth": given.get("depth"),
        "origin": server.name,
        "origin_server_ts": server.now_ms(),
    }
    if version.event_id_format is EventIDFormat.IN_EVENT:
        pdu["event_id"] = f"${secrets.token_urlsafe(18)}:{server.name}"
    try:
        return parse_event(sign_event(pdu, version, server.name, server.signing_key), version)
    except (MatrixError, ValueError, TypeError) as error:
        raise PeerMisbehaved(f"{template.server_name} answers with a template that makes no event: {error}") from error


def begin_room(db: Db, room_id: RoomID, version: RoomVersion) -> Room:
    """The room as it is here, or a new one; one of which nothing is here takes the version that it is told to have."""
    room = find_room(db, room_id)
    if room is None:
        return insert_room(db, room_id, version)
    if room.version is not version and room.state_snapshot == 0:
        return update_room_version(db, room, version)
    return room


def _version(name: object, server_name: str) -> RoomVersion:
    # "If not provided, the room version is assumed to be either "1" or "2"."
    try:
        return get_room_version("1" if name is None else str(name))
    except UnsupportedRoomVersion as error:
        raise PeerMisbehaved(f"{server_name} has the room in a version that we did not say we know.") from error


def server_of(user_id: str) -> ServerName:
    return find_server_name_of(user_id) or ServerName("")
