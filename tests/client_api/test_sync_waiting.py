"""GET /sync: waiting for news."""

import asyncio
import json
from pathlib import Path

import pytest

from helpers.homeserver import Client, Json, TestServer, bodies, quoted

LONG = 60_000
"""Milliseconds that no test waits for: it is answered before, or hangs."""


async def parked(client: Client, since: str, **query: object) -> "asyncio.Task[Json]":
    """A sync that has looked once and waits."""
    task = asyncio.create_task(client.sync(since, timeout=LONG, **query))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_a_message_ends_the_wait(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    waiting = await parked(bob, (await bob.sync())["next_batch"])

    await alice.send(room_id, "hello")

    timeline = (await waiting)["rooms"]["join"][room_id]["timeline"]
    assert bodies(timeline["events"]) == ["hello"]


async def test_what_others_do_elsewhere_does_not_end_it(alice: Client, bob: Client) -> None:
    waiting = await parked(bob, (await bob.sync())["next_batch"])

    room_id = await alice.create_room()
    await alice.send(room_id, "hello, me")
    await asyncio.sleep(0.05)

    assert not waiting.done()
    await alice.invite(room_id, bob)
    assert room_id in (await waiting)["rooms"]["invite"]


async def test_what_a_filter_keeps_away_does_not_end_it(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    since = (await bob.sync())["next_batch"]
    waiting = await parked(bob, since, filter=json.dumps({"room": {"not_rooms": [room_id]}}))

    await alice.send(room_id, "hello")
    await asyncio.sleep(0.05)

    assert not waiting.done()
    waiting.cancel()


async def test_time_that_is_up_gives_an_empty_answer_from_where_it_looked_last(alice: Client) -> None:
    since = (await alice.sync())["next_batch"]

    answer = await alice.sync(since, timeout=20)

    assert "rooms" not in answer
    assert "rooms" not in await alice.sync(answer["next_batch"])


async def test_the_configured_cap_ends_every_wait(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path, sync_timeout_cap_ms=20)
    alice = await server.register("alice")

    answer = await alice.sync((await alice.sync())["next_batch"], timeout=LONG)

    assert "rooms" not in answer
    await server.close()


async def test_draining_answers_those_who_wait_and_loses_nothing(
    alice: Client, bob: Client, server: TestServer
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    waiting = await parked(bob, (await bob.sync())["next_batch"])

    server.homeserver.drain()
    answer = await waiting
    assert "rooms" not in answer

    await server.restart()
    await alice.send(room_id, "hello again")
    timeline = (await bob.sync(answer["next_batch"]))["rooms"]["join"][room_id]["timeline"]
    assert bodies(timeline["events"]) == ["hello again"]


async def test_typing_ends_the_wait_and_fades_by_itself(alice: Client, bob: Client, server: TestServer) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    waiting = await parked(bob, (await bob.sync())["next_batch"])

    path = f"/v3/rooms/{room_id}/typing/{quoted(alice.user_id)}"
    await alice.put(path, {"typing": True, "timeout": 20_000})
    answer = await waiting
    assert typing_in(answer, room_id) == [alice.user_id]

    server.clock.now += 20_000
    answer = await bob.sync(answer["next_batch"], timeout=LONG)
    assert typing_in(answer, room_id) == []


async def test_a_restart_takes_typing_back(alice: Client, bob: Client, server: TestServer) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    await alice.put(f"/v3/rooms/{room_id}/typing/{quoted(alice.user_id)}", {"typing": True, "timeout": 20_000})
    shown = await bob.sync()
    assert typing_in(shown, room_id) == [alice.user_id]

    await server.restart()

    answer = await bob.sync(shown["next_batch"])
    assert typing_in(answer, room_id) == []
    assert "rooms" not in await bob.sync(answer["next_batch"])


async def test_a_restart_is_no_news_to_who_saw_nobody_type(alice: Client, bob: Client, server: TestServer) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    since = (await bob.sync())["next_batch"]

    await server.restart()

    assert "rooms" not in await bob.sync(since)


def typing_in(answer: Json, room_id: str) -> list[str]:
    events = answer["rooms"]["join"][room_id]["ephemeral"]["events"]
    (typing,) = (event for event in events if event["type"] == "m.typing")
    user_ids: list[str] = typing["content"]["user_ids"]
    return user_ids


async def test_only_who_is_joined_may_type(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    path = f"/v3/rooms/{room_id}/typing/{quoted(bob.user_id)}"
    assert await bob.refused("PUT", path, {"typing": True}) == (403, "M_FORBIDDEN")
    assert await alice.refused("PUT", path, {"typing": True}) == (403, "M_FORBIDDEN")


@pytest.mark.parametrize("path", ["/v3/logout", "/v3/logout/all"])
async def test_logging_out_ends_the_wait_of_the_device(server: TestServer, alice: Client, path: str) -> None:
    waiting = asyncio.create_task(
        alice.refused("GET", "/v3/sync", since=(await alice.sync())["next_batch"], timeout=LONG)
    )
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()

    await alice.post(path)

    assert await waiting == (401, "M_UNKNOWN_TOKEN")


async def test_logging_out_ends_no_other_device_s_wait(server: TestServer) -> None:
    phone = await server.register("carol", "password of carol")
    laptop = await server.log_in("carol", "password of carol")
    waiting = await parked(laptop, (await laptop.sync())["next_batch"])

    await phone.post("/v3/logout")
    await asyncio.sleep(0.05)

    assert not waiting.done()
    waiting.cancel()


async def test_a_timeout_beyond_all_measure_is_cut(alice: Client) -> None:
    since = (await alice.sync())["next_batch"]
    endless = asyncio.create_task(alice.sync(since, timeout=10**400))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not endless.done()
    endless.cancel()
    assert await alice.refused("GET", "/v3/sync", since=since, timeout="soon") == (400, "M_INVALID_PARAM")
    assert "rooms" not in await alice.sync(since, timeout=-1)
