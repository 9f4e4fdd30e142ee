"""Events that clients are told of whatever a timeline leaves out, for a time (MSC4354)."""

import json
from typing import Any

from helpers.homeserver import Client, Json, TestServer

STICKY = "msc4354_sticky"
TTL = "msc4354_sticky_duration_ttl_ms"
PARAMETER = "org.matrix.msc4354.sticky_duration_ms"
SLIDING = "/unstable/org.matrix.simplified_msc3575/sync"


async def stick(client: Client, room_id: str, what: str, duration_ms: Any = 300_000) -> str:
    path = f"/v3/rooms/{room_id}/send/org.example.sticky/{what}"
    return str((await client.put(path, {"what": what}, **{PARAMETER: duration_ms}))["event_id"])


def whats(section: Json) -> list[str]:
    return [event["content"]["what"] for event in section["events"] if "what" in event["content"]]


async def crowd(alice: Client, bob: Client) -> str:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    return room_id


ONE = json.dumps({"room": {"timeline": {"limit": 1}}})


async def test_a_gap_leaves_no_sticky_event_out(alice: Client, bob: Client, server: TestServer) -> None:
    room_id = await crowd(alice, bob)
    since = (await bob.sync())["next_batch"]
    event_id = await stick(alice, room_id, "first")
    await alice.send(room_id, "something else")
    await stick(alice, room_id, "second")

    answer = await bob.sync(since, filter=ONE)
    room = answer["rooms"]["join"][room_id]
    assert whats(room["timeline"]) == ["second"]
    assert whats(room[STICKY]) == ["first"]
    (told,) = room[STICKY]["events"]
    assert told["event_id"] == event_id
    assert told[STICKY] == {"duration_ms": 300_000}
    assert 299_000 < told["unsigned"][TTL] <= 300_000
    assert room["timeline"]["events"][0]["unsigned"][TTL] > 0
    assert "rooms" not in await bob.sync(answer["next_batch"], filter=ONE)


async def test_who_joins_learns_of_all_that_is_still_sticky(alice: Client, bob: Client, server: TestServer) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await stick(alice, room_id, "short", 10_000)
    await stick(alice, room_id, "long")
    await alice.send(room_id, "words")
    server.clock.now += 20_000
    await bob.join(room_id)

    room = (await bob.sync(filter=ONE))["rooms"]["join"][room_id]
    assert whats(room[STICKY]) == ["long"]
    server.clock.now += 300_000
    room = (await bob.sync(filter=ONE))["rooms"]["join"][room_id]
    assert STICKY not in room


async def test_what_a_filter_hides_is_told_as_sticky(alice: Client, bob: Client) -> None:
    room_id = await crowd(alice, bob)
    since = (await bob.sync())["next_batch"]
    await stick(alice, room_id, "hidden")
    words = json.dumps({"room": {"timeline": {"types": ["m.room.message"]}}})
    room = (await bob.sync(since, filter=words))["rooms"]["join"][room_id]
    assert room["timeline"]["events"] == []
    assert whats(room[STICKY]) == ["hidden"]


async def test_sticky_state_durations_and_redaction(alice: Client, bob: Client) -> None:
    room_id = await crowd(alice, bob)
    path = f"/v3/rooms/{room_id}/state/org.example.state/"
    since = (await bob.sync())["next_batch"]
    first = await alice.put(path, {"what": "state"}, **{PARAMETER: 60_000})
    again = await alice.put(path, {"what": "state"}, **{PARAMETER: 60_000})
    assert first["event_id"] != again["event_id"], "it is sticky anew"
    for wrong in (-1, 3_600_001, "long"):
        refused = await alice.refused("PUT", path, {}, **{PARAMETER: wrong})
        assert refused == (400, "M_INVALID_PARAM")
    event_id = await stick(alice, room_id, "redacted")
    await alice.redact(room_id, event_id)
    timeline = (await bob.sync(since))["rooms"]["join"][room_id]["timeline"]["events"]
    (redacted,) = (event for event in timeline if event["event_id"] == event_id)
    assert STICKY not in redacted and TTL not in redacted["unsigned"]


async def test_sliding_sync_has_an_extension_for_them(alice: Client, bob: Client, server: TestServer) -> None:
    room_id = await crowd(alice, bob)
    for what in ("one", "two", "three"):
        await stick(alice, room_id, what)

    async def told(since: str | None = None, limit: int = 100) -> tuple[list[str], str]:
        wanted = {"enabled": True, "limit": limit} | ({} if since is None else {"since": since})
        answer = await bob.post(SLIDING, {"extensions": {"org.matrix.msc4354.sticky_events": wanted}})
        body = answer["extensions"]["org.matrix.msc4354.sticky_events"]
        return [what for room in body["rooms"].values() for what in whats(room)], body["next_batch"]

    found, since = await told(limit=2)
    assert found == ["one", "two"]
    found, since = await told(since)
    assert found == ["three"]
    assert (await told(since))[0] == []
    server.clock.now += 300_000
    assert (await told())[0] == []
    assert (await server.anonymous().get("/versions"))["unstable_features"]["org.matrix.msc4354"] is True
