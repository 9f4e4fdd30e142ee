"""Joins, invites, knocks and leaves between Tabstead and Synapse, over TLS, both ways, in every room version."""

from typing import Any

import pytest

from helpers.federated_servers import FederatedServer, eventually
from helpers.homeserver import Client, quoted
from tabstead.protocol.room_versions import ROOM_VERSIONS

Json = dict[str, Any]

VERSIONS = tuple(ROOM_VERSIONS)
DIRECTIONS = ("to_synapse", "from_synapse")


@pytest.fixture(params=DIRECTIONS)
def pair(
    request: pytest.FixtureRequest, tabstead: FederatedServer, synapse: FederatedServer
) -> tuple[FederatedServer, FederatedServer]:
    """Whose room it is, and who comes."""
    return (tabstead, synapse) if request.param == "from_synapse" else (synapse, tabstead)


_users = iter(range(10_000))


async def people(pair: tuple[FederatedServer, FederatedServer]) -> tuple[Client, Client]:
    number = next(_users)
    return await pair[0].register(f"alice{number}"), await pair[1].register(f"bob{number}")


async def state_ids(client: Client, room_id: str) -> dict[tuple[str, str], str]:
    state: list[Json] = await client.get(f"/v3/rooms/{quoted(room_id)}/state")
    return {(event["type"], event["state_key"]): event["event_id"] for event in state}


async def agree(alice: Client, bob: Client, room_id: str) -> bool:
    return await state_ids(alice, room_id) == await state_ids(bob, room_id)


async def is_member(client: Client, room_id: str, user_id: str, membership: str) -> bool:
    answer = await client.answer("GET", f"/v3/rooms/{quoted(room_id)}/state/m.room.member/{quoted(user_id)}")
    return answer.status == 200 and answer.json["membership"] == membership


async def is_listed(client: Client, section: str, room_id: str) -> bool:
    return room_id in (await client.sync()).get("rooms", {}).get(section, {})


async def is_not_listed(client: Client, section: str, room_id: str) -> bool:
    return not await is_listed(client, section, room_id)


async def join(client: Client, room_id: str, via: FederatedServer) -> None:
    await client.post(f"/v3/join/{quoted(room_id)}", via=[via.name], server_name=[via.name])


@pytest.mark.parametrize("version", VERSIONS)
async def test_join_leave_and_come_back(pair: tuple[FederatedServer, FederatedServer], version: str) -> None:
    alice, bob = await people(pair)
    room_id = await alice.create_room(preset="public_chat", room_version=version, name="Garden")
    await join(bob, room_id, pair[0])
    await eventually(lambda: agree(alice, bob, room_id))

    await bob.leave(room_id)
    await eventually(lambda: is_member(alice, room_id, bob.user_id, "leave"))
    await alice.send_state(room_id, "m.room.topic", {"topic": "while away"})

    await join(bob, room_id, pair[0])
    await eventually(lambda: agree(alice, bob, room_id))
    assert (await bob.state(room_id, "m.room.topic"))["topic"] == "while away"


@pytest.mark.parametrize("version", VERSIONS)
async def test_invites_are_taken_and_refused(pair: tuple[FederatedServer, FederatedServer], version: str) -> None:
    alice, bob = await people(pair)
    room_id = await alice.create_room(preset="private_chat", room_version=version, name="Garden")
    await alice.invite(room_id, bob)
    await eventually(lambda: is_listed(bob, "invite", room_id))
    stripped = (await bob.sync())["rooms"]["invite"][room_id]["invite_state"]["events"]
    assert {"m.room.create", "m.room.name", "m.room.member"} <= {event["type"] for event in stripped}

    await bob.leave(room_id)
    await eventually(lambda: is_member(alice, room_id, bob.user_id, "leave"))

    await alice.invite(room_id, bob)
    await eventually(lambda: is_listed(bob, "invite", room_id))
    await bob.join(room_id)
    await eventually(lambda: agree(alice, bob, room_id))


@pytest.mark.parametrize("version", VERSIONS[6:])
async def test_who_knocks_is_let_in(pair: tuple[FederatedServer, FederatedServer], version: str) -> None:
    alice, bob = await people(pair)
    rule = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}
    room_id = await alice.create_room(room_version=version, name="Garden", initial_state=[rule])
    await bob.post(f"/v3/knock/{quoted(room_id)}", {"reason": "please"}, via=[pair[0].name], server_name=[pair[0].name])
    assert await is_member(alice, room_id, bob.user_id, "knock")
    assert await is_listed(bob, "knock", room_id)
    await alice.invite(room_id, bob)
    await eventually(lambda: is_listed(bob, "invite", room_id))
    await bob.join(room_id)
    await eventually(lambda: agree(alice, bob, room_id))


@pytest.mark.parametrize("version", VERSIONS[7:])
async def test_a_space_lets_its_members_in(pair: tuple[FederatedServer, FederatedServer], version: str) -> None:
    alice, bob = await people(pair)
    space = await alice.create_room(preset="public_chat", creation_content={"type": "m.space"})
    rule = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": space}]}
    room_id = await alice.create_room(
        room_version=version, initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": rule}]
    )
    await join(bob, space, pair[0])
    await join(bob, room_id, pair[0])
    await eventually(lambda: agree(alice, bob, room_id))
    assert "join_authorised_via_users_server" in await alice.state(room_id, "m.room.member", bob.user_id)


async def test_an_invite_is_taken_back(pair: tuple[FederatedServer, FederatedServer]) -> None:
    alice, bob = await people(pair)
    room_id = await alice.create_room(preset="private_chat")
    await alice.invite(room_id, bob)
    await eventually(lambda: is_listed(bob, "invite", room_id))
    await alice.post(f"/v3/rooms/{quoted(room_id)}/kick", {"user_id": bob.user_id})
    await eventually(lambda: is_not_listed(bob, "invite", room_id))


async def test_a_knock_is_refused(tabstead: FederatedServer, other_tabstead: FederatedServer) -> None:
    # Synapse tells nobody that a knock was refused.
    alice, bob = await people((tabstead, other_tabstead))
    rule = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}
    room_id = await alice.create_room(initial_state=[rule])
    await bob.post(f"/v3/knock/{quoted(room_id)}", via=[tabstead.name])
    await alice.post(f"/v3/rooms/{quoted(room_id)}/kick", {"user_id": bob.user_id})
    await eventually(lambda: is_not_listed(bob, "knock", room_id))


async def test_the_other_servers_user_is_kicked_banned_and_let_back(
    pair: tuple[FederatedServer, FederatedServer],
) -> None:
    alice, bob = await people(pair)
    room_id = await alice.create_room(preset="public_chat")
    await join(bob, room_id, pair[0])
    room, target = f"/v3/rooms/{quoted(room_id)}", {"user_id": bob.user_id}
    await alice.post(f"{room}/kick", target)
    await eventually(lambda: left(bob, room_id))
    await join(bob, room_id, pair[0])
    await alice.post(f"{room}/ban", target)
    await eventually(lambda: left(bob, room_id))
    assert (await bob.refused("POST", f"/v3/join/{quoted(room_id)}", {}, via=[pair[0].name]))[0] == 403
    await alice.post(f"{room}/unban", target)
    await eventually(lambda: is_member(alice, room_id, bob.user_id, "leave"))
    await join(bob, room_id, pair[0])
    await eventually(lambda: agree(alice, bob, room_id))


async def left(client: Client, room_id: str) -> bool:
    return room_id not in (await client.get("/v3/joined_rooms"))["joined_rooms"]
