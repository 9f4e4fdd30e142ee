"""Presence: set by users and their clients, faded by time."""

import json
from typing import Any

from helpers.homeserver import Client, Json, TestServer, quoted
from tabstead.storage.positions import select_position

MINUTE = 60_000


def path(client: Client) -> str:
    return f"/v3/presence/{quoted(client.user_id)}/status"


def told(answer: Json) -> dict[str, Any]:
    events = answer.get("presence", {}).get("events", [])
    return {event["sender"]: event["content"]["presence"] for event in events}


async def share_a_room(alice: Client, bob: Client) -> str:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    return room_id


async def test_what_one_sets_others_see(alice: Client, bob: Client) -> None:
    await share_a_room(alice, bob)
    since = (await bob.sync())["next_batch"]
    await alice.put(path(alice), {"presence": "unavailable", "status_msg": "cooking"})

    seen = await bob.get(path(alice))

    assert (seen["presence"], seen["status_msg"]) == ("unavailable", "cooking")
    assert told(await bob.sync(since)) == {alice.user_id: "unavailable"}


async def test_only_those_who_share_a_room_see_it(alice: Client, bob: Client) -> None:
    since = (await bob.sync())["next_batch"]
    await alice.put(path(alice), {"presence": "online"})

    assert await bob.refused("GET", path(alice)) == (403, "M_FORBIDDEN")
    assert told(await bob.sync(since)) == {}

    await share_a_room(alice, bob)
    assert told(await bob.sync(since)) == {alice.user_id: "online"}, "met since"


async def test_who_sees_the_other_join_learns_their_presence(alice: Client, bob: Client) -> None:
    await bob.sync()
    room_id = await alice.create_room(preset="public_chat")
    since = (await alice.sync())["next_batch"]
    await bob.join(room_id)

    assert told(await alice.sync(since)) == {bob.user_id: "online"}


async def test_what_cannot_be_set(alice: Client, bob: Client) -> None:
    assert await alice.refused("PUT", path(bob), {"presence": "online"}) == (403, "M_FORBIDDEN")
    assert await alice.refused("PUT", path(alice), {"presence": "asleep"}) == (400, "M_INVALID_PARAM")
    assert await alice.refused("PUT", path(alice), {}) == (400, "M_MISSING_PARAM")
    assert await alice.refused("GET", path(alice)) == (404, "M_NOT_FOUND")
    assert await alice.refused("GET", "/v3/sync", set_presence="asleep") == (400, "M_INVALID_PARAM")


async def test_syncing_is_a_sign_of_life_unless_the_client_says_no(alice: Client) -> None:
    await alice.sync(set_presence="offline")
    assert await alice.refused("GET", path(alice)) == (404, "M_NOT_FOUND")

    await alice.sync(set_presence="unavailable")
    assert (await alice.get(path(alice)))["presence"] == "unavailable"

    await alice.sync()
    seen = await alice.get(path(alice))
    assert (seen["presence"], seen["currently_active"]) == ("online", True)


async def test_silence_fades_and_is_told_to_who_asks_later(alice: Client, bob: Client, server: TestServer) -> None:
    await share_a_room(alice, bob)
    await alice.sync()
    since = (await bob.sync())["next_batch"]

    server.clock.now += 6 * MINUTE
    answer = await bob.sync(since)
    assert told(answer)[alice.user_id] == "unavailable"
    assert (await bob.get(path(alice)))["presence"] == "unavailable"
    assert alice.user_id not in told(await bob.sync(answer["next_batch"])), "it is told once"

    server.clock.now += 10 * MINUTE
    assert told(await bob.sync(answer["next_batch"]))[alice.user_id] == "offline"


async def test_a_client_that_goes_on_syncing_writes_seldom_and_is_no_news(
    alice: Client, bob: Client, server: TestServer
) -> None:
    await share_a_room(alice, bob)
    await alice.sync()
    before = await server.read(select_position)

    for _ in range(5):
        server.clock.now += 3 * MINUTE
        await alice.sync()

    assert await server.read(select_position) == before
    assert (await bob.get(path(alice)))["presence"] == "online"


async def test_an_initial_sync_leaves_out_who_is_offline(alice: Client, bob: Client, server: TestServer) -> None:
    await share_a_room(alice, bob)
    await alice.sync()
    assert told(await bob.sync()) == {alice.user_id: "online", bob.user_id: "online"}

    server.clock.now += 20 * MINUTE
    assert told(await bob.sync()) == {bob.user_id: "online"}
    assert told(await bob.sync(filter=json.dumps({"presence": {"types": []}}))) == {}
