"""Events that are sent later (MSC4140)."""

import asyncio
from typing import Any

import pytest

from helpers.homeserver import Client, Json, TestServer, bodies, quoted
from tabstead.rooms.delayed_events import KEPT_FINALISED_MS, MAX_DELAY_MS, MAX_SCHEDULED, DelayedEvents

EVENTS = "/unstable/org.matrix.msc4140/delayed_events"
DELAY = "org.matrix.msc4140.delay"
HELLO = {"msgtype": "m.text", "body": "hello"}


async def schedule(client: Client, room_id: str, delay_ms: int = 10_000, txn: str = "t1", body: Json = HELLO) -> str:
    path = f"/v3/rooms/{room_id}/send/m.room.message/{txn}"
    return str((await client.put(path, body, **{DELAY: delay_ms}))["delay_id"])


async def work(server: TestServer) -> int | None:
    """Let the follower send what is due."""
    (follower,) = (one for one in server.homeserver.build_followers() if isinstance(one, DelayedEvents))
    return await follower.work()


async def said(client: Client, room_id: str) -> list[str]:
    return bodies((await client.messages(room_id, "f", limit=100))["chunk"])


async def scheduled(client: Client) -> list[Json]:
    found: list[Json] = (await client.get(EVENTS))["delayed_events"]
    return found


async def test_an_event_is_sent_when_its_time_has_come_and_not_before(alice: Client, server: TestServer) -> None:
    room_id = await alice.create_room()
    delay_id = await schedule(alice, room_id)
    due = await work(server)
    assert await said(alice, room_id) == []
    (listed,) = await scheduled(alice)
    assert (listed["delay_id"], listed["room_id"], listed["delay_ms"]) == (delay_id, room_id, 10_000)
    assert listed["content"] == HELLO and "state_key" not in listed
    assert listed["scheduled_at"] + listed["delay_ms"] == due

    server.clock.now += 10_000
    assert await work(server) is None
    assert await said(alice, room_id) == ["hello"]
    assert await scheduled(alice) == []
    sent = await alice.get(f"{EVENTS}/{delay_id}")
    assert (await alice.get(f"/v3/rooms/{room_id}/event/{quoted(sent['event_id'])}"))["content"] == HELLO


async def test_what_was_due_while_the_server_was_away_is_sent_in_order(alice: Client, server: TestServer) -> None:
    room_id = await alice.create_room()
    for number, delay in enumerate((30_000, 10_000, 20_000)):
        await schedule(alice, room_id, delay, f"t{number}", {"msgtype": "m.text", "body": str(delay)})
    await server.close()
    server.clock.now += 60_000
    await server.start()
    await work(server)
    assert await said(alice, room_id) == ["10000", "20000", "30000"]


async def test_a_server_that_runs_sends_by_itself_and_wakes_who_waits(alice: Client, server: TestServer) -> None:
    room_id = await alice.create_room()
    since = (await alice.sync())["next_batch"]
    following = asyncio.create_task(server.homeserver.follow())
    waiting = asyncio.create_task(alice.sync(since, timeout=60_000))
    await schedule(alice, room_id, 20)
    timeline = (await waiting)["rooms"]["join"][room_id]["timeline"]["events"]
    assert bodies(timeline) == ["hello"]
    server.homeserver.drain()
    await following


async def test_a_repeated_request_schedules_once(alice: Client) -> None:
    room_id = await alice.create_room()
    assert await schedule(alice, room_id) == await schedule(alice, room_id)
    assert await schedule(alice, room_id, txn="t2") != await schedule(alice, room_id)
    assert len(await scheduled(alice)) == 2


async def test_state_and_the_endpoint_of_the_newer_form(alice: Client, server: TestServer) -> None:
    room_id = await alice.create_room()
    await alice.put(f"/v3/rooms/{room_id}/state/m.room.topic/", {"topic": "later"}, **{DELAY: 5_000})
    base = f"/unstable/org.matrix.msc4140/rooms/{room_id}/delayed_event"
    body = {"delay_ms": 6_000, "state_key": "", "content": {"name": "Later"}}
    await alice.put(f"{base}/m.room.name/t1", body)
    assert [event["state_key"] for event in await scheduled(alice)] == ["", ""]
    server.clock.now += 6_000
    await work(server)
    assert (await alice.state(room_id, "m.room.topic"))["topic"] == "later"
    assert (await alice.state(room_id, "m.room.name"))["name"] == "Later"


