"""Restricted rooms of which not every server can say whom they let in."""

from pathlib import Path
from typing import Any

import pytest

from federation_api.test_joining import join_via, refused_via, state_of
from helpers.federation import Network
from helpers.homeserver import Client, TestServer, quoted
from tabstead.storage.events import find_event

Json = dict[str, Any]


@pytest.fixture
async def middle(network: Network, tmp_path: Path) -> TestServer:
    return await network.open(tmp_path, "middle.test")


async def restricted_room(client: Client, space: str, **options: Any) -> str:
    rule = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": space}]}
    rules = {"type": "m.room.join_rules", "state_key": "", "content": rule}
    return await client.create_room(initial_state=[rules], **options)


def asked_to_send(network: Network, origin: str) -> list[str]:
    """The servers to which a server has handed in a join."""
    return [
        request.destination
        for asking, request in network.requests
        if asking == origin and "/send_join/" in request.target
    ]


async def test_a_server_that_does_not_know_the_space_sends_to_another(
    network: Network, left: TestServer, right: TestServer, middle: TestServer
) -> None:
    alice, bob, carol = await left.register("alice"), await right.register("bob"), await middle.register("carol")
    space = await alice.create_room(preset="public_chat", creation_content={"type": "m.space"})
    room_id = await restricted_room(alice, space, invite=[carol.user_id])
    await carol.join(room_id)
    await join_via(bob, space, left)

    assert await refused_via(bob, room_id, middle) == (400, "M_UNABLE_TO_AUTHORISE_JOIN")
    await join_via(bob, room_id, middle, left)

    assert asked_to_send(network, "right.test") == ["left.test", "left.test"]
    assert await state_of(left, room_id) == await state_of(right, room_id)


async def test_a_server_that_may_not_let_its_own_user_in_asks_another(
    network: Network, left: TestServer, middle: TestServer
) -> None:
    alice, bob, carol = await left.register("alice"), await middle.register("bob"), await middle.register("carol")
    space = await alice.create_room(preset="public_chat", creation_content={"type": "m.space"})
    levels = {"invite": 50}
    room_id = await restricted_room(alice, space, invite=[carol.user_id], power_level_content_override=levels)
    await carol.join(room_id)
    await join_via(bob, space, left)

    await bob.join(room_id)

    member = await bob.state(room_id, "m.room.member", bob.user_id)
    assert member["join_authorised_via_users_server"] == alice.user_id
    assert await state_of(left, room_id) == await state_of(middle, room_id)


async def test_who_is_in_none_of_the_rooms_is_refused_by_who_knows_them_all(
    left: TestServer, right: TestServer
) -> None:
    alice, bob = await left.register("alice"), await right.register("bob")
    space = await alice.create_room(preset="public_chat", creation_content={"type": "m.space"})
    room_id = await restricted_room(alice, space)
    assert await refused_via(bob, room_id, left) == (403, "M_FORBIDDEN")


async def test_a_join_is_authorised_by_a_member_of_the_server_that_signs_it(
    left: TestServer, right: TestServer
) -> None:
    alice, bob = await left.register("alice"), await right.register("bob")
    space = await alice.create_room(preset="public_chat", creation_content={"type": "m.space"})
    room_id = await restricted_room(alice, space)
    await join_via(bob, space, left)
    await join_via(bob, room_id, left)
    event_id = (await state_of(right, room_id))["m.room.member", bob.user_id]
    stored = await right.read(lambda db: None if (found := find_event(db, event_id)) is None else found.event.pdu)
    assert stored is not None and stored["signatures"].keys() == {"left.test", "right.test"}
    assert (await bob.get(f"/v3/rooms/{quoted(room_id)}/joined_members"))["joined"].keys() == {
        alice.user_id,
        bob.user_id,
    }
