"""What an answer of /sync costs in SQLite's work: by what changed, not by how many rooms the user is in.

Counted are the statements, and the steps of SQLite's virtual machine, of which every row that is looked at takes a few.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.homeserver import Client, Json, TestServer, quoted

FEW, MANY = 10, 1000


@dataclass(frozen=True)
class Cost:
    statements: int
    steps: int


@dataclass
class Crowd:
    """Alice, who is in rooms, and Bob, who shares the first of them."""

    server: TestServer
    alice: Client
    bob: Client
    room_id: str

    async def grow(self, rooms: int) -> str:
        """Put Alice, who has read everything, into so many more rooms; a token from after that."""
        for _ in range(rooms):
            await self.alice.create_room()
        last = (await self.alice.messages(self.room_id, limit=1))["chunk"][0]["event_id"]
        await self.alice.post(f"/v3/rooms/{self.room_id}/receipt/m.read/{quoted(last)}")
        return str((await self.alice.sync())["next_batch"])

    async def cost(self, since: str) -> tuple[Json, Cost]:
        """An answer and what it cost, once everything that is remembered is warm."""
        await self.alice.sync(since)
        connection = await self.server.read(lambda db: db)
        statements: list[str] = []
        steps: list[None] = []
        connection.set_trace_callback(statements.append)
        connection.set_progress_handler(lambda: steps.append(None), 1)
        answer = await self.alice.sync(since)
        connection.set_trace_callback(None)
        connection.set_progress_handler(None, 1)
        return answer, Cost(statements=len(statements), steps=len(steps))


@pytest.fixture
async def crowd(tmp_path: Path) -> AsyncIterator[Crowd]:
    server = await TestServer.open(tmp_path)
    alice, bob = await server.register("alice"), await server.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    yield Crowd(server=server, alice=alice, bob=bob, room_id=room_id)
    await server.close()


async def test_an_answer_costs_what_changed_and_not_what_was_joined(crowd: Crowd) -> None:
    costs: list[list[Cost]] = []
    for rooms in (FEW, MANY - FEW):
        since = await crowd.grow(rooms)
        quiet, cost_of_nothing = await crowd.cost(since)
        assert "rooms" not in quiet
        await crowd.bob.send(crowd.room_id, "hello")
        message, cost_of_a_message = await crowd.cost(since)
        assert list(message["rooms"]["join"]) == [crowd.room_id]
        await crowd.bob.put(f"/v3/profile/{quoted(crowd.bob.user_id)}/displayname", {"displayname": f"Bob {rooms}"})
        more, cost_of_more = await crowd.cost(since)
        assert len(more["rooms"]["join"][crowd.room_id]["timeline"]["events"]) == 2
        costs.append([cost_of_nothing, cost_of_a_message, cost_of_more])

    among_few, among_many = costs
    for few, many in zip(among_few, among_many, strict=True):
        assert many.statements == few.statements
        assert many.steps <= few.steps * 1.05, f"{many.steps} steps among {MANY} rooms, {few.steps} among {FEW}"
    nothing, message, _ = among_many
    assert nothing.statements <= 24
    assert message.statements <= 40


async def test_a_long_absence_costs_a_look_at_each_room_at_most(crowd: Crowd) -> None:
    since = await crowd.grow(50)
    for number in range(300):
        await crowd.bob.send(crowd.room_id, f"message {number}")
    _, cost = await crowd.cost(since)
    since = await crowd.grow(50)
    for number in range(300):
        await crowd.bob.send(crowd.room_id, f"message {number}")
    _, cost_of_more = await crowd.cost(since)

    assert cost_of_more.statements == cost.statements
    assert (cost_of_more.steps - cost.steps) / 50 < 30, "steps per room"
