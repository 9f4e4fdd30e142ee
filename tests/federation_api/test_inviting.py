"""Invites, knocks, kicks and bans between servers, in every room version that has them."""

from typing import Any

import pytest

from federation_api.test_joining import VERSIONS, join_via, state_of
from helpers.federation import Network
from helpers.homeserver import Client, TestServer, quoted

Json = dict[str, Any]

KNOCKING_VERSIONS = VERSIONS[6:]


async def invited_room(client: Client, room_id: str) -> list[Json]:
    """The stripped state of an invite."""
    events: list[Json] = (await client.sync())["rooms"]["invite"][room_id]["invite_state"]["events"]
    return events


async def membership_at(client: Client, room_id: str, user_id: str) -> str:
    return str((await client.state(room_id, "m.room.member", user_id))["membership"])


async def sliding_room(client: Client, room_id: str) -> Json:
    body = {"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 1, "required_state": []}}}
    answer = await client.post("/unstable/org.matrix.simplified_msc3575/sync", body)
    found: Json = answer["rooms"][room_id]
    return found


@pytest.mark.parametrize("version", VERSIONS)
async def test_who_is_invited_joins(network: Network, version: str) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="private_chat", room_version=version, name="Garden")

    await alice.invite(room_id, bob)

    assert await membership_at(alice, room_id, bob.user_id) == "invite"
    stripped = await invited_room(bob, room_id)
    assert {"m.room.create", "m.room.name", "m.room.join_rules"} <= {event["type"] for event in stripped}
    assert stripped[-1]["sender"] == alice.user_id
    assert stripped[-1]["content"]["membership"] == "invite"
    assert (await sliding_room(bob, room_id))["invite_state"] == stripped

    await bob.join(room_id)
    assert await membership_at(alice, room_id, bob.user_id) == "join"
    assert await state_of(left, room_id) == await state_of(right, room_id)
    synced = (await bob.sync())["rooms"]
    assert "invite" not in synced
    assert synced["join"].keys() == {room_id}


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_invite_is_refused(network: Network, version: str) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="private_chat", room_version=version)
    await alice.invite(room_id, bob)
    since = (await bob.sync())["next_batch"]

    await bob.leave(room_id)

    assert await membership_at(alice, room_id, bob.user_id) == "leave"
    synced = await bob.sync(since)
    (leave,) = synced["rooms"]["leave"][room_id]["timeline"]["events"]
    assert leave["content"]["membership"] == "leave"
    assert "rooms" not in await bob.sync()
    await bob.post(f"/v3/rooms/{quoted(room_id)}/forget")
    await alice.invite(room_id, bob)
    assert await invited_room(bob, room_id)


async def test_an_invite_is_refused_without_the_other_server(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="private_chat")
    await alice.invite(room_id, bob)
    network.cut("left.test", "right.test")
    await bob.leave(room_id)
    assert "rooms" not in await bob.sync()
    network.mend("left.test", "right.test")
    await bob.join(room_id)
    assert await membership_at(alice, room_id, bob.user_id) == "join"


async def test_an_invite_survives_a_restart(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="private_chat")
    await alice.invite(room_id, bob)
    await right.restart()
    assert await invited_room(bob, room_id)


async def test_an_invite_notifies(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="private_chat")
    await alice.invite(room_id, bob)
    (notification,) = (await bob.get("/v3/notifications"))["notifications"]
    assert notification["room_id"] == room_id
    assert notification["event"]["content"]["membership"] == "invite"


