"""GET /sync: to-device messages, device lists and key counts."""

import json
from typing import Any

from helpers.homeserver import Client, Json, TestServer
from tabstead.storage.device_lists import insert_device_list_change


async def send(sender: Client, messages: Json, txn: str, event_type: str = "m.test") -> None:
    await sender.put(f"/v3/sendToDevice/{event_type}/{txn}", {"messages": messages})


def contents(answer: Json) -> list[Any]:
    return [event["content"] for event in answer.get("to_device", {}).get("events", [])]


async def test_a_message_is_repeated_until_the_device_acknowledges_it(alice: Client, bob: Client) -> None:
    since = (await bob.sync())["next_batch"]
    await send(alice, {bob.user_id: {bob.device_id: {"n": 1}}}, "a")

    first = await bob.sync(since)
    again = await bob.sync(since)

    assert contents(first) == contents(again) == [{"n": 1}]
    assert first["to_device"]["events"][0] == {"sender": alice.user_id, "type": "m.test", "content": {"n": 1}}
    assert contents(await bob.sync(first["next_batch"])) == []
    assert contents(await bob.sync()) == []


async def test_a_transaction_is_carried_out_once(alice: Client, bob: Client) -> None:
    for _ in range(2):
        await send(alice, {bob.user_id: {bob.device_id: {"n": 1}}}, "a")
    await send(alice, {bob.user_id: {bob.device_id: {"n": 2}}}, "a", "m.other")

    assert contents(await bob.sync()) == [{"n": 1}, {"n": 2}]


async def test_a_star_reaches_all_devices_and_nobody_else(alice: Client, server: TestServer) -> None:
    bob = await server.register("bob", "correct horse battery")
    second = await server.log_in("bob", "correct horse battery")
    await send(alice, {bob.user_id: {"*": {"n": 1}}, "@nobody:tab.test": {"*": {}}}, "a")
    await send(alice, {bob.user_id: {"NODEVICE": {"n": 2}}}, "b")

    assert contents(await bob.sync()) == contents(await second.sync()) == [{"n": 1}]
    assert contents(await alice.sync()) == []


async def test_many_messages_come_in_portions(alice: Client, bob: Client) -> None:
    since = (await bob.sync())["next_batch"]
    for number in range(205):
        await send(alice, {bob.user_id: {bob.device_id: {"n": number}}}, str(number))

    received: list[int] = []
    sizes = []
    for _ in range(4):
        answer = await bob.sync(since)
        since = answer["next_batch"]
        sizes.append(len(contents(answer)))
        received += [content["n"] for content in contents(answer)]

    assert sizes == [100, 100, 5, 0]
    assert received == list(range(205))


async def test_malformed_messages_are_refused_and_nothing_is_sent(alice: Client, bob: Client) -> None:
    body = {"messages": {bob.user_id: {bob.device_id: {"n": 1}}, "@x:tab.test": "nonsense"}}
    assert await alice.refused("PUT", "/v3/sendToDevice/m.test/a", body) == (400, "M_BAD_JSON")
    assert contents(await bob.sync()) == []


def lists(answer: Json) -> tuple[list[str], list[str]]:
    section = answer.get("device_lists", {"changed": [], "left": []})
    return section["changed"], section["left"]


async def test_a_change_of_devices_is_told_to_who_shares_a_room(alice: Client, bob: Client, server: TestServer) -> None:
    carol = await server.register("carol")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    tokens = [(await client.sync())["next_batch"] for client in (alice, bob, carol)]

    await server.write(lambda db: insert_device_list_change(db, alice.user_id))

    answers = [await client.sync(token) for client, token in zip((alice, bob, carol), tokens, strict=True)]
    assert [lists(answer)[0] for answer in answers] == [[alice.user_id], [alice.user_id], []]


async def test_meeting_and_parting_is_told_to_both(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    other_room = await alice.create_room(preset="public_chat")
    alices, bobs = (await alice.sync())["next_batch"], (await bob.sync())["next_batch"]

    await bob.join(room_id)
    at_alice, at_bob = await alice.sync(alices), await bob.sync(bobs)
    assert lists(at_alice) == ([bob.user_id], [])
    assert lists(at_bob) == ([alice.user_id], [])

    await bob.join(other_room)
    await bob.leave(room_id)
    at_alice, at_bob = await alice.sync(at_alice["next_batch"]), await bob.sync(at_bob["next_batch"])
    assert lists(at_alice)[1] == lists(at_bob)[1] == [], "they still share a room"

    await bob.leave(other_room)
    assert lists(await alice.sync(at_alice["next_batch"])) == ([], [bob.user_id])
    assert lists(await bob.sync(at_bob["next_batch"])) == ([], [alice.user_id])


async def test_a_filter_of_rooms_keeps_no_devices_away(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    since = (await alice.sync())["next_batch"]
    await bob.join(room_id)

    answer = await alice.sync(since, filter=json.dumps({"room": {"rooms": []}}))

    assert "rooms" not in answer
    assert lists(answer)[0] == [bob.user_id]


async def test_key_counts_are_always_there(alice: Client) -> None:
    answer = await alice.sync()
    assert answer["device_one_time_keys_count"] == {"signed_curve25519": 0}
    assert answer["device_unused_fallback_key_types"] == []
