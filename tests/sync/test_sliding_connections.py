"""Whatever happens, and whichever answers get lost, a client of sliding sync ends with the rooms as they are."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from helpers.homeserver import Client, Json, TestServer

PATH = "/unstable/org.matrix.simplified_msc3575/sync"
WANTED = [["m.room.topic", ""], ["m.room.member", "*"]]
TYPES = {"m.room.topic", "m.room.member"}


@dataclass
class Room:
    """A room as a client has it."""

    state: dict[tuple[str, str], Any] = field(default_factory=dict)
    timeline: list[str] = field(default_factory=list)
    membership: str = ""


@dataclass
class SlidingClient:
    """A client that believes what it is told, and sometimes never gets an answer."""

    user: Client
    random: Random
    pos: str | None = None
    rooms: dict[str, Room] = field(default_factory=dict)

    async def sync(self, body: Json, *, is_lost: bool = False) -> Json:
        query = {} if self.pos is None else {"pos": self.pos}
        answer: Json = await self.user.request("POST", PATH, body, **query)
        if not is_lost:
            self.pos = answer["pos"]
            for room_id, told in answer["rooms"].items():
                self._take_in(room_id, told)
        return answer

    def _take_in(self, room_id: str, told: Json) -> None:
        if told.get("initial"):
            self.rooms[room_id] = Room()
        room = self.rooms[room_id]
        room.membership = told["membership"]
        for event in told.get("required_state", ()):
            room.state[event["type"], event["state_key"]] = event.get("content")
        events = [event["event_id"] for event in told.get("timeline", ())]
        if told.get("limited") or told.get("expanded_timeline"):
            room.timeline = []
        room.timeline += events

    async def settle(self) -> None:
        """Ask for everything until nothing is new."""
        body = {"lists": {"all": {"timeline_limit": 5, "required_state": WANTED}}}
        while (await self.sync(body))["rooms"]:
            pass


@dataclass
class Story:
    server: TestServer
    alice: Client
    bob: Client
    random: Random
    rooms: list[str] = field(default_factory=list)

    async def act(self) -> None:
        acts: list[Callable[[str], Coroutine[Any, Any, Any]]] = [
            self._speak, self._speak, self._speak, self._set_topic, self._come, self._go, self._rename
        ]  # fmt: skip
        await self.random.choice(acts)(self.random.choice(self.rooms))

    async def _speak(self, room_id: str) -> None:
        for _ in range(self.random.choice((1, 1, 2, 8))):
            await self.alice.send(room_id, f"words {self.random.random()}")

    async def _set_topic(self, room_id: str) -> None:
        await self.alice.send_state(room_id, "m.room.topic", {"topic": str(self.random.random())})

    async def _come(self, room_id: str) -> None:
        await self.bob.join(room_id)

    async def _go(self, room_id: str) -> None:
        await self.bob.answer("POST", f"/v3/rooms/{room_id}/leave", {})

    async def _rename(self, room_id: str) -> None:
        name = {"displayname": f"Bob {self.random.randrange(99)}"}
        await self.bob.put(f"/v3/profile/{self.bob.user_id}/displayname", name)


def wishes(random: Random, rooms: list[str]) -> Json:
    """Some window, with much or little in it, and perhaps a room by name."""
    config = {"timeline_limit": random.choice((1, 3, 6)), "required_state": random.choice((WANTED, WANTED[:1]))}
    first = random.randrange(3)
    body: Json = {"lists": {"some": {**config, "ranges": [[first, first + random.randrange(3)]]}}}
    if random.random() < 0.3:
        body["room_subscriptions"] = {random.choice(rooms): {"timeline_limit": 4, "required_state": WANTED}}
    return body


@pytest.mark.parametrize("seed", range(12))
def test_a_client_ends_with_the_rooms_as_they_are(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_tell(Path(folder), Random(seed)))


async def _tell(folder: Path, random: Random) -> None:
    server = await TestServer.open(folder)
    alice, bob = await server.register("alice"), await server.register("bob")
    rooms = [await alice.create_room(preset="public_chat") for _ in range(4)]
    story = Story(server=server, alice=alice, bob=bob, random=random, rooms=rooms)
    client = SlidingClient(user=bob, random=random)
    for _ in range(40):
        for _ in range(random.randrange(3)):
            await story.act()
        if random.random() < 0.1:
            await server.restart()
        await client.sync(wishes(random, rooms), is_lost=random.random() < 0.3)
    await client.settle()
    for room_id in rooms:
        await _check(alice, bob, client.rooms.get(room_id, Room()), room_id)
    await server.close()


async def _check(alice: Client, bob: Client, room: Room, room_id: str) -> None:
    members = (await alice.get(f"/v3/rooms/{room_id}/joined_members"))["joined"]
    if bob.user_id not in members:
        assert room.membership in {"leave", ""}
        return
    assert room.membership == "join"
    state = {
        (event["type"], event["state_key"]): event["content"]
        for event in await bob.get(f"/v3/rooms/{room_id}/state")
        if event["type"] in TYPES
    }
    assert room.state == state
    history = (await bob.messages(room_id, limit=500))["chunk"]
    newest = [event["event_id"] for event in reversed(history)]
    assert room.timeline == newest[-len(room.timeline) :]
    assert len(room.timeline) >= min(5, len(newest))
