"""Other servers as one server sees them: users of theirs in its rooms, and a note of what each of them is told.

    peers = Peers()
    server = await TestServer.open(tmp_path, "tab.test", transport=peers)
    await peers.join(server, room_id, "@bob:far.test")
    await peers.settle(server)
    assert peers.pdus("far.test") == [event_id]

Their events are put into the server's database as if it had received them. They take every transaction, unless a test
says otherwise.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from helpers.homeserver import TestServer
from tabstead.errors import OutboundFailed
from tabstead.federation.sending import Sending
from tabstead.federation.transport import FederationRequest, FederationResponse
from tabstead.protocol.events import parse_event
from tabstead.protocol.identifiers import find_server_name_of
from tabstead.protocol.room_versions import get_room_version
from tabstead.protocol.signatures import SigningKey
from tabstead.rooms.draft import Draft
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.send import send_event
from tabstead.storage.database import Db
from tabstead.storage.rooms import find_room

Json = dict[str, Any]


@dataclass
class Transaction:
    """What a peer was sent."""

    destination: str
    transaction_id: str
    content: Json


@dataclass
class Peers:
    """All other servers, and the transport that leads to them."""

    transactions: list[Transaction] = field(default_factory=list)
    """Those that arrived, in order."""
    attempts: list[Transaction] = field(default_factory=list)
    """Those that were sent, whether they arrived or not."""
    down: set[str] = field(default_factory=set)
    held: asyncio.Event | None = None
    """Set while transactions are answered; with an event that isn't set, they wait."""
    answer: Callable[[Transaction], tuple[int, Json]] = lambda _: (200, {"pdus": {}})

    async def send(self, request: FederationRequest) -> FederationResponse:
        assert request.method == "PUT" and request.body is not None
        transaction = Transaction(request.destination, request.target.rpartition("/")[2], json.loads(request.body))
        self.attempts.append(transaction)
        if self.held is not None:
            await self.held.wait()
        if request.destination in self.down:
            raise OutboundFailed(f"{request.destination} can't be reached.")
        self.transactions.append(transaction)
        status, content = self.answer(transaction)
        return FederationResponse(status=status, body=json.dumps(content).encode())

    async def close(self) -> None:
        pass

    async def join(self, server: TestServer, room_id: str, *user_ids: str) -> None:
        """Users of other servers join a public room."""
        for user_id in user_ids:
            await self.set_member(server, room_id, user_id, "join")

    async def set_member(
        self, server: TestServer, room_id: str, user_id: str, membership: str, by: str | None = None
    ) -> str:
        """A change of membership that another server's user makes, of their own one unless it is `by` somebody else."""
        draft = Draft(type="m.room.member", content={"membership": membership}, state_key=user_id)
        return await self.send_event(server, room_id, by or user_id, draft)

    async def say(self, server: TestServer, room_id: str, sender: str, body: str) -> str:
        """A message of another server's user."""
        return await self.send_event(server, room_id, sender, Draft(type="m.room.message", content={"body": body}))

    async def send_event(self, server: TestServer, room_id: str, sender: str, draft: Draft) -> str:
        """An event of another server's user, as if it had come from there."""
        name = find_server_name_of(sender)
        assert name is not None
        key = SigningKey(key_id="ed25519:1", seed=sha256(name.encode()).digest())
        theirs = LocalServer(name=name, signing_key=key, now_ms=server.clock)

        def work(db: Db) -> str:
            room = find_room(db, room_id)
            assert room is not None
            return send_event(db, theirs, room, sender, draft).event_id

        return await server.write(work)

    async def until_attempts(self, count: int) -> None:
        """Wait until so many transactions were sent."""
        for _ in range(10_000):
            if len(self.attempts) >= count:
                return
            await asyncio.sleep(0)
        raise AssertionError(f"{len(self.attempts)} transactions were sent, not {count}")

    async def settle(self, server: TestServer) -> int | None:
        """Let the server tell what it can tell now; when it wants to go on."""
        sending = sending_of(server)
        await sending.work()
        await sending.finish()
        return await sending.work()

    def pdus(self, destination: str) -> list[str]:
        """The ids of the events that a server was told, in order."""
        version = get_room_version("12")
        return [
            parse_event(pdu, version).event_id
            for transaction in self.transactions
            if transaction.destination == destination
            for pdu in transaction.content["pdus"]
        ]

    def bodies(self, destination: str) -> list[str]:
        """The texts that a server was told."""
        return [
            pdu["content"]["body"]
            for transaction in self.transactions
            if transaction.destination == destination
            for pdu in transaction.content["pdus"]
            if "body" in pdu["content"]
        ]

    def edus(self, destination: str, edu_type: str) -> list[Json]:
        """The contents of the EDUs of a type that a server was told."""
        return [
            edu["content"]
            for transaction in self.transactions
            if transaction.destination == destination
            for edu in transaction.content["edus"]
            if edu["edu_type"] == edu_type
        ]


def sending_of(server: TestServer) -> Sending:
    federation = server.homeserver.context.federation
    assert federation is not None
    return federation.sending
