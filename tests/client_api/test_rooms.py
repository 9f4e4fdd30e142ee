"""POST /createRoom: what a new room looks like."""

import pytest

from helpers.homeserver import Client, TestServer, quoted
from tabstead.protocol.room_versions import ROOM_VERSIONS


async def timeline(client: Client, room_id: str) -> list[tuple[str, str]]:
    page = await client.messages(room_id, "f", limit=100)
    return [(event["type"], event["state_key"]) for event in page["chunk"]]


async def test_the_events_come_in_the_order_of_the_specification(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(
        name="Kitchen",
        topic="What to cook",
        room_alias_name="kitchen",
        invite=[bob.user_id],
        is_direct=True,
        initial_state=[
            {"type": "m.room.guest_access", "content": {"guest_access": "forbidden"}},
            {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
        ],
    )

    assert await timeline(alice, room_id) == [
        ("m.room.create", ""),
        ("m.room.member", alice.user_id),
        ("m.room.power_levels", ""),
        ("m.room.canonical_alias", ""),
        ("m.room.join_rules", ""),
        ("m.room.history_visibility", ""),
        ("m.room.guest_access", ""),
        ("m.room.encryption", ""),
        ("m.room.name", ""),
        ("m.room.topic", ""),
        ("m.room.member", bob.user_id),
    ]
    assert await alice.state(room_id, "m.room.guest_access") == {"guest_access": "forbidden"}
    assert await alice.state(room_id, "m.room.canonical_alias") == {"alias": "#kitchen:tab.test"}
    assert await alice.state(room_id, "m.room.topic") == {
        "topic": "What to cook",
        "m.topic": {"m.text": [{"body": "What to cook", "mimetype": "text/plain"}]},
    }
    invite = await alice.state(room_id, "m.room.member", bob.user_id)
    assert invite["membership"] == "invite"
    assert invite["is_direct"] is True


async def test_the_default_is_version_12_whose_id_is_the_create_events(alice: Client) -> None:
    room_id = await alice.create_room()

    create = (await alice.messages(room_id, "f"))["chunk"][0]
    assert create["content"] == {"room_version": "12"}
    assert room_id == "!" + create["event_id"][1:]
    levels = await alice.state(room_id, "m.room.power_levels")
    assert alice.user_id not in levels["users"]
    assert levels["events"]["m.room.tombstone"] > levels["state_default"]


async def test_two_rooms_of_the_same_moment_are_two(server: TestServer, alice: Client) -> None:
    """The room ID is a hash of the create event, and nothing in two of those need differ."""
    moment = server.clock.now
    first = await alice.create_room()
    server.clock.now = moment
    assert await alice.create_room() != first


@pytest.mark.parametrize("version", ROOM_VERSIONS)
async def test_every_room_version_can_be_asked_for(alice: Client, version: str) -> None:
    room_id = await alice.create_room(room_version=version, name="Any", topic="thing")

    assert (await alice.state(room_id, "m.room.create"))["room_version"] == version
    assert await alice.state(room_id, "m.room.name") == {"name": "Any"}
    await alice.send(room_id, "hello")


async def test_before_version_11_the_create_event_names_its_creator(alice: Client) -> None:
    room_id = await alice.create_room(room_version="10", creation_content={"creator": "@eve:evil.test"})

    assert (await alice.state(room_id, "m.room.create"))["creator"] == alice.user_id
    assert (await alice.state(room_id, "m.room.power_levels"))["users"] == {alice.user_id: 100}
    assert room_id.endswith(":tab.test")


async def test_an_unknown_version_is_refused(alice: Client) -> None:
    refusal = await alice.refused("POST", "/v3/createRoom", {"room_version": "wood"})
    assert refusal == (400, "M_UNSUPPORTED_ROOM_VERSION")


@pytest.mark.parametrize(
    ("options", "join_rule", "guest_access"),
    [
        ({}, "invite", "can_join"),
        ({"visibility": "public"}, "public", "forbidden"),
        ({"visibility": "public", "preset": "private_chat"}, "invite", "can_join"),
        ({"preset": "public_chat"}, "public", "forbidden"),
        ({"preset": "trusted_private_chat"}, "invite", "can_join"),
    ],
)
async def test_presets(alice: Client, options: dict[str, str], join_rule: str, guest_access: str) -> None:
    room_id = await alice.create_room(**options)

    assert await alice.state(room_id, "m.room.join_rules") == {"join_rule": join_rule}
    assert await alice.state(room_id, "m.room.history_visibility") == {"history_visibility": "shared"}
    assert await alice.state(room_id, "m.room.guest_access") == {"guest_access": guest_access}


async def test_a_trusted_chat_makes_the_invited_as_mighty_as_its_creator(alice: Client, bob: Client) -> None:
    trusted = {"preset": "trusted_private_chat", "invite": [bob.user_id]}

    old = await alice.create_room(room_version="11", **trusted)
    assert (await alice.state(old, "m.room.power_levels"))["users"] == {alice.user_id: 100, bob.user_id: 100}

    new = await alice.create_room(
        **trusted, creation_content={"additional_creators": ["@carol:tab.test", bob.user_id], "m.federate": False}
    )
    create = await alice.state(new, "m.room.create")
    assert create["additional_creators"] == ["@carol:tab.test", bob.user_id]
    assert create["m.federate"] is False
    await bob.join(new)
    await bob.send_state(new, "m.room.tombstone", {"body": "moved", "replacement_room": "!elsewhere"})


async def test_power_levels_are_laid_over_the_default(alice: Client) -> None:
    room_id = await alice.create_room(power_level_content_override={"invite": 70, "users": {"@bob:tab.test": 60}})

    levels = await alice.state(room_id, "m.room.power_levels")
    assert (levels["invite"], levels["kick"], levels["users"]) == (70, 50, {"@bob:tab.test": 60})


async def test_a_state_that_the_rules_forbid_makes_no_room(server: TestServer, alice: Client) -> None:
    powerless = {"users": {alice.user_id: 0}, "events": {"m.room.name": 50}}
    refusal = await alice.refused(
        "POST",
        "/v3/createRoom",
        {"room_version": "11", "name": "Mine", "power_level_content_override": powerless, "room_alias_name": "mine"},
    )

    assert refusal == (400, "M_INVALID_ROOM_STATE")
    assert await alice.get("/v3/joined_rooms") == {"joined_rooms": []}
    assert await alice.refused("GET", f"/v3/directory/room/{quoted('#mine:tab.test')}") == (404, "M_NOT_FOUND")


async def test_an_alias_is_given_once(alice: Client) -> None:
    await alice.create_room(room_alias_name="taken")

    refusal = await alice.refused("POST", "/v3/createRoom", {"room_alias_name": "taken"})
    assert refusal == (400, "M_ROOM_IN_USE")
    assert (await alice.refused("POST", "/v3/createRoom", {"room_alias_name": "a:b"}))[1] == "M_INVALID_PARAM"


async def test_malformed_requests(server: TestServer, alice: Client) -> None:
    for body, errcode in [
        ({"invite": ["not a user"]}, "M_INVALID_PARAM"),
        ({"preset": "party"}, "M_INVALID_PARAM"),
        ({"initial_state": [{"content": {}}]}, "M_MISSING_PARAM"),
        ({"name": 3}, "M_BAD_JSON"),
        ({"name": "x" * 70_000}, "M_TOO_LARGE"),
    ]:
        assert (await alice.refused("POST", "/v3/createRoom", body))[1] == errcode
    third_party = {"invite_3pid": [{"medium": "email", "address": "b@c.d", "id_server": "x", "id_access_token": "y"}]}
    assert await alice.refused("POST", "/v3/createRoom", third_party) == (403, "M_THREEPID_DENIED")
    guest = await server.register_guest()
    assert await guest.refused("POST", "/v3/createRoom", {}) == (403, "M_GUEST_ACCESS_FORBIDDEN")


async def test_rooms_that_a_user_is_in(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(invite=[bob.user_id])
    assert await bob.get("/v3/joined_rooms") == {"joined_rooms": []}

    await bob.join(room_id)
    assert await bob.get("/v3/joined_rooms") == {"joined_rooms": [room_id]}
