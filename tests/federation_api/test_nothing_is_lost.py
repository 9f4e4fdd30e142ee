"""Two servers that are cut off from each other and killed as chance has it: in the end each has all of the other's."""

import asyncio
import contextlib
from pathlib import Path
from random import Random
from typing import Any

import pytest

from federation_api.sharing import share_room
from helpers.federation import Network
from helpers.homeserver import Client, TestServer

Json = dict[str, Any]
STEPS = 40
NAMES = ("left.test", "right.test")


class Run:
    """A run of one seed, and what each user should have in the end."""

    def __init__(self, network: Network, random: Random, room_id: str, users: tuple[Client, Client]) -> None:
        self.network = network
        self.random = random
        self.room_id = room_id
        self.users = users
        self.said: set[str] = set()
        self.messages: dict[str, list[int]] = {user.user_id: [] for user in users}

    async def step(self, number: int) -> None:
        sender, receiver = self.random.sample(self.users, 2)
        match self.random.choice(("say", "say", "message", "message", "cut", "mend", "kill", "work", "work")):
            case "say":
                await sender.send(self.room_id, f"{number}")
                self.said.add(f"{number}")
            case "message":
                messages = {receiver.user_id: {receiver.device_id: {"number": number}}}
                await sender.put(f"/v3/sendToDevice/org.example/{number}", {"messages": messages})
                self.messages[receiver.user_id].append(number)
            case "cut":
                self.network.cut(*NAMES)
            case "mend":
                self.network.mend(*NAMES)
            case "kill":
                await self.kill_at_work(sender.server)
            case "work":
                await self.network.settle()
        for user in self.users:
            user.server.clock.now += self.random.randrange(20_000)

    async def kill_at_work(self, server: TestServer) -> None:
        """Restart a server while it tells the other one something, if it does."""
        federation = server.homeserver.context.federation
        assert federation is not None
        working = asyncio.ensure_future(federation.sending.work())
        for _ in range(self.random.randrange(30)):
            await asyncio.sleep(0)
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        await server.restart()

    async def heal(self) -> None:
        self.network.mend(*NAMES)
        for _ in range(3):
            for user in self.users:
                user.server.clock.now += 24 * 60 * 60 * 1000
            await self.network.settle()


@pytest.mark.parametrize("seed", range(8))
async def test_each_has_everything_in_the_end(tmp_path: Path, seed: int) -> None:
    network = Network()
    alice, bob = [
        await (await network.open(tmp_path, name)).register(localpart)
        for name, localpart in zip(NAMES, ("alice", "bob"), strict=True)
    ]
    run = Run(network, Random(seed), await share_room(network, alice, bob), (alice, bob))
    for number in range(STEPS):
        await run.step(number)
    await run.heal()
    for user in run.users:
        page = await user.messages(run.room_id, limit=1000)
        said = [event["content"]["body"] for event in page["chunk"] if event["type"] == "m.room.message"]
        assert sorted(said) == sorted(run.said)
        events = (await user.sync()).get("to_device", {}).get("events", [])
        assert [event["content"]["number"] for event in events] == run.messages[user.user_id]
    await network.close()
