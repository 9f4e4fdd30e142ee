"""POST /rooms/{roomId}/upgrade: what the replacement has of the old room, and what becomes of the old one."""

import pytest

from helpers.homeserver import Client, Json, TestServer, quoted


async def upgrade(client: Client, room_id: str, version: str = "12", **more: object) -> str:
    upgraded = await client.post(f"/v3/rooms/{room_id}/upgrade", {"new_version": version, **more})
    return str(upgraded["replacement_room"])


async def state_types(client: Client, room_id: str) -> set[str]:
    return {event["type"] for event in await client.get(f"/v3/rooms/{room_id}/state")}


async def set_account_data(client: Client, event_type: str, content: Json, room_id: str | None = None) -> None:
    room = "" if room_id is None else f"/rooms/{room_id}"
    await client.put(f"/v3/user/{quoted(client.user_id)}{room}/account_data/{event_type}", content)


async def account_data(client: Client, event_type: str, room_id: str | None = None) -> Json:
    room = "" if room_id is None else f"/rooms/{room_id}"
    found: Json = await client.get(f"/v3/user/{quoted(client.user_id)}{room}/account_data/{event_type}")
    return found


async def test_the_state_is_copied_and_both_rooms_name_each_other(alice: Client, bob: Client) -> None:
    old = await alice.create_room(
        name="Kitchen",
        topic="What to cook",
        room_version="10",
        creation_content={"type": "org.example.kitchen", "m.federate": False},
        initial_state=[
            {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
            {"type": "m.room.avatar", "content": {"url": "mxc://tab.test/pot"}},
            {"type": "m.room.server_acl", "content": {"allow": ["*"], "deny": ["evil.test"]}},
            {"type": "m.room.history_visibility", "content": {"history_visibility": "invited"}},
            {"type": "org.example.recipe", "content": {"eggs": 3}},
        ],
        invite=[bob.user_id],
    )

    new = await upgrade(alice, old, "11")

    create = await alice.state(new, "m.room.create")
    tombstone = await alice.get(f"/v3/rooms/{old}/state/m.room.tombstone", format="event")
    assert create == {
        "room_version": "11",
        "type": "org.example.kitchen",
        "m.federate": False,
        "predecessor": {"room_id": old, "event_id": tombstone["event_id"]},
    }
    assert tombstone["content"]["replacement_room"] == new
    for event_type in ("name", "topic", "avatar", "encryption", "server_acl", "history_visibility", "join_rules"):
        copied = await alice.state(new, f"m.room.{event_type}")
        assert copied == await alice.state(old, f"m.room.{event_type}")
    assert "org.example.recipe" not in await state_types(alice, new)
    members = await alice.get(f"/v3/rooms/{new}/members")
    assert [member["state_key"] for member in members["chunk"]] == [alice.user_id]


async def test_bans_stay_behind(alice: Client, bob: Client) -> None:
    old = await alice.create_room(preset="public_chat")
    await alice.post(f"/v3/rooms/{old}/ban", {"user_id": bob.user_id})

    await bob.join(await upgrade(alice, old))


async def test_hardly_anyone_can_write_in_the_old_room(alice: Client, bob: Client) -> None:
    old = await alice.create_room(preset="public_chat", power_level_content_override={"users_default": 60})
    await bob.join(old)
    await upgrade(alice, old)

    levels = await alice.state(old, "m.room.power_levels")
    assert (levels["events_default"], levels["invite"]) == (61, 61)
    message = {"msgtype": "m.text", "body": "anyone here?"}
    assert await bob.refused("PUT", f"/v3/rooms/{old}/send/m.room.message/1", message) == (403, "M_FORBIDDEN")


async def test_creators_of_version_12_are_named_anew(alice: Client, bob: Client) -> None:
    levels = {"users": {alice.user_id: 100, bob.user_id: 100, "@carol:tab.test": 50}}
    old = await alice.create_room(room_version="11", power_level_content_override=levels)

    new = await upgrade(alice, old, "12", additional_creators=[bob.user_id, bob.user_id])
    create = await alice.state(new, "m.room.create")
    assert create["additional_creators"] == [bob.user_id]
    assert create["predecessor"] == {"room_id": old}
    levels = await alice.state(new, "m.room.power_levels")
    assert levels["users"] == {"@carol:tab.test": 50}
    assert levels["events"]["m.room.tombstone"] == 150

    newest = await upgrade(alice, new, "12")
    assert "additional_creators" not in await alice.state(newest, "m.room.create")


async def test_back_from_version_12_creators_are_listed_again(alice: Client, bob: Client) -> None:
    trusted = {"additional_creators": [bob.user_id]}
    old = await alice.create_room(room_version="12", creation_content=trusted)

    new = await upgrade(alice, old, "11", additional_creators=["@ignored:tab.test"])
    assert "additional_creators" not in await alice.state(new, "m.room.create")
    levels = await alice.state(new, "m.room.power_levels")
    assert levels["users"] == {alice.user_id: 150, bob.user_id: 150}


async def test_a_moderator_who_may_upgrade_stays_a_moderator(alice: Client, bob: Client) -> None:
    events = {"m.room.tombstone": 50, "m.room.power_levels": 100, "m.room.history_visibility": 100}
    levels = {"users": {alice.user_id: 100, bob.user_id: 50}, "events": events}
    old = await alice.create_room(room_version="10", preset="public_chat", power_level_content_override=levels)
    await bob.join(old)

    new = await upgrade(bob, old, "11")
    assert (await bob.state(new, "m.room.power_levels"))["users"] == levels["users"]
    assert await bob.state(new, "m.room.history_visibility") == {"history_visibility": "shared"}
    # The rules of the old room do not let a moderator change its power levels.
    assert (await bob.state(old, "m.room.power_levels"))["events_default"] == 0


async def test_levels_written_as_text_become_numbers(alice: Client) -> None:
    old = await alice.create_room(room_version="9", power_level_content_override={"users": {alice.user_id: "100"}})

    new = await upgrade(alice, old, "11")
    assert (await alice.state(new, "m.room.power_levels"))["users"] == {alice.user_id: 100}


async def test_join_rules_that_an_older_version_lacks_become_stricter(alice: Client) -> None:
    knock = [{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]
    old = await alice.create_room(room_version="11", initial_state=knock)

    assert await alice.state(await upgrade(alice, old, "6"), "m.room.join_rules") == {"join_rule": "invite"}


async def test_aliases_and_the_place_in_the_directory_move(server: TestServer, alice: Client) -> None:
    old = await alice.create_room(visibility="public", room_alias_name="kitchen", room_version="11")
    await alice.put(f"/v3/directory/room/{quoted('#food:tab.test')}", {"room_id": old})
    aliases = {"alias": "#kitchen:tab.test", "alt_aliases": ["#food:tab.test"]}
    await alice.send_state(old, "m.room.canonical_alias", aliases)

    new = await upgrade(alice, old)
    for alias in ("#kitchen:tab.test", "#food:tab.test"):
        assert (await alice.get(f"/v3/directory/room/{quoted(alias)}"))["room_id"] == new
    assert await alice.state(new, "m.room.canonical_alias") == aliases
    assert await alice.state(old, "m.room.canonical_alias") == {}
    listed = await server.anonymous().get("/v3/publicRooms")
    assert [room["room_id"] for room in listed["chunk"]] == [new]


async def test_a_space_keeps_its_children(alice: Client) -> None:
    old = await alice.create_room(creation_content={"type": "m.space"})
    await alice.send_state(old, "m.space.child", {"via": ["tab.test"]}, "!kept")
    await alice.send_state(old, "m.space.child", {}, "!removed")

    new = await upgrade(alice, old)
    assert await alice.state(new, "m.space.child", "!kept") == {"via": ["tab.test"]}
    assert await alice.refused("GET", f"/v3/rooms/{new}/state/m.space.child/!removed") == (404, "M_NOT_FOUND")


async def test_settings_follow_whoever_joins(alice: Client, bob: Client) -> None:
    old = await alice.create_room(preset="public_chat")
    await bob.join(old)
    for client in (alice, bob):
        await set_account_data(client, "m.tag", {"tags": {"m.favourite": {"order": 0.5}}}, old)
        await set_account_data(client, "m.direct", {"@carol:tab.test": [old], "@dan:tab.test": ["!other"]})
        await client.put(f"/v3/pushrules/global/room/{quoted(old)}", {"actions": []})
        condition = {"kind": "event_match", "key": "room_id", "pattern": old}
        rule = {"actions": ["notify"], "conditions": [condition]}
        await client.put(f"/v3/pushrules/global/override/{quoted(old)}", rule)

    new = await upgrade(alice, old)
    await bob.join(new)
    for client in (alice, bob):
        assert await account_data(client, "m.tag", new) == {"tags": {"m.favourite": {"order": 0.5}}}
        direct = await account_data(client, "m.direct")
        assert direct == {"@carol:tab.test": [old, new], "@dan:tab.test": ["!other"]}
        assert (await client.get(f"/v3/pushrules/global/room/{quoted(new)}"))["actions"] == []
        override = await client.get(f"/v3/pushrules/global/override/{quoted(new)}")
        assert override["conditions"] == [{"kind": "event_match", "key": "room_id", "pattern": new}]


async def test_a_room_cannot_pretend_to_replace_another(alice: Client, bob: Client) -> None:
    old = await alice.create_room(preset="public_chat")
    await bob.join(old)
    await set_account_data(bob, "m.tag", {"tags": {"m.favourite": {}}}, old)

    forged = await alice.create_room(preset="public_chat", creation_content={"predecessor": {"room_id": old}})
    await bob.join(forged)
    path = f"/v3/user/{quoted(bob.user_id)}/rooms/{forged}/account_data/m.tag"
    assert await bob.refused("GET", path) == (404, "M_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, (400, "M_MISSING_PARAM")),
        ({"new_version": "wood"}, (400, "M_UNSUPPORTED_ROOM_VERSION")),
        ({"new_version": "12", "additional_creators": ["carol"]}, (400, "M_INVALID_PARAM")),
    ],
)
async def test_what_is_no_upgrade(alice: Client, body: Json, refusal: tuple[int, str]) -> None:
    room_id = await alice.create_room()

    assert await alice.refused("POST", f"/v3/rooms/{room_id}/upgrade", body) == refusal
    assert "m.room.tombstone" not in await state_types(alice, room_id)


async def test_who_may_not_upgrade(server: TestServer, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    forbidden = (403, "M_FORBIDDEN")

    assert await bob.refused("POST", f"/v3/rooms/{room_id}/upgrade", {"new_version": "12"}) == forbidden
    await bob.join(room_id)
    assert await bob.refused("POST", f"/v3/rooms/{room_id}/upgrade", {"new_version": "12"}) == forbidden
    assert await bob.refused("POST", "/v3/rooms/!nowhere/upgrade", {"new_version": "12"}) == forbidden
    assert await bob.get("/v3/joined_rooms") == {"joined_rooms": [room_id]}
