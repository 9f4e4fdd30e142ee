"""Joining, inviting, leaving, kicking, banning, knocking, forgetting."""

import pytest

from helpers.homeserver import Client, TestServer, quoted
from tabstead.accounts.profiles import Profile
from tabstead.rooms.membership import update_member_profiles


async def membership(client: Client, room_id: str, of: Client) -> str:
    return str((await client.state(room_id, "m.room.member", of.user_id))["membership"])


async def test_a_public_room_is_joined_by_id_or_alias(server: TestServer, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", room_alias_name="pub")

    assert await bob.post(f"/v3/join/{quoted('#pub:tab.test')}") == {"room_id": room_id}
    carol = await server.register("carol")
    assert await carol.post(f"/v3/rooms/{room_id}/join", {"reason": "thirsty"}) == {"room_id": room_id}
    assert (await alice.state(room_id, "m.room.member", carol.user_id))["reason"] == "thirsty"


async def test_joining_twice_is_joining_once(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    before = len((await alice.messages(room_id, limit=100))["chunk"])
    await bob.post(f"/v3/join/{room_id}", {"reason": "again"})

    assert len((await alice.messages(room_id, limit=100))["chunk"]) == before


async def test_rooms_that_are_not_there(bob: Client) -> None:
    assert await bob.refused("POST", "/v3/join/!nowhere") == (404, "M_NOT_FOUND")
    assert await bob.refused("POST", f"/v3/join/{quoted('#nowhere:tab.test')}") == (404, "M_NOT_FOUND")
    assert await bob.refused("POST", "/v3/join/somewhere") == (400, "M_INVALID_PARAM")
    assert await bob.refused("POST", "/v3/knock/!nowhere") == (404, "M_NOT_FOUND")
    assert await bob.refused("POST", "/v3/rooms/!nowhere/leave") == (404, "M_NOT_FOUND")
    invite = {"user_id": "@x:tab.test"}
    assert await bob.refused("POST", "/v3/rooms/!nowhere/invite", invite) == (403, "M_FORBIDDEN")


async def test_a_private_room_takes_the_invited_alone(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    assert await bob.refused("POST", f"/v3/join/{room_id}") == (403, "M_FORBIDDEN")

    await alice.post(f"/v3/rooms/{room_id}/invite", {"user_id": bob.user_id, "reason": "come in"})
    assert (await alice.state(room_id, "m.room.member", bob.user_id))["reason"] == "come in"
    await bob.join(room_id)
    assert await membership(alice, room_id, bob) == "join"
    assert await alice.refused("POST", f"/v3/rooms/{room_id}/invite", {"user_id": bob.user_id}) == (403, "M_FORBIDDEN")


async def test_an_invite_is_declined_and_a_room_left_for_good(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(invite=[bob.user_id])
    await bob.leave(room_id)
    await bob.leave(room_id)

    assert await membership(alice, room_id, bob) == "leave"
    assert await bob.refused("POST", f"/v3/join/{room_id}") == (403, "M_FORBIDDEN")


async def test_who_was_never_there_cannot_leave(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    assert await bob.refused("POST", f"/v3/rooms/{room_id}/leave") == (403, "M_FORBIDDEN")


async def test_kick(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    kick = {"user_id": bob.user_id, "reason": "noise"}
    assert await alice.refused("POST", f"/v3/rooms/{room_id}/kick", kick) == (403, "M_FORBIDDEN")

    await bob.join(room_id)
    own = {"user_id": alice.user_id}
    assert await bob.refused("POST", f"/v3/rooms/{room_id}/kick", own) == (403, "M_FORBIDDEN")
    await alice.post(f"/v3/rooms/{room_id}/kick", kick)
    assert await alice.state(room_id, "m.room.member", bob.user_id) == {"membership": "leave", "reason": "noise"}
    await bob.join(room_id)


async def test_ban_and_unban(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    ban = {"user_id": bob.user_id}
    assert await alice.refused("POST", f"/v3/rooms/{room_id}/unban", ban) == (403, "M_FORBIDDEN")

    await alice.post(f"/v3/rooms/{room_id}/ban", ban)
    assert await bob.refused("POST", f"/v3/join/{room_id}") == (403, "M_FORBIDDEN")
    assert await alice.refused("POST", f"/v3/rooms/{room_id}/invite", ban) == (403, "M_FORBIDDEN")
    assert await alice.refused("POST", f"/v3/rooms/{room_id}/kick", ban) == (403, "M_FORBIDDEN")
    await alice.post(f"/v3/rooms/{room_id}/unban", ban)
    await bob.join(room_id)


async def test_knocking(server: TestServer, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    assert await bob.refused("POST", f"/v3/knock/{room_id}") == (403, "M_FORBIDDEN")

    await alice.send_state(room_id, "m.room.join_rules", {"join_rule": "knock"})
    assert await bob.post(f"/v3/knock/{room_id}", {"reason": "please"}) == {"room_id": room_id}
    await bob.post(f"/v3/knock/{room_id}", {"reason": "knock knock"})
    assert (await alice.state(room_id, "m.room.member", bob.user_id))["reason"] == "please"
    assert await bob.refused("POST", f"/v3/join/{room_id}") == (403, "M_FORBIDDEN")
    await alice.invite(room_id, bob)
    await bob.join(room_id)

    carol = await server.register("carol")
    await carol.post(f"/v3/knock/{room_id}", {})
    await carol.leave(room_id)
    assert await membership(alice, room_id, carol) == "leave"


@pytest.mark.parametrize("version", ["8", "11", "12"])
async def test_members_of_one_room_may_join_another(
    server: TestServer, alice: Client, bob: Client, version: str
) -> None:
    club = await alice.create_room(preset="public_chat")
    rule = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": club}]}
    lounge = await alice.create_room(
        room_version=version,
        initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": rule}],
    )
    assert await bob.refused("POST", f"/v3/join/{lounge}") == (403, "M_FORBIDDEN")

    await bob.join(club)
    await bob.join(lounge)
    member = await alice.state(lounge, "m.room.member", bob.user_id)
    assert member["join_authorised_via_users_server"] == alice.user_id


async def test_guests_join_where_guests_may(server: TestServer, alice: Client) -> None:
    guest = await server.register_guest()
    closed = await alice.create_room(preset="public_chat")
    assert await guest.refused("POST", f"/v3/join/{closed}") == (403, "M_GUEST_ACCESS_FORBIDDEN")

    await alice.send_state(closed, "m.room.guest_access", {"guest_access": "can_join"})
    await guest.join(closed)
    await guest.send(closed, "hello")
    assert await guest.refused("PUT", f"/v3/rooms/{closed}/state/m.room.topic", {}) == (403, "M_GUEST_ACCESS_FORBIDDEN")


async def test_guests_leave_a_room_that_takes_guests_no_longer(server: TestServer, alice: Client, bob: Client) -> None:
    guest = await server.register_guest()
    for take_away in ("change", "redaction"):
        room_id = await alice.create_room(preset="public_chat")
        access = await alice.send_state(room_id, "m.room.guest_access", {"guest_access": "can_join"})
        await guest.join(room_id)
        await bob.join(room_id)
        if take_away == "change":
            await alice.send_state(room_id, "m.room.guest_access", {"guest_access": "forbidden"})
        else:
            await alice.redact(room_id, access)

        assert await membership(alice, room_id, guest) == "leave"
        assert await membership(alice, room_id, bob) == "join"


async def test_forgetting_needs_leaving(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    assert await bob.refused("POST", f"/v3/rooms/{room_id}/forget") == (400, "M_UNKNOWN")

    await bob.leave(room_id)
    assert (await bob.messages(room_id))["chunk"]
    await bob.post(f"/v3/rooms/{room_id}/forget")
    await bob.post(f"/v3/rooms/{room_id}/forget")
    assert await bob.refused("GET", f"/v3/rooms/{room_id}/messages", dir="b") == (403, "M_FORBIDDEN")
    await bob.join(room_id)
    assert (await bob.messages(room_id))["chunk"]


async def test_invites_that_are_blocked_or_go_elsewhere(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    elsewhere = {"user_id": "@zoe:far.test"}
    assert await alice.refused("POST", f"/v3/rooms/{room_id}/invite", elsewhere) == (403, "M_FORBIDDEN")
    third_party = {"medium": "email", "address": "a@b.c", "id_server": "x", "id_access_token": "y"}
    assert await alice.refused("POST", f"/v3/rooms/{room_id}/invite", third_party) == (403, "M_THREEPID_DENIED")

    config = f"/v3/user/{quoted(bob.user_id)}/account_data/m.invite_permission_config"
    await bob.put(config, {"default_action": "block"})
    refusal = await alice.refused("POST", f"/v3/rooms/{room_id}/invite", {"user_id": bob.user_id})
    assert refusal == (403, "M_INVITE_BLOCKED")


async def test_a_changed_profile_reaches_the_rooms_that_were_joined(
    server: TestServer, alice: Client, bob: Client
) -> None:
    joined = await alice.create_room(preset="public_chat")
    invited = await alice.create_room(invite=[bob.user_id])
    sealed = await alice.create_room(preset="public_chat")
    await bob.join(sealed)
    await alice.send_state(sealed, "m.room.join_rules", {"join_rule": "private"})
    await bob.join(joined)
    profile = Profile(displayname="Bob B.", avatar_url="mxc://tab.test/bob")
    local_server = server.homeserver.context.local_server
    await server.write(lambda db: update_member_profiles(db, local_server, bob.user_id, profile))

    assert await alice.state(joined, "m.room.member", bob.user_id) == {
        "membership": "join",
        "displayname": "Bob B.",
        "avatar_url": "mxc://tab.test/bob",
    }
    for unchanged in (invited, sealed):
        assert (await alice.state(unchanged, "m.room.member", bob.user_id)).get("displayname") != "Bob B."


async def test_the_mightiest_who_may_invite_lets_members_of_other_rooms_in(
    server: TestServer, alice: Client, bob: Client
) -> None:
    carol = await server.register("carol")
    club = await alice.create_room(preset="public_chat")
    await carol.join(club)
    rules = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": club}]}
    levels = {"invite": 50, "users": {bob.user_id: 60, "@gone:tab.test": 70, "@far:far.test": 80}}
    room_id = await alice.create_room(
        initial_state=[{"type": "m.room.join_rules", "content": rules}],
        power_level_content_override=levels,
        invite=[bob.user_id],
    )
    await bob.join(room_id)
    await alice.leave(room_id)

    await carol.join(room_id)
    member = await carol.state(room_id, "m.room.member", carol.user_id)
    assert member["join_authorised_via_users_server"] == bob.user_id
    await bob.leave(room_id)
    await carol.leave(room_id)
    assert await carol.refused("POST", f"/v3/join/{room_id}") == (403, "M_FORBIDDEN")
