"""Two servers in one room, and what goes between them when the test says so: nothing is sent by itself.

room = await SharedRoom.open(network, "left.test", "right.test")
said = await room.alice.send(room.room_id, "hello")
results = await room.deliver(said)                        # from left to right, as a transaction
pdu = await room.craft(content, after=[said])             # signed by left, whatever the rules say of it
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from helpers.federation import Network
from helpers.homeserver import Client, Json, TestServer
from tabstead.federation.client import Question, federation_path
from tabstead.federation.federation import Federation
from tabstead.protocol.auth_rules import select_auth_event_types
from tabstead.protocol.events import build_event, parse_event, reference_hash
from tabstead.protocol.identifiers import EventID, ServerName, UserID
from tabstead.protocol.room_versions import EventIDFormat
from tabstead.protocol.signatures import SigningKey, sign_event
from tabstead.rooms.receive import receive_pdu
from tabstead.rooms.state import read_state_events
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, Standing, find_event, select_event_ids, select_events_by_id
from tabstead.storage.gaps import Gap, select_gaps
from tabstead.storage.rooms import Room, find_room, select_forward_extremities
from tabstead.storage.state_history import StateMap, read_state

_numbers = itertools.count()


def federation_of(server: TestServer) -> Federation:
    federation = server.homeserver.context.federation
    assert federation is not None
    return federation


@dataclass
class SharedRoom:
    """A room of alice's on the left server, which bob on the right one has joined."""

    network: Network
    left: TestServer
    right: TestServer
    alice: Client
    bob: Client
    room_id: str
    version: str = "12"
    crafted: dict[str, Json] = field(default_factory=dict)
    """PDUs by their ids."""

    @classmethod
    async def open(
        cls, network: Network, left: TestServer, right: TestServer, *, before: Iterable[str] = (), **creation: Any
    ) -> "SharedRoom":
        """`before` is what alice says before bob joins."""
        alice, bob = await left.register("alice"), await right.register("bob")
        creation = {"preset": "public_chat", "room_version": "12"} | creation
        room_id = await alice.create_room(**creation)
        for body in before:
            await alice.send(room_id, body)
        right.clock.now = max(right.clock.now, left.clock.now)
        await bob.post(f"/v3/join/{room_id}", {}, server_name=left.name)
        network.requests.clear()
        return cls(network, left, right, alice, bob, room_id, creation["room_version"])

    async def deliver(
        self,
        *events: str | Json,
        edus: Sequence[Json] = (),
        transaction_id: str | None = None,
        settles: bool = True,
    ) -> dict[str, Json]:
        """Send the right server events of the left one, or PDUs, in one transaction; what is said of each."""
        pdus = [await self.pdu(event) if isinstance(event, str) else event for event in events]
        question = Question(
            method="PUT",
            path=federation_path("v1", "send", transaction_id or f"test {next(_numbers)}"),
            content={"origin": self.left.name, "origin_server_ts": 1, "pdus": pdus, "edus": list(edus)},
        )
        answer = await federation_of(self.left).client.ask(ServerName(self.right.name), question)
        if settles:
            await federation_of(self.right).inbound.settled()
        results: dict[str, Json] = answer["pdus"]
        return results

    async def pdu(self, event_id: str) -> Json:
        event = await self.find(self.left, event_id)
        assert event is not None
        return event.event.pdu

    async def craft(
        self,
        event_type: str = "m.room.message",
        content: Json | None = None,
        state_key: str | None = None,
        *,
        after: Sequence[str],
        sender: str | None = None,
        auth_events: Sequence[str] | None = None,
        key: SigningKey | None = None,
        changes: Json | None = None,
    ) -> Json:
        """A PDU signed by the left server, on events that it has or that were crafted. Nobody stores it."""
        server = self.left.homeserver.context.local_server
        room = await self.room(self.left)
        version, content = room.version, {"msgtype": "m.text", "body": "…"} if content is None else content
        sender = sender or self.alice.user_id
        known = {event_id: await self._event(event_id) for event_id in after}
        if auth_events is None:
            state = await self.left.read(lambda db: read_state_events(db, room.state_snapshot))
            wanted = select_auth_event_types(event_type, state_key, sender, content, version)
            named = [state[key].event for key in wanted if key in state]
        else:
            named = [await self._event(event_id) for event_id in auth_events]
        in_event = version.event_id_format is EventIDFormat.IN_EVENT
        pdu = build_event(
            room_version=version,
            room_id=room.room_id,
            event_type=event_type,
            sender=UserID(sender),
            content=content,
            state_key=state_key,
            prev_events=[EventID(event_id) for event_id in after],
            auth_events=[event.event_id for event in named],
            depth=max((event.depth for event in known.values()), default=0) + 1,
            origin_server_ts=server.now_ms(),
            event_id=EventID(f"$crafted{next(_numbers)}:{self.left.name}") if in_event else None,
            reference_hashes={each.event_id: reference_hash(each.pdu, version) for each in (*known.values(), *named)},
        )
        signed = sign_event({**pdu, **(changes or {})}, version, server.name, key or server.signing_key)
        self.crafted[parse_event(signed, version).event_id] = signed
        return signed

    async def store(self, pdu: Json) -> None:
        """Let the left server have what was crafted."""
        room, federation = await self.room(self.left), federation_of(self.left)
        await self.left.write(
            lambda db: receive_pdu(db, federation.server, room, pdu, federation.key_ring.known_keys(db))
        )

    async def id_of(self, pdu: Json) -> str:
        return parse_event(pdu, (await self.room(self.left)).version).event_id

    async def room(self, server: TestServer) -> Room:
        room = await server.read(lambda db: find_room(db, self.room_id))
        assert room is not None
        return room

    async def find(self, server: TestServer, event_id: str) -> PersistedEvent | None:
        return await server.read(lambda db: find_event(db, event_id))

    async def standing(self, event_id: str) -> Standing | None:
        """What the right server thinks of an event; None if it doesn't have it in its place."""
        event = await self.find(self.right, event_id)
        return None if event is None or event.stream_position is None else event.standing

    async def tips(self, server: TestServer) -> set[str]:
        room = await self.room(server)
        return await server.read(
            lambda db: set(select_event_ids(db, select_forward_extremities(db, room.room_nid)).values())
        )

    async def state(self, server: TestServer) -> dict[tuple[str, str], str]:
        """The current state, as event ids."""
        room = await self.room(server)

        def read(db: Db) -> dict[tuple[str, str], str]:
            state: StateMap = read_state(db, room.state_snapshot)
            event_ids = select_event_ids(db, state.values())
            return {key: event_ids[event_nid] for key, event_nid in state.items()}

        return await server.read(read)

    async def gaps(self) -> list[Gap]:
        """Where the right server misses something."""
        room = await self.room(self.right)
        return await self.right.read(lambda db: select_gaps(db, room.room_nid))

    async def bodies(self) -> list[str]:
        """What bob's client sees of the timeline, the oldest first."""
        synced = await self.bob.get("/v3/sync", filter='{"room":{"timeline":{"limit":100}}}')
        events = synced["rooms"]["join"][self.room_id]["timeline"]["events"]
        return [event["content"].get("body", event["type"]) for event in events]

    async def _event(self, event_id: str) -> Any:
        room = await self.room(self.left)
        if event_id in self.crafted:
            return parse_event(self.crafted[event_id], room.version)
        return (await self.left.read(lambda db: select_events_by_id(db, [event_id])))[EventID(event_id)].event
