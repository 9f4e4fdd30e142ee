"""The first clients' way: the whole state once, then events one after another; and peeking into rooms."""

import asyncio
from typing import Any

from helpers.homeserver import Client, bodies

READABLE = {"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}}


async def events(client: Client, start: str, **query: Any) -> dict[str, Any]:
    page: dict[str, Any] = await client.get("/v3/events", **{"from": start, **query})
    return page


async def initial_sync(client: Client, **query: Any) -> dict[str, Any]:
    synced: dict[str, Any] = await client.get("/v3/initialSync", **query)
    return synced


class TestInitialSync:
    async def test_it_has_rooms_with_state_and_the_last_messages(self, alice: Client, bob: Client) -> None:
        room_id = await alice.create_room(preset="public_chat", name="The square", visibility="public")
        await bob.join(room_id)
        for number in range(3):
            await alice.send(room_id, str(number))
        await bob.put(f"/v3/user/{bob.user_id}/rooms/{room_id}/account_data/org.example.note", {"text": "mine"})
        (room,) = (await initial_sync(bob, limit=2))["rooms"]
        assert (room["room_id"], room["membership"], room["visibility"]) == (room_id, "join", "public")
        assert bodies(room["messages"]["chunk"]) == ["1", "2"]
        assert {event["content"].get("name") for event in room["state"]} >= {"The square"}
        assert room["account_data"] == [{"type": "org.example.note", "content": {"text": "mine"}}]
        earlier = await bob.messages(room_id, **{"from": room["messages"]["start"], "limit": 1})
        assert bodies(earlier["chunk"]) == ["0"]

    async def test_it_has_invites_and_left_rooms_if_asked_for(self, alice: Client, bob: Client) -> None:
        invited, left = await alice.create_room(invite=[bob.user_id]), await alice.create_room(preset="public_chat")
        await bob.join(left)
        await alice.send(left, "seen")
        await bob.leave(left)
        await alice.send(left, "unseen")
        (invite,) = (await initial_sync(bob))["rooms"]
        assert (invite["room_id"], invite["membership"]) == (invited, "invite")
        assert invite["invite"]["sender"] == alice.user_id and "state" not in invite
        rooms = {room["room_id"]: room for room in (await initial_sync(bob, archived=True))["rooms"]}
        assert rooms[left]["membership"] == "leave"
        assert bodies(rooms[left]["messages"]["chunk"]) == ["seen"]

    async def test_it_has_presence_and_push_rules(self, alice: Client) -> None:
        await alice.put(f"/v3/presence/{alice.user_id}/status", {"presence": "online"})
        synced = await initial_sync(alice)
        assert [event["sender"] for event in synced["presence"]] == [alice.user_id]
        assert [data["type"] for data in synced["account_data"]] == ["m.push_rules"]

    async def test_a_limit_is_a_number_and_not_negative(self, alice: Client) -> None:
        assert await alice.refused("GET", "/v3/initialSync", limit=-1) == (400, "M_INVALID_PARAM")


class TestEvents:
    async def test_what_happens_in_ones_rooms_comes_in_its_order(self, alice: Client, bob: Client) -> None:
        one, other = await alice.create_room(preset="public_chat"), await alice.create_room(preset="public_chat")
        await bob.join(one)
        await bob.join(other)
        start = (await initial_sync(bob))["end"]
        for number, room_id in enumerate((one, other, one)):
            await alice.send(room_id, str(number))
        await alice.send(await alice.create_room(), "not bob's")
        page = await events(bob, start)
        assert bodies(page["chunk"]) == ["0", "1", "2"]
        assert [event["room_id"] for event in page["chunk"]] == [one, other, one]
        assert (await events(bob, page["end"]))["chunk"] == []

    async def test_many_come_in_pages_that_lose_none(self, alice: Client, bob: Client) -> None:
        rooms = [await alice.create_room(preset="public_chat") for _ in range(2)]
        for room_id in rooms:
            await bob.join(room_id)
        token = (await initial_sync(bob))["end"]
        for number in range(130):
            await alice.send(rooms[number % 2], str(number))
        told: list[str] = []
        while (page := await events(bob, token))["chunk"]:
            told += bodies(page["chunk"])
            token = page["end"]
        assert told == [str(number) for number in range(130)]

    async def test_invites_come_and_left_rooms_end(self, alice: Client, bob: Client) -> None:
        room_id = await alice.create_room()
        start = (await initial_sync(bob))["end"]
        await alice.invite(room_id, bob)
        (invite,) = (await events(bob, start))["chunk"]
        assert (invite["content"]["membership"], invite["state_key"]) == ("invite", bob.user_id)
        await bob.join(room_id)
        await alice.send(room_id, "hello")
        await bob.leave(room_id)
        await alice.send(room_id, "behind his back")
        page = await events(bob, start)
        assert bodies(page["chunk"]) == ["hello"]
        assert page["chunk"][-1]["content"]["membership"] == "leave"

    async def test_who_waits_is_woken(self, alice: Client, bob: Client) -> None:
        room_id = await alice.create_room(preset="public_chat")
        await bob.join(room_id)
        waiting = asyncio.ensure_future(bob.get("/v3/events", timeout=30_000))
        await asyncio.sleep(0)
        while not waiting.done():
            await alice.send(room_id, "there you are")
            await asyncio.sleep(0)
        assert "there you are" in bodies((await waiting)["chunk"])

    async def test_tokens_of_the_future_are_refused(self, alice: Client) -> None:
        assert await alice.refused("GET", "/v3/events", **{"from": "t999999"}) == (400, "M_INVALID_PARAM")


class TestPeeking:
    async def test_a_readable_room_is_open_to_who_is_not_in_it(self, alice: Client, bob: Client) -> None:
        room_id = await alice.create_room(initial_state=[READABLE], preset="public_chat")
        await alice.send(room_id, "for all")
        seen = await bob.get(f"/v3/rooms/{room_id}/initialSync")
        assert "membership" not in seen and bodies(seen["messages"]["chunk"]) == ["for all"]
        await alice.send(room_id, "more")
        page = await events(bob, seen["messages"]["end"], room_id=room_id)
        assert bodies(page["chunk"]) == ["more"]
        assert (await events(bob, page["end"], room_id=room_id))["chunk"] == []

    async def test_other_rooms_are_not(self, alice: Client, bob: Client) -> None:
        room_id = await alice.create_room(preset="public_chat")
        event_id = await alice.send(room_id, "for us")
        assert await bob.refused("GET", f"/v3/rooms/{room_id}/initialSync") == (403, "M_FORBIDDEN")
        assert await bob.refused("GET", "/v3/events", room_id=room_id) == (403, "M_FORBIDDEN")
        assert await bob.refused("GET", f"/v3/events/{event_id}") == (404, "M_NOT_FOUND")
        assert (await alice.get(f"/v3/events/{event_id}"))["content"]["body"] == "for us"
