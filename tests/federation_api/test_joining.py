"""Rooms joined through other servers, in every room version."""

from typing import Any

import pytest

from helpers.federation import Network
from helpers.homeserver import Client, TestServer, quoted
from tabstead.protocol.room_versions import ROOM_VERSIONS
from tabstead.storage.current_state import select_current
from tabstead.storage.database import Db
from tabstead.storage.events import select_event_ids
from tabstead.storage.rooms import find_room, select_forward_extremities

Json = dict[str, Any]

VERSIONS = tuple(ROOM_VERSIONS)
RESTRICTED_VERSIONS = VERSIONS[7:]


async def state_of(server: TestServer, room_id: str) -> dict[tuple[str, str], str]:
    """A server's current state of a room, as event ids."""

    def read(db: Db) -> dict[tuple[str, str], str]:
        room = find_room(db, room_id)
        assert room is not None
        current = select_current(db, room.room_nid)
        event_ids = select_event_ids(db, current.values())
        return {key: event_ids[nid] for key, nid in current.items()}

    return await server.read(read)


async def extremities_of(server: TestServer, room_id: str) -> set[str]:
    def read(db: Db) -> set[str]:
        room = find_room(db, room_id)
        assert room is not None
        return set(select_event_ids(db, select_forward_extremities(db, room.room_nid)).values())

    return await server.read(read)


async def join_via(client: Client, room_id: str, *servers: TestServer) -> None:
    await client.post(f"/v3/join/{quoted(room_id)}", via=[server.name for server in servers])


async def refused_via(client: Client, room_id: str, *servers: TestServer) -> tuple[int, str]:
    return await client.refused("POST", f"/v3/join/{quoted(room_id)}", {}, via=[server.name for server in servers])


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_public_room_is_joined_with_all_its_state(network: Network, version: str) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="public_chat", room_version=version, name="Garden", topic="Green")
    await alice.send(room_id, "before")

    await join_via(bob, room_id, left)

    assert await state_of(left, room_id) == await state_of(right, room_id)
    assert await extremities_of(left, room_id) == await extremities_of(right, room_id)
    assert (await bob.state(room_id, "m.room.name"))["name"] == "Garden"
    joined = (await bob.sync())["rooms"]["join"][room_id]
    assert joined["summary"]["m.joined_member_count"] == 2
    told = {event["type"] for event in joined["state"]["events"] + joined["timeline"]["events"]}
    assert {"m.room.create", "m.room.power_levels", "m.room.topic", "m.room.member"} <= told
    members = await alice.get(f"/v3/rooms/{quoted(room_id)}/joined_members")
    assert members["joined"].keys() == {alice.user_id, bob.user_id}


async def test_a_room_is_joined_by_its_alias(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="public_chat", room_alias_name="garden")
    await bob.join("#garden:left.test")
    assert (await bob.get("/v3/joined_rooms"))["joined_rooms"] == [room_id]


async def test_the_second_user_of_a_server_joins_without_asking_others(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob, carol = await left.register("alice"), await right.register("bob"), await right.register("carol")
    room_id = await alice.create_room(preset="public_chat")
    await join_via(bob, room_id, left)
    network.cut("left.test", "right.test")
    await carol.join(room_id)
    assert (await carol.get("/v3/joined_rooms"))["joined_rooms"] == [room_id]


async def test_a_private_room_refuses(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="private_chat")
    assert await refused_via(bob, room_id, left) == (403, "M_FORBIDDEN")
    assert not (await bob.get("/v3/joined_rooms"))["joined_rooms"]


async def test_a_room_of_which_no_server_is_known_is_not_found(network: Network) -> None:
    _, right = network.servers.values()
    bob = await right.register("bob")
    assert await bob.refused("POST", "/v3/join/!nowhere") == (404, "M_NOT_FOUND")
    assert await bob.refused("POST", "/v3/join/!nowhere:gone.test") == (504, "M_UNKNOWN")


async def test_the_next_server_is_tried_where_one_cannot_be_reached(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/v3/join/{quoted(room_id)}", server_name=["gone.test", "left.test"])
    assert (await bob.get("/v3/joined_rooms"))["joined_rooms"] == [room_id]


async def test_a_server_that_the_room_keeps_out_cannot_join(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    await alice.send_state(room_id, "m.room.server_acl", {"allow": ["*"], "deny": ["right.test"]})
    assert await refused_via(bob, room_id, left) == (403, "M_FORBIDDEN")


async def test_who_is_banned_cannot_join(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    await alice.post(f"/v3/rooms/{quoted(room_id)}/ban", {"user_id": bob.user_id})
    assert await refused_via(bob, room_id, left) == (403, "M_FORBIDDEN")


@pytest.mark.parametrize("version", VERSIONS)
async def test_who_left_comes_back_to_the_room_as_it_is(network: Network, version: str) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="public_chat", room_version=version)
    await join_via(bob, room_id, left)
    network.cut("left.test", "right.test")
    await bob.leave(room_id)
    network.mend("left.test", "right.test")
    await alice.send_state(room_id, "m.room.topic", {"topic": "while away"})
    await alice.send_state(room_id, "m.room.name", {"name": "New"})

    await join_via(bob, room_id, left)

    assert await state_of(left, room_id) == await state_of(right, room_id)
    assert (await bob.state(room_id, "m.room.topic"))["topic"] == "while away"
    assert (await bob.sync())["rooms"]["join"].keys() == {room_id}


async def test_what_was_known_when_they_left_keeps_nobody_out(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="private_chat", invite=[bob.user_id])
    await bob.join(room_id)
    await bob.leave(room_id)
    await alice.send_state(room_id, "m.room.join_rules", {"join_rule": "public"})
    await join_via(bob, room_id, left)
    assert await state_of(left, room_id) == await state_of(right, room_id)


@pytest.mark.parametrize("version", RESTRICTED_VERSIONS)
async def test_a_space_lets_its_members_into_a_restricted_room(network: Network, version: str) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    space = await alice.create_room(preset="public_chat", creation_content={"type": "m.space"})
    rule = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": space}]}
    room_id = await alice.create_room(
        room_version=version, initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": rule}]
    )
    assert await refused_via(bob, room_id, left) == (403, "M_FORBIDDEN")
    await join_via(bob, space, left)
    await join_via(bob, room_id, left)
    assert await state_of(left, room_id) == await state_of(right, room_id)
    member = await alice.state(room_id, "m.room.member", bob.user_id)
    assert member["join_authorised_via_users_server"] == alice.user_id


async def test_who_joins_at_the_same_time_joins_once(network: Network) -> None:
    import asyncio

    left, right = network.servers.values()
    alice = await left.register("alice")
    others = [await right.register(name) for name in ("bob", "carol", "dave")]
    room_id = await alice.create_room(preset="public_chat")
    await asyncio.gather(*(join_via(other, room_id, left) for other in others))
    asked = [request.target for origin, request in network.requests if "send_join" in request.target]
    assert len(asked) == 1
    members = await others[2].get(f"/v3/rooms/{quoted(room_id)}/joined_members")
    assert members["joined"].keys() == {alice.user_id, *(other.user_id for other in others)}
