"""Subscribing to threads: MSC4306 with its push rules, and what sliding sync and MSC4308 tell of it."""

import asyncio
from typing import Any

import pytest

from helpers.homeserver import Client, Json, TestServer, quoted

BASE = "/unstable/io.element.msc4306/rooms"
CHANGES = "/unstable/io.element.msc4308/thread_subscriptions"
SLIDING = "/unstable/org.matrix.simplified_msc3575/sync"
EXTENSION = "io.element.msc4308.thread_subscriptions"
PREFIX = ".io.element.msc4306.rule"


@pytest.fixture
async def room_id(alice: Client, bob: Client) -> str:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    return room_id


def path(room_id: str, thread_id: str) -> str:
    return f"{BASE}/{room_id}/thread/{quoted(thread_id)}/subscription"


async def reply(client: Client, room_id: str, thread_id: str, **content: Any) -> str:
    relation = {"rel_type": "m.thread", "event_id": thread_id}
    return await client.send(room_id, {"msgtype": "m.text", "body": "reply", "m.relates_to": relation, **content})


async def test_a_subscription_is_made_read_and_given_up(alice: Client, bob: Client, room_id: str) -> None:
    thread = path(room_id, await alice.send(room_id, "root"))
    assert await bob.refused("GET", thread) == (404, "M_NOT_FOUND")
    await bob.put(thread, {})
    assert await bob.get(thread) == {"automatic": False}
    assert await alice.refused("GET", thread) == (404, "M_NOT_FOUND")
    for _ in range(2):
        await bob.delete(thread)
    assert await bob.refused("GET", thread) == (404, "M_NOT_FOUND")


async def test_a_client_that_subscribes_by_itself_names_the_cause(alice: Client, bob: Client, room_id: str) -> None:
    root = await alice.send(room_id, "root")
    thread, elsewhere = path(room_id, root), await alice.send(room_id, "elsewhere")
    cause = await reply(alice, room_id, root)

    wrong = await bob.refused("PUT", thread, {"automatic": elsewhere})
    assert wrong == (400, "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD")
    await bob.put(thread, {"automatic": cause})
    assert await bob.get(thread) == {"automatic": True}
    await bob.put(thread, {})
    await bob.put(thread, {"automatic": cause})
    assert await bob.get(thread) == {"automatic": False}, "by hand counts for more"

    await bob.delete(thread)
    conflict = await bob.refused("PUT", thread, {"automatic": cause})
    assert conflict == (409, "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION")
    await bob.put(thread, {"automatic": await reply(alice, room_id, root)})
    assert await bob.get(thread) == {"automatic": True}


async def test_only_threads_that_one_may_see(alice: Client, bob: Client, server: TestServer, room_id: str) -> None:
    carol = await server.register("carol")
    root = await alice.send(room_id, "root")
    for method, body in (("PUT", {}), ("GET", None), ("DELETE", None)):
        assert await carol.refused(method, path(room_id, root), body) == (404, "M_NOT_FOUND")
        assert await bob.refused(method, path(room_id, "$nothing"), body) == (404, "M_NOT_FOUND")


async def counts(client: Client, room_id: str) -> dict[str, int]:
    """Notifications by thread; the main timeline's under ""."""
    filters = '{"room": {"timeline": {"unread_thread_notifications": true}}}'
    room = (await client.sync(filter=filters))["rooms"]["join"][room_id]
    threads = room.get("unread_thread_notifications", {})
    main = room["unread_notifications"]["notification_count"]
    return {"": main, **{root: found["notification_count"] for root, found in threads.items()}}


async def test_subscribers_hear_of_their_threads_alone(alice: Client, bob: Client, room_id: str) -> None:
    mine, other = await alice.send(room_id, "mine"), await alice.send(room_id, "other")
    await bob.put(path(room_id, mine), {})
    quiet: Json = {"actions": []}
    await bob.put(f"/v3/pushrules/global/room/{quoted(room_id)}", quiet)
    for root in (mine, other):
        await reply(alice, room_id, root)
    assert await counts(bob, room_id) == {"": 2, mine: 1}
    await reply(alice, room_id, other, **{"m.mentions": {"user_ids": [bob.user_id]}})
    assert await counts(bob, room_id) == {"": 2, mine: 1, other: 1}


async def test_who_never_subscribed_hears_of_all_threads_and_has_no_such_rules(
    alice: Client, bob: Client, room_id: str
) -> None:
    root = await alice.send(room_id, "root")
    await reply(alice, room_id, root)
    assert await counts(bob, room_id) == {"": 1, root: 1}
    assert "postcontent" not in (await bob.get("/v3/pushrules/"))["global"]


async def test_the_rules_can_be_changed_and_no_others_of_their_kind_made(
    alice: Client, bob: Client, room_id: str
) -> None:
    root = await alice.send(room_id, "root")
    await bob.put(path(room_id, root), {})
    ruleset = (await bob.get("/v3/pushrules/"))["global"]
    assert list(ruleset)[:4] == ["override", "content", "postcontent", "room"]
    assert [rule["rule_id"] for rule in ruleset["postcontent"]] == [
        f"{PREFIX}.unsubscribed_thread",
        f"{PREFIX}.subscribed_thread",
    ]
    rule = f"/v3/pushrules/global/postcontent/{PREFIX}.subscribed_thread"
    await bob.put(f"{rule}/enabled", {"enabled": False})
    assert await bob.get(f"{rule}/enabled") == {"enabled": False}
    own = await bob.refused("PUT", "/v3/pushrules/global/postcontent/own", {"actions": [], "conditions": []})
    assert own == (400, "M_INVALID_PARAM")


async def test_sliding_sync_tells_what_changed(alice: Client, bob: Client, room_id: str) -> None:
    first, second, third = [await alice.send(room_id, str(number)) for number in range(3)]
    for root in (first, second, third):
        await bob.put(path(room_id, root), {})

    async def sync(pos: str | None = None, **query: Any) -> Json:
        wanted = {EXTENSION: {"enabled": True, "limit": 2}}
        answer: Json = await bob.request(
            "POST", SLIDING, {"extensions": wanted}, **query, **({} if pos is None else {"pos": pos})
        )
        return answer

    answer = await sync()
    told = answer["extensions"][EXTENSION]
    assert set(told["subscribed"][room_id]) == {second, third}
    assert told["subscribed"][room_id][third]["automatic"] is False
    page = await bob.get(CHANGES, dir="b", **{"from": told["prev_batch"]})
    assert set(page["subscribed"][room_id]) == {first} and "end" not in page

    waiting = asyncio.create_task(sync(answer["pos"], timeout=60_000))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    await bob.delete(path(room_id, second))
    changed = (await waiting)["extensions"][EXTENSION]
    assert set(changed["unsubscribed"][room_id]) == {second} and "subscribed" not in changed


async def test_changes_are_listed_backwards(alice: Client, bob: Client, room_id: str) -> None:
    roots = [await alice.send(room_id, str(number)) for number in range(3)]
    for root in roots:
        await bob.put(path(room_id, root), {})
    page = await bob.get(CHANGES, dir="b", limit=2)
    assert set(page["subscribed"][room_id]) == set(roots[1:])
    last = await bob.get(CHANGES, dir="b", limit=2, **{"from": page["end"]})
    assert set(last["subscribed"][room_id]) == {roots[0]}
    for query in ({"dir": "f"}, {"dir": "b", "limit": 0}):
        assert await bob.refused("GET", CHANGES, **query) == (400, "M_INVALID_PARAM")
    assert await bob.refused("GET", CHANGES) == (400, "M_MISSING_PARAM")
