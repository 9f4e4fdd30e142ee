"""Receipts, the fully-read marker, and the unread counts that they clear."""

import json
from typing import Any

import pytest

from helpers.homeserver import Client, Json, TestServer, quoted


@pytest.fixture
async def room_id(alice: Client, bob: Client) -> str:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    return room_id


async def mark(client: Client, room_id: str, event_id: str, kind: str = "m.read", **body: Any) -> None:
    await client.post(f"/v3/rooms/{room_id}/receipt/{kind}/{quoted(event_id)}", body)


def receipts(answer: Json, room_id: str) -> list[Json]:
    events = answer["rooms"]["join"][room_id]["ephemeral"]["events"]
    return [event["content"] for event in events if event["type"] == "m.receipt"]


async def unread(client: Client, room_id: str, threads: bool = False) -> Any:
    room_filter = {"room": {"timeline": {"unread_thread_notifications": threads}}}
    entry = (await client.sync(filter=json.dumps(room_filter)))["rooms"]["join"][room_id]
    main = (
        entry["unread_notifications"]["notification_count"],
        entry["unread_notifications"]["highlight_count"],
    )
    if not threads:
        return main
    by_thread = entry.get("unread_thread_notifications", {})
    return main, {root: tuple(counts.values()) for root, counts in by_thread.items()}


async def reply(client: Client, room_id: str, root: str, text: str) -> str:
    relation = {"rel_type": "m.thread", "event_id": root}
    return await client.send(room_id, {"msgtype": "m.text", "body": text, "m.relates_to": relation})


async def test_a_public_receipt_is_told_to_everyone_a_private_one_to_its_owner(
    alice: Client, bob: Client, room_id: str
) -> None:
    event_id = await alice.send(room_id, "hello")
    alices, bobs = (await alice.sync())["next_batch"], (await bob.sync())["next_batch"]
    await mark(bob, room_id, event_id)
    await mark(bob, room_id, event_id, "m.read.private")

    (at_alice,), (at_bob,) = receipts(await alice.sync(alices), room_id), receipts(await bob.sync(bobs), room_id)

    assert list(at_alice[event_id]) == ["m.read"]
    assert at_alice[event_id]["m.read"][bob.user_id].keys() == {"ts"}
    assert at_bob[event_id].keys() == {"m.read", "m.read.private"}
    assert receipts(await alice.sync(), room_id) == [at_alice]


async def test_receipts_only_go_forward(alice: Client, bob: Client, room_id: str) -> None:
    first, second = await alice.send(room_id, "one"), await alice.send(room_id, "two")
    await mark(bob, room_id, second)
    since = (await alice.sync())["next_batch"]

    await mark(bob, room_id, first)
    await mark(bob, room_id, second)

    assert "rooms" not in await alice.sync(since)


async def test_threads_are_marked_apart_even_at_one_event(alice: Client, bob: Client, room_id: str) -> None:
    root = await alice.send(room_id, "root")
    await mark(bob, room_id, root)
    await mark(bob, room_id, root, thread_id="main")

    told = receipts(await alice.sync(), room_id)

    marks = [content[root]["m.read"][bob.user_id] for content in told]
    assert [mark.get("thread_id") for mark in marks] == [None, "main"]


async def test_what_cannot_be_marked(alice: Client, bob: Client, room_id: str, server: TestServer) -> None:
    root = await alice.send(room_id, "root")
    in_thread = await reply(alice, room_id, root, "reply")

    async def refused(event_id: str, kind: str = "m.read", body: Any = None, who: Client = bob) -> tuple[int, str]:
        return await who.refused("POST", f"/v3/rooms/{room_id}/receipt/{kind}/{quoted(event_id)}", body or {})

    assert await refused("$nothing") == (404, "M_NOT_FOUND")
    assert await refused(root, "m.unknown") == (400, "M_INVALID_PARAM")
    assert await refused(root, body={"thread_id": ""}) == (400, "M_INVALID_PARAM")
    assert await refused(root, body={"thread_id": 7}) == (400, "M_INVALID_PARAM")
    assert await refused(root, "m.fully_read", {"thread_id": "main"}) == (400, "M_INVALID_PARAM")
    assert await refused(in_thread, body={"thread_id": "main"}) == (400, "M_INVALID_PARAM")
    assert await refused(root, body={"thread_id": "$other"}) == (400, "M_INVALID_PARAM")
    assert await refused(root, who=await server.register("carol")) == (403, "M_FORBIDDEN")


