"""Receipts, typing and presence between two servers, and what comes of those that a server may not send."""

from typing import Any

import pytest

from federation_api.sharing import news_of, share_room
from helpers.federation import Network
from helpers.homeserver import Client, TestServer, quoted
from tabstead.federation.client import Question, federation_path
from tabstead.streams.presence import SILENCE_MS

Json = dict[str, Any]


@pytest.fixture
async def alice(left: TestServer) -> Client:
    return await left.register("alice")


@pytest.fixture
async def bob(right: TestServer) -> Client:
    return await right.register("bob")


async def send_edus(server: TestServer, destination: TestServer, *edus: Json, transaction_id: str = "t") -> None:
    """EDUs that the server's own code would not send."""
    federation = server.homeserver.context.federation
    assert federation is not None
    content = {"origin": server.name, "origin_server_ts": 1, "pdus": [], "edus": list(edus)}
    path = federation_path("v1", "send", transaction_id)
    await federation.client.ask(destination.name, Question(method="PUT", path=path, content=content))


async def test_messages_go_both_ways(network: Network, alice: Client, bob: Client) -> None:
    room_id = await share_room(network, alice, bob)
    of_alice, of_bob = await news_of(alice), await news_of(bob)
    await alice.send(room_id, "from the left")
    await network.settle()
    assert await of_bob.timeline(room_id) == ["from the left"]
    await bob.send(room_id, "from the right")
    await network.settle()
    assert await of_alice.timeline(room_id) == ["from the left", "from the right"]


async def test_receipts_arrive_with_their_threads_and_private_ones_do_not(
    network: Network, alice: Client, bob: Client
) -> None:
    room_id = await share_room(network, alice, bob)
    root = await alice.send(room_id, "root")
    relation = {"m.relates_to": {"rel_type": "m.thread", "event_id": root}}
    reply = await alice.send(room_id, {"msgtype": "m.text", "body": "reply", **relation})
    hidden = await alice.send(room_id, "read in private")
    await network.settle()
    of_alice = await news_of(alice)
    path = f"/v3/rooms/{quoted(room_id)}/receipt"
    await bob.post(f"{path}/m.read/{quoted(root)}", {"thread_id": "main"})
    await bob.post(f"{path}/m.read/{quoted(reply)}", {"thread_id": root})
    await bob.post(f"{path}/m.read.private/{quoted(hidden)}", {})
    await network.settle()
    synced = await of_alice.next()
    events = synced["rooms"]["join"][room_id]["ephemeral"]["events"]
    marks = [
        (event_id, receipt_type, mark.get("thread_id"))
        for event in events
        for event_id, by_type in event["content"].items()
        for receipt_type, by_user in by_type.items()
        for user_id, mark in by_user.items()
        if user_id == bob.user_id
    ]
    assert sorted(marks) == sorted([(root, "m.read", "main"), (reply, "m.read", root)])


async def test_who_types_is_shown_until_they_cease(network: Network, alice: Client, bob: Client) -> None:
    room_id = await share_room(network, alice, bob)
    of_bob = await news_of(bob)
    path = f"/v3/rooms/{quoted(room_id)}/typing/{quoted(alice.user_id)}"
    await alice.put(path, {"typing": True, "timeout": 30000})
    await network.settle()
    assert (await of_bob.ephemeral(room_id))["m.typing"] == {"user_ids": [alice.user_id]}
    await alice.put(path, {"typing": False})
    await network.settle()
    assert (await of_bob.ephemeral(room_id))["m.typing"] == {"user_ids": []}


async def test_typing_that_its_server_forgets_to_end_ends_by_itself(
    network: Network, right: TestServer, alice: Client, bob: Client
) -> None:
    room_id = await share_room(network, alice, bob)
    of_bob = await news_of(bob)
    await alice.put(f"/v3/rooms/{quoted(room_id)}/typing/{quoted(alice.user_id)}", {"typing": True})
    await network.settle()
    assert (await of_bob.ephemeral(room_id))["m.typing"] == {"user_ids": [alice.user_id]}
    right.clock.now += 61_000
    assert (await of_bob.ephemeral(room_id))["m.typing"] == {"user_ids": []}


