"""GET /mutual_rooms: which rooms two users share."""

import pytest

from helpers.homeserver import Client, TestServer


async def test_shared_are_rooms_that_both_are_joined_to(alice: Client, bob: Client) -> None:
    both, alone, invited, left = [await alice.create_room(preset="public_chat") for _ in range(4)]
    await bob.join(both)
    await bob.join(left)
    await bob.leave(left)
    await alice.invite(invited, bob)
    await bob.create_room()

    assert await alice.get("/v1/mutual_rooms", user_id=bob.user_id) == {"joined": [both], "count": 1}
    assert await bob.get("/v1/mutual_rooms", user_id=alice.user_id) == {"joined": [both], "count": 1}
    assert alone not in (await bob.get("/v1/mutual_rooms", user_id=alice.user_id))["joined"]


async def test_many_come_in_pages(alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabstead.client_api.mutual_rooms.PAGE", 2)
    rooms = [await alice.create_room(preset="public_chat") for _ in range(4)]
    for room_id in rooms:
        await bob.join(room_id)

    first = await alice.get("/v1/mutual_rooms", user_id=bob.user_id)
    second = await alice.get("/v1/mutual_rooms", user_id=bob.user_id, **{"from": first["next_batch"]})
    assert (first["count"], second["count"]) == (4, 4)
    assert (first["joined"], second["joined"]) == (rooms[:2], rooms[2:])
    assert "next_batch" not in second


async def test_who_can_be_asked_about(server: TestServer, alice: Client) -> None:
    assert await alice.get("/v1/mutual_rooms", user_id="@nobody:tab.test") == {"joined": [], "count": 0}
    assert await alice.refused("GET", "/v1/mutual_rooms") == (400, "M_MISSING_PARAM")
    for query in ({"user_id": alice.user_id}, {"user_id": "bob"}, {"user_id": "@nobody:tab.test", "from": "x"}):
        assert await alice.refused("GET", "/v1/mutual_rooms", **query) == (400, "M_INVALID_PARAM")
    guest = await server.register_guest()
    refused = await guest.refused("GET", "/v1/mutual_rooms", user_id=alice.user_id)
    assert refused == (403, "M_GUEST_ACCESS_FORBIDDEN")