async def test_a_room_is_created_with_others_users_invited(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(
        preset="trusted_private_chat", invite=[bob.user_id, "@x:gone.test"], is_direct=True
    )
    assert (await invited_room(bob, room_id))[-1]["content"] == {"membership": "invite", "is_direct": True}


async def test_an_invite_may_be_written_as_a_state_event(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="private_chat")
    content = {"membership": "invite", "note": "mine"}
    event_id = await alice.send_state(room_id, "m.room.member", content, bob.user_id)
    assert event_id.startswith("$")
    assert (await invited_room(bob, room_id))[-1]["content"] == content


async def test_who_blocks_invites_is_not_invited(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    path = f"/v3/user/{quoted(bob.user_id)}/account_data/m.invite_permission_config"
    await bob.put(path, {"default_action": "block"})
    room_id = await alice.create_room(preset="private_chat")
    invite = {"user_id": bob.user_id}
    assert await alice.refused("POST", f"/v3/rooms/{quoted(room_id)}/invite", invite) == (403, "M_INVITE_BLOCKED")
    assert "rooms" not in await bob.sync()


async def test_nobody_is_invited_whose_server_does_not_know_them(network: Network) -> None:
    left, _ = network.servers.values()
    alice = await left.register("alice")
    room_id = await alice.create_room(preset="private_chat")
    invite = {"user_id": "@nobody:right.test"}
    assert await alice.refused("POST", f"/v3/rooms/{quoted(room_id)}/invite", invite) == (403, "M_FORBIDDEN")
    assert await alice.refused("POST", f"/v3/rooms/{quoted(room_id)}/invite", {"user_id": "@bob:gone.test"}) == (
        504,
        "M_UNKNOWN",
    )


@pytest.mark.parametrize("version", KNOCKING_VERSIONS)
async def test_who_knocks_is_let_in(network: Network, version: str) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    rule = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}
    room_id = await alice.create_room(room_version=version, name="Garden", initial_state=[rule])

    knock = await bob.post(f"/v3/knock/{quoted(room_id)}", {"reason": "please"}, via=["left.test"])

    assert knock == {"room_id": room_id}
    member = await alice.state(room_id, "m.room.member", bob.user_id)
    assert (member["membership"], member["reason"]) == ("knock", "please")
    stripped = (await bob.sync())["rooms"]["knock"][room_id]["knock_state"]["events"]
    assert {"m.room.create", "m.room.name"} <= {event["type"] for event in stripped}
    await alice.invite(room_id, bob)
    await bob.join(room_id)
    assert await state_of(left, room_id) == await state_of(right, room_id)


async def test_a_knock_is_taken_back(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    rule = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}
    room_id = await alice.create_room(initial_state=[rule])
    await bob.post(f"/v3/knock/{quoted(room_id)}", via=["left.test"])
    await bob.leave(room_id)
    assert await membership_at(alice, room_id, bob.user_id) == "leave"
    assert "rooms" not in await bob.sync()


async def test_a_room_that_nobody_may_knock_on_refuses(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="private_chat")
    refusal = await bob.refused("POST", f"/v3/knock/{quoted(room_id)}", {}, via=["left.test"])
    assert refusal == (403, "M_FORBIDDEN")


@pytest.mark.parametrize("version", VERSIONS)
async def test_another_servers_user_is_banned_and_let_back(network: Network, version: str) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="public_chat", room_version=version)
    await join_via(bob, room_id, left)
    await alice.post(f"/v3/rooms/{quoted(room_id)}/ban", {"user_id": bob.user_id, "reason": "spam"})
    assert await membership_at(alice, room_id, bob.user_id) == "ban"
    await alice.post(f"/v3/rooms/{quoted(room_id)}/unban", {"user_id": bob.user_id})
    assert await membership_at(alice, room_id, bob.user_id) == "leave"


async def test_an_invite_to_a_room_of_an_unknown_version_is_refused(network: Network, right: TestServer) -> None:
    left = network.servers["left.test"]
    bob = await right.register("bob")
    content = {"room_version": "99", "event": {"state_key": bob.user_id}, "invite_room_state": []}
    refusal = await ask(left, right, "v2", "invite", content)
    assert refusal == (400, "M_INCOMPATIBLE_ROOM_VERSION")


async def ask(server: TestServer, other: TestServer, version: str, kind: str, content: Json) -> tuple[int, str]:
    from tabstead.errors import PeerRefused
    from tabstead.federation.client import Question, federation_path

    federation = server.homeserver.context.federation
    assert federation is not None
    path = federation_path(version, kind, "!room:left.test", "$event")
    try:
        await federation.client.ask(other.name, Question(method="PUT", path=path, content=content))
    except PeerRefused as refusal:
        return refusal.status, refusal.errcode
    raise AssertionError("it was not refused")