@pytest.mark.parametrize("form", ["path", "body"])
async def test_a_user_may_cancel_restart_and_send_at_once(alice: Client, server: TestServer, form: str) -> None:
    room_id = await alice.create_room()

    async def act(delay_id: str, action: str) -> tuple[int, str]:
        path, body = (
            (f"{EVENTS}/{delay_id}/{action}", {}) if form == "path" else (f"{EVENTS}/{delay_id}", {"action": action})
        )
        answer = await alice.answer("POST", path, body)
        return answer.status, answer.json.get("errcode", "")

    cancelled, sent = await schedule(alice, room_id, txn="c"), await schedule(alice, room_id, txn="s")
    restarted = await schedule(alice, room_id, 10_000, "r", {"msgtype": "m.text", "body": "restarted"})
    assert [await act(cancelled, "cancel"), await act(cancelled, "cancel")] == [(200, "")] * 2
    assert await act(cancelled, "send") == await act(cancelled, "restart") == (409, "M_UNKNOWN")
    assert [await act(sent, "send"), await act(sent, "send")] == [(200, "")] * 2
    assert await act(sent, "cancel") == await act(sent, "restart") == (409, "M_UNKNOWN")
    assert await said(alice, room_id) == ["hello"]

    server.clock.now += 9_000
    assert await act(restarted, "restart") == (200, "")
    server.clock.now += 9_000
    await work(server)
    assert await said(alice, room_id) == ["hello"]
    server.clock.now += 2_000
    await work(server)
    assert await said(alice, room_id) == ["hello", "restarted"]
    assert await act("nothing", "send") == (404, "M_NOT_FOUND")


async def test_an_event_that_may_not_be_sent_is_finalised_with_the_reason(
    alice: Client, bob: Client, server: TestServer
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    delay_id = await schedule(bob, room_id)
    await alice.post(f"/v3/rooms/{room_id}/kick", {"user_id": bob.user_id})
    assert await bob.refused("POST", f"{EVENTS}/{delay_id}/send", {}) == (403, "M_FORBIDDEN")
    assert len(await scheduled(bob)) == 1, "it stays scheduled until its time"

    server.clock.now += 10_000
    await work(server)
    outcome = await bob.get(f"{EVENTS}/{delay_id}")
    assert outcome["error"]["errcode"] == "M_FORBIDDEN"
    assert "event_id" not in outcome and "finalised_ts" in outcome
    finalised = (await bob.get(EVENTS))["finalised"]
    assert [one["delayed_event"]["delay_id"] for one in finalised] == [delay_id]
    assert await alice.refused("GET", f"{EVENTS}/{delay_id}") == (404, "M_NOT_FOUND")

    server.clock.now += KEPT_FINALISED_MS
    await schedule(bob, await bob.create_room())
    assert await bob.refused("GET", f"{EVENTS}/{delay_id}") == (404, "M_NOT_FOUND")


async def test_the_limits_that_capabilities_tell(alice: Client, server: TestServer) -> None:
    room_id = await alice.create_room()
    limits = (await alice.get("/v3/capabilities"))["capabilities"]["org.matrix.msc4140.delayed_events"]
    assert limits == {"max_delay_ms": MAX_DELAY_MS, "max_scheduled": MAX_SCHEDULED}
    path = f"/v3/rooms/{room_id}/send/m.room.message/t"

    async def refused(delay: Any) -> tuple[int, str]:
        return await alice.refused("PUT", path, HELLO, **{DELAY: delay})

    assert await refused(MAX_DELAY_MS + 1) == (403, "M_FORBIDDEN")
    for wrong in (0, -1, "soon"):
        assert await refused(wrong) == (400, "M_INVALID_PARAM")
    for number in range(MAX_SCHEDULED):
        await schedule(alice, room_id, txn=str(number))
    answer = await alice.answer("PUT", path, HELLO, **{DELAY: 5_000})
    assert (answer.status, answer.json["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    assert 0 < int(answer.headers["Retry-After"]) <= 10
    assert (await server.anonymous().get("/versions"))["unstable_features"]["org.matrix.msc4140"] is True