async def test_the_fully_read_marker_is_account_data(alice: Client, room_id: str) -> None:
    first, second = await alice.send(room_id, "one"), await alice.send(room_id, "two")
    since = (await alice.sync())["next_batch"]
    await alice.post(f"/v3/rooms/{room_id}/read_markers", {"m.fully_read": second, "m.read": first})

    entry = (await alice.sync(since))["rooms"]["join"][room_id]

    assert entry["account_data"]["events"] == [{"type": "m.fully_read", "content": {"event_id": second}}]
    assert list(entry["ephemeral"]["events"][0]["content"]) == [first]
    await mark(alice, room_id, first, "m.fully_read")
    path = f"/v3/user/{alice.user_id}/rooms/{room_id}/account_data/m.fully_read"
    assert await alice.get(path) == {"event_id": second}


async def test_messages_count_until_they_are_read(alice: Client, bob: Client, room_id: str) -> None:
    first = await alice.send(room_id, "one")
    second = await alice.send(room_id, {"body": "two", "m.mentions": {"user_ids": [bob.user_id]}})
    await alice.send(room_id, {"msgtype": "m.notice", "body": "quiet"})
    assert await unread(bob, room_id) == (2, 1)
    assert await unread(alice, room_id) == (0, 0)

    since = (await bob.sync())["next_batch"]
    await mark(bob, room_id, first)
    entry = (await bob.sync(since))["rooms"]["join"][room_id]
    assert entry["unread_notifications"] == {"notification_count": 1, "highlight_count": 1}

    await mark(bob, room_id, second, "m.read.private")
    assert await unread(bob, room_id) == (0, 0)


async def test_a_count_changes_even_for_what_a_filter_hides(alice: Client, bob: Client, room_id: str) -> None:
    since = (await bob.sync())["next_batch"]
    await alice.send(room_id, "hidden")

    answer = await bob.sync(since, filter=json.dumps({"room": {"timeline": {"types": []}}}))

    assert answer["rooms"]["join"][room_id]["unread_notifications"]["notification_count"] == 1


async def test_speaking_reads(alice: Client, bob: Client, room_id: str) -> None:
    await alice.send(room_id, "one")
    await bob.send(room_id, "answer")
    await alice.send(room_id, "two")

    assert await unread(bob, room_id) == (1, 0)


async def test_threads_count_apart(alice: Client, bob: Client, room_id: str) -> None:
    root = await alice.send(room_id, "root")
    in_thread = await reply(alice, room_id, root, "first reply")
    edit = {"m.relates_to": {"rel_type": "m.reference", "event_id": in_thread}, "body": "about it"}
    about_it = await alice.send(room_id, edit)
    last = await alice.send(room_id, "main again")

    assert await unread(bob, room_id) == (4, 0)
    assert await unread(bob, room_id, threads=True) == ((2, 0), {root: (2, 0)})

    await mark(bob, room_id, last, thread_id="main")
    assert await unread(bob, room_id, threads=True) == ((0, 0), {root: (2, 0)})
    await mark(bob, room_id, in_thread, thread_id=root)
    assert await unread(bob, room_id, threads=True) == ((0, 0), {root: (1, 0)})
    await mark(bob, room_id, about_it)
    assert await unread(bob, room_id, threads=True) == ((0, 0), {})


async def test_redacted_events_notify_nobody(alice: Client, bob: Client, room_id: str) -> None:
    event_id = await alice.send(room_id, "oops")
    await alice.redact(room_id, event_id)

    assert await unread(bob, room_id) == (0, 0)


async def test_coming_back_starts_from_nothing(alice: Client, bob: Client, room_id: str) -> None:
    await alice.send(room_id, "one")
    await bob.leave(room_id)
    await bob.join(room_id)

    assert await unread(bob, room_id) == (0, 0)
