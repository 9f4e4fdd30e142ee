"""Invites of addresses, once an identity server has signed whose they are."""

import json
from typing import Any

import pytest

from federation_api.test_inviting import invited_room, membership_at
from federation_api.test_joining import state_of
from helpers.federation import Network
from helpers.homeserver import Client, TestServer, quoted
from tabstead.errors import PeerRefused
from tabstead.federation.client import Question, federation_path
from tabstead.http import Request
from tabstead.protocol.signatures import SigningKey, sign_json

Json = dict[str, Any]

IDENTITY = SigningKey(key_id="ed25519:0", seed=b"\7" * 32)
TOKEN = "abc"


async def invite_address(client: Client, room_id: str) -> None:
    """What a client sends when an identity server has stored an invite of an address."""
    key = IDENTITY.verify_key.encode()
    content = {
        "display_name": "b...@example.org",
        "key_validity_url": "https://id.test/valid",
        "public_key": key,
        "public_keys": [{"public_key": key}],
    }
    await client.send_state(room_id, "m.room.third_party_invite", content, TOKEN)


def signed_for(user_id: str, key: SigningKey = IDENTITY) -> Json:
    return sign_json({"mxid": user_id, "sender": "@x:id.test", "token": TOKEN}, "id.test", key)


async def bind(server: TestServer, user_id: str, *invites: Json) -> int:
    """What the identity server tells the user's server."""
    body = {"medium": "email", "address": "bob@example.org", "mxid": user_id, "invites": list(invites)}
    path = "/_matrix/federation/v1/3pid/onbind"
    return (await server.handle(Request(method="PUT", path=path, body=json.dumps(body).encode()))).status


def bound(room_id: str, sender: str, user_id: str, key: SigningKey = IDENTITY) -> Json:
    return {
        "medium": "email",
        "address": "bob@example.org",
        "mxid": user_id,
        "room_id": room_id,
        "sender": sender,
        "signed": signed_for(user_id, key),
    }


@pytest.mark.parametrize("version", ["1", "6", "11", "12"])
async def test_who_binds_an_invited_address_is_invited(network: Network, version: str) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="private_chat", room_version=version)
    await invite_address(alice, room_id)

    assert await bind(right, bob.user_id, bound(room_id, alice.user_id, bob.user_id)) == 200

    assert await membership_at(alice, room_id, bob.user_id) == "invite"
    assert (await invited_room(bob, room_id))[-1]["sender"] == alice.user_id
    await bob.join(room_id)
    assert await state_of(left, room_id) == await state_of(right, room_id)


async def test_who_binds_an_invited_address_on_the_inviters_server_is_invited(network: Network) -> None:
    left = network.servers["left.test"]
    alice, bob = await left.register("alice"), await left.register("bob")
    room_id = await alice.create_room(preset="private_chat")
    await invite_address(alice, room_id)
    assert await bind(left, bob.user_id, bound(room_id, alice.user_id, bob.user_id)) == 200
    assert await membership_at(alice, room_id, bob.user_id) == "invite"


async def test_what_the_identity_server_did_not_sign_invites_nobody(network: Network) -> None:
    left, right = network.servers.values()
    alice, bob = await left.register("alice"), await right.register("bob")
    room_id = await alice.create_room(preset="private_chat")
    await invite_address(alice, room_id)
    forged = SigningKey(key_id="ed25519:0", seed=b"\1" * 32)
    await bind(right, bob.user_id, bound(room_id, alice.user_id, bob.user_id, forged))
    assert "rooms" not in await bob.sync()
    refusal = await exchange(right, left, room_id, sender=alice.user_id, user_id=bob.user_id, key=forged)
    assert refusal == (403, "M_FORBIDDEN")
    assert await alice.refused("GET", f"/v3/rooms/{quoted(room_id)}/state/m.room.member/{quoted(bob.user_id)}") == (
        404,
        "M_NOT_FOUND",
    )


async def exchange(
    server: TestServer, other: TestServer, room_id: str, *, sender: str, user_id: str, key: SigningKey
) -> tuple[int, str]:
    """Ask for the invite; how it is refused."""
    federation = server.homeserver.context.federation
    assert federation is not None
    content = {"display_name": "b...", "signed": signed_for(user_id, key)}
    event = {
        "type": "m.room.member",
        "room_id": room_id,
        "sender": sender,
        "state_key": user_id,
        "content": {"membership": "invite", "third_party_invite": content},
    }
    path = federation_path("v1", "exchange_third_party_invite", room_id)
    try:
        await federation.client.ask(other.name, Question(method="PUT", path=path, content=event))
    except PeerRefused as refusal:
        return refusal.status, refusal.errcode
    raise AssertionError("it was not refused")
