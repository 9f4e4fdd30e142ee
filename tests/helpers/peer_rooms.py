"""What a server that a test plays itself does in rooms: it lets its users into others', and has a room of its own.

room = await enter(peer, server, room_id, "@eve:…")    # make_join and send_join
pdu = room.build("m.room.message", {"body": "hello"})  # the next event, signed
own = OwnRoom(peer, "@eve:…")                          # a room that only the peer has
"""

import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from helpers.federated_servers import FederatedServer
from helpers.signing_peer import Heard, Json, SigningPeer
from tabstead.protocol.events.hashes import event_id_of
from tabstead.protocol.room_versions import RoomVersion, get_room_version
from tabstead.protocol.signatures import sign_event

FEDERATION = "/_matrix/federation"


def quoted(*segments: str) -> str:
    return "/".join(quote(segment, safe="") for segment in segments)


@dataclass(frozen=True)
class Signed:
    """An event with its id."""

    event_id: str
    pdu: Json


def sign(peer: SigningPeer, version: RoomVersion, event: Json) -> Signed:
    """The peer's event, hashed and signed; its time is now."""
    dated = {**event, "origin_server_ts": int(time.time() * 1000)}
    pdu = sign_event(dated, version, peer.name, peer.key)
    return Signed(event_id_of(pdu, version), pdu)


async def make(
    peer: SigningPeer, server: FederatedServer, membership: str, room_id: str, user_id: str
) -> tuple[RoomVersion, Signed]:
    """The event that a template asks for: `join`, `leave` or `knock`."""
    target = f"{FEDERATION}/v1/make_{membership}/{quoted(room_id, user_id)}"
    versions = "" if membership == "leave" else "?" + "&".join(f"ver={number}" for number in range(1, 13))
    answer = await peer.ask(server, "GET", target + versions)
    assert answer.status == 200, answer
    version = get_room_version(answer.json["room_version"])
    return version, sign(peer, version, answer.json["event"])


def take_invites(peer: SigningPeer) -> None:
    """The peer signs every invite of its users."""

    def countersign(heard: Heard) -> tuple[int, Json]:
        version, invite = get_room_version(heard.json["room_version"]), heard.json["event"]
        return 200, {"event": sign_event(invite, version, peer.name, peer.key)}

    peer.answer_below("PUT", f"{FEDERATION}/v2/invite/", countersign)


@dataclass
class SharedRoom:
    """A room as the peer sees it: who is in it, its state when the peer came, and its latest event."""

    peer: SigningPeer
    room_id: str
    user_id: str
    version: RoomVersion
    state: dict[tuple[str, str], Signed]
    latest: Signed
    depth: int

    def build(self, event_type: str, content: Json, state_key: str | None = None) -> Signed:
        """The user's next event. It becomes the latest one."""
        needed = [("m.room.create", ""), ("m.room.power_levels", ""), ("m.room.member", self.user_id)]
        if self.version.name == "12":
            needed = needed[1:]
        self.depth += 1
        event: Json = {
            "type": event_type,
            "room_id": self.room_id,
            "sender": self.user_id,
            "content": content,
            "depth": self.depth,
            "prev_events": [self.latest.event_id],
            "auth_events": [self.state[key].event_id for key in needed if key in self.state],
        }
        if state_key is not None:
            event["state_key"] = state_key
        self.latest = sign(self.peer, self.version, event)
        return self.latest


async def enter(peer: SigningPeer, server: FederatedServer, room_id: str, user_id: str) -> SharedRoom:
    """Join the peer's user to a room of the server."""
    version, join = await make(peer, server, "join", room_id, user_id)
    answer = await peer.ask(server, "PUT", f"{FEDERATION}/v2/send_join/{quoted(room_id, join.event_id)}", join.pdu)
    assert answer.status == 200, answer
    state = {(pdu["type"], pdu["state_key"]): Signed(event_id_of(pdu, version), pdu) for pdu in answer.json["state"]}
    state["m.room.member", user_id] = join
    return SharedRoom(peer, room_id, user_id, version, state, join, join.pdu["depth"])


@dataclass
class OwnRoom:
    """A room of the peer's, with its creator alone in it."""

    peer: SigningPeer
    creator: str
    room_version: str = "11"
    events: list[Signed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.version = get_room_version(self.room_version)
        self.room_id = f"!{time.time_ns()}:{self.peer.name}"
        create = {"room_version": self.room_version}
        if self.room_version in {"1", "2"}:
            create["creator"] = self.creator
        self.add("m.room.create", create, "")
        self.add("m.room.member", {"membership": "join"}, self.creator)

    def add(self, event_type: str, content: Json, state_key: str) -> Signed:
        """The creator's next state event. All those before it allow it."""
        event: dict[str, Any] = {
            "type": event_type,
            "room_id": self.room_id,
            "sender": self.creator,
            "origin": self.peer.name,  # the description of invites demands it
            "state_key": state_key,
            "content": content,
            "depth": len(self.events) + 1,
            "prev_events": self._refer(self.events[-1:]),
            "auth_events": self._refer(self.events),
        }
        if self.room_version in {"1", "2"}:
            event["event_id"] = f"${time.time_ns()}:{self.peer.name}"
        self.events.append(sign(self.peer, self.version, event))
        return self.events[-1]

    def _refer(self, events: list[Signed]) -> list[Any]:
        if self.room_version in {"1", "2"}:
            return [[each.event_id, {"sha256": each.pdu["hashes"]["sha256"]}] for each in events]
        return [each.event_id for each in events]
