"""Rooms joined through servers that lie, stop half-way or never end; and a server that is killed while it joins."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from federation_api.test_joining import join_via, refused_via, state_of
from helpers.federation import Link, Network
from helpers.homeserver import Client, TestServer
from tabstead.errors import OutboundFailed, StorageUnavailable
from tabstead.federation.transport import FederationRequest, FederationResponse
from tabstead.storage.rooms import find_room

Json = dict[str, Any]
Lie = Callable[[Json], None]


@dataclass(frozen=True)
class LyingLink(Link):
    """A way into the network on which the answers to `send_join` are changed."""

    lies: list[Lie]

    async def send(self, request: FederationRequest) -> FederationResponse:
        if "/send_join/" not in request.target or not self.lies or request.take is None:
            return await super().send(request)
        pieces: list[bytes] = []
        answer = await super().send(replace(request, take=pieces.append))
        body = json.loads(b"".join(pieces))
        self.lies[0](body)
        request.take(json.dumps(body).encode())
        return answer


@dataclass
class Scene:
    """Alice's room on an honest server, and Bob, who wants to join it over a way that lies."""

    network: Network
    left: TestServer
    right: TestServer
    alice: Client
    bob: Client
    room_id: str
    lies: list[Lie]

    async def fails(self) -> None:
        """Bob doesn't get in, and nothing of it is to be seen."""
        assert await refused_via(self.bob, self.room_id, self.left) == (502, "M_UNKNOWN")
        assert (await self.bob.get("/v3/joined_rooms"))["joined_rooms"] == []
        assert "rooms" not in await self.bob.sync()

    async def succeeds(self) -> None:
        self.lies.clear()
        await join_via(self.bob, self.room_id, self.left)
        assert await state_of(self.left, self.room_id) == await state_of(self.right, self.room_id)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    network, lies = Network(), list[Lie]()
    left = await network.open(tmp_path, "left.test")
    right = await TestServer.open(
        tmp_path, "right.test", transport=LyingLink(network=network, origin="right.test", lies=lies)
    )
    network.servers["right.test"] = right
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="public_chat", name="Garden", room_version="11")
    yield Scene(network, left, right, alice, bob, room_id, lies)
    await network.close()


def forge_name(body: Json) -> None:
    for event in body["state"]:
        if event["type"] == "m.room.name":
            event["depth"] += 1  # what was signed


def change_content(body: Json) -> None:
    for event in body["state"]:
        if event["type"] == "m.room.name":
            event["content"]["name"] = "Jungle"  # what was hashed


def leave_out(event_type: str) -> Lie:
    def lie(body: Json) -> None:
        for part in ("state", "auth_chain"):
            body[part] = [event for event in body[part] if event["type"] != event_type]

    return lie


def say_members_are_omitted(body: Json) -> None:
    body["members_omitted"] = True


def tell_nonsense(body: Json) -> None:
    body["state"] += [None, 7, "x", [], {}, {"type": []}]
    body["auth_chain"] += [{"depth": "deep"}, {"a": {"b": {"c": []}}}]


def tell_two_names(body: Json) -> None:
    name = next(event for event in body["state"] if event["type"] == "m.room.name")
    other = next(event for event in body["state"] if event["type"] == "m.room.join_rules")
    body["state"].append({**other, "type": "m.room.name", "hashes": name["hashes"]})


@pytest.mark.parametrize("lie", [leave_out("m.room.create"), say_members_are_omitted, tell_two_names])
async def test_a_state_that_is_none_lets_nobody_in(scene: Scene, lie: Lie) -> None:
    scene.lies.append(lie)
    await scene.fails()
    await scene.succeeds()


async def test_what_is_forged_is_left_out_of_the_state(scene: Scene) -> None:
    scene.lies.append(forge_name)
    await join_via(scene.bob, scene.room_id, scene.left)
    assert ("m.room.name", "") not in await state_of(scene.right, scene.room_id)
    assert (await state_of(scene.right, scene.room_id)).keys() < (await state_of(scene.left, scene.room_id)).keys()


async def test_of_what_was_changed_the_redacted_form_is_taken(scene: Scene) -> None:
    scene.lies.append(change_content)
    await join_via(scene.bob, scene.room_id, scene.left)
    assert await scene.bob.state(scene.room_id, "m.room.name") == {}


async def test_what_is_no_event_is_passed_over(scene: Scene) -> None:
    scene.lies.append(tell_nonsense)
    await join_via(scene.bob, scene.room_id, scene.left)
    assert await state_of(scene.left, scene.room_id) == await state_of(scene.right, scene.room_id)


async def test_without_what_authorises_it_the_join_does_not_hold(scene: Scene) -> None:
    scene.lies.append(leave_out("m.room.join_rules"))
    await scene.fails()


async def test_an_answer_that_ends_half_way_lets_nobody_in(scene: Scene) -> None:
    link = scene.right.transport
    assert isinstance(link, LyingLink)

    def cut_off(body: Json) -> None:
        raise OutboundFailed("The connection was lost.")

    scene.lies.append(cut_off)
    assert await refused_via(scene.bob, scene.room_id, scene.left) == (504, "M_UNKNOWN")
    await scene.succeeds()


async def test_who_is_killed_while_joining_has_joined_nothing_and_may_try_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tabstead.federation import joining

    def die(*_: object) -> int:
        raise StorageUnavailable("The storage is gone.")

    monkeypatch.setattr(joining, "add_told_snapshot", die)
    assert await refused_via(scene.bob, scene.room_id, scene.left) == (503, "M_UNKNOWN")
    monkeypatch.undo()
    await scene.right.restart()

    room = await scene.right.read(lambda db: find_room(db, scene.room_id))
    assert room is not None and room.state_snapshot == 0, "the state's events are there, and nothing of the room"
    assert (await scene.bob.get("/v3/joined_rooms"))["joined_rooms"] == []
    assert "rooms" not in await scene.bob.sync()
    await scene.succeeds()