async def test_presence_is_told_to_those_who_share_a_room(
    network: Network, right: TestServer, alice: Client, bob: Client
) -> None:
    stranger = await right.register("stranger")
    await share_room(network, alice, bob)
    of_bob, of_stranger = await news_of(bob), await news_of(stranger)
    await alice.put(
        f"/v3/presence/{quoted(alice.user_id)}/status", {"presence": "online", "status_msg": "in the garden"}
    )
    await network.settle()
    (event,) = (await of_bob.next())["presence"]["events"]
    assert event["sender"] == alice.user_id
    assert event["content"]["presence"] == "online"
    assert event["content"]["status_msg"] == "in the garden"
    assert "presence" not in await of_stranger.next()
    right.clock.now += SILENCE_MS // 2
    path = f"/v3/presence/{quoted(alice.user_id)}/status"
    assert (await bob.get(path))["presence"] == "online", "her server would say otherwise"
    right.clock.now += SILENCE_MS
    assert (await bob.get(path))["presence"] == "offline", "her server says nothing any more"


async def test_a_server_speaks_for_its_own_users_in_their_rooms_alone(
    network: Network, left: TestServer, right: TestServer, alice: Client, bob: Client
) -> None:
    room_id = await share_room(network, alice, bob)
    other = await right.register("other")
    private = await bob.create_room()
    event_id = await bob.send(room_id, "read me")
    private_event = await bob.send(private, "not you")
    await network.settle()
    of_bob = await news_of(bob)

    def receipt(room: str, user_id: str, event: str) -> Json:
        return {"edu_type": "m.receipt", "content": {room: {"m.read": {user_id: {"event_ids": [event], "data": {}}}}}}

    def typing(room: str, user_id: Any) -> Json:
        return {"edu_type": "m.typing", "content": {"room_id": room, "user_id": user_id, "typing": True}}

    await send_edus(
        left,
        right,
        receipt(room_id, other.user_id, event_id),
        receipt(private, alice.user_id, private_event),
        receipt(room_id, alice.user_id, private_event),
        typing(room_id, other.user_id),
        typing(private, alice.user_id),
        typing(room_id, "@nobody:left.test"),
        typing(room_id, 7),
        {"edu_type": "m.presence", "content": {"push": [{"user_id": bob.user_id, "presence": "online"}, 3, None]}},
        {"edu_type": "org.example.unknown", "content": {}},
        {"edu_type": "m.receipt", "content": {room_id: {"m.read": {alice.user_id: {"event_ids": [{}]}}}}},
        {"edu_type": 3},
        "nothing",  # type: ignore[arg-type]
    )
    synced = await of_bob.next()
    assert synced.get("rooms", {}) == {}
    assert "presence" not in synced
    await send_edus(left, right, receipt(room_id, alice.user_id, event_id), transaction_id="t2")
    assert "m.receipt" in await of_bob.ephemeral(room_id)


async def test_a_room_that_keeps_a_server_out_hears_nothing_of_it(
    network: Network, left: TestServer, right: TestServer, alice: Client, bob: Client
) -> None:
    room_id = await share_room(network, bob, alice)
    event_id = await bob.send(room_id, "read me")
    await bob.send_state(room_id, "m.room.server_acl", {"allow": ["*"], "deny": ["left.test"]})
    await network.settle()
    of_bob = await news_of(bob)
    mark = {"m.read": {alice.user_id: {"event_ids": [event_id], "data": {"ts": 1}}}}
    typing = {"room_id": room_id, "user_id": alice.user_id, "typing": True}
    await send_edus(
        left, right, {"edu_type": "m.receipt", "content": {room_id: mark}}, {"edu_type": "m.typing", "content": typing}
    )
    assert (await of_bob.next()).get("rooms", {}) == {}
