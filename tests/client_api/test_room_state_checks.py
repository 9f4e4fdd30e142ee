"""PUT /rooms/{roomId}/state: what this server keeps its users from."""

from typing import Any

import pytest

from helpers.homeserver import Client

ENCRYPTION = {"algorithm": "m.megolm.v1.aes-sha2"}


async def put_refused(client: Client, room_id: str, event_type: str, content: Any) -> tuple[int, str]:
    return await client.refused("PUT", f"/v3/rooms/{room_id}/state/{event_type}", content)


async def test_encryption_stays_on(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.send_state(room_id, "m.room.encryption", {})
    await alice.send_state(room_id, "m.room.encryption", ENCRYPTION)

    assert await put_refused(alice, room_id, "m.room.encryption", {}) == (400, "M_BAD_STATE")
    await alice.send_state(room_id, "m.room.encryption", {**ENCRYPTION, "rotation_period_msgs": 10})
    await alice.send_state(room_id, "m.room.encryption", {}, "another key")


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        ({"allow": ["*"], "deny": ["tab.test"]}, (400, "M_BAD_STATE")),
        ({"deny": ["evil.test"]}, (400, "M_BAD_STATE")),
        ({"allow": ["other.test"]}, (400, "M_BAD_STATE")),
        ({"allow": "*"}, (400, "M_BAD_JSON")),
        ({"allow": ["*"], "deny": [1]}, (400, "M_BAD_JSON")),
        ({"allow": ["*"], "allow_ip_literals": 0}, (400, "M_BAD_JSON")),
    ],
)
async def test_nobody_shuts_their_own_server_out(alice: Client, content: Any, refusal: tuple[int, str]) -> None:
    room_id = await alice.create_room()

    assert await put_refused(alice, room_id, "m.room.server_acl", content) == refusal
    await alice.send_state(room_id, "m.room.server_acl", {"allow": ["*.test"], "deny": ["evil.test"]})


@pytest.mark.parametrize(
    "content",
    [{"via": "policy.test"}, {"via": 1, "public_keys": {"ed25519": "key"}}, {"via": "policy.test", "public_keys": {}}],
)
async def test_a_policy_server_has_a_name_and_a_key(alice: Client, content: Any) -> None:
    room_id = await alice.create_room()

    assert await put_refused(alice, room_id, "m.room.policy", content) == (400, "M_BAD_JSON")
    await alice.send_state(room_id, "m.room.policy", {"via": "policy.test", "public_keys": {"ed25519": "key"}})
    # It has no member in the room, so nobody asks it.
    await alice.send(room_id, "hello")
    await alice.send_state(room_id, "m.room.policy", {})
