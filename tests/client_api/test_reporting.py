"""Reports of rooms, events and users, and the administrators who read them."""

import pytest

from helpers.homeserver import Client, TestServer
from tabstead.rooms.reports import MAX_REASON_CHARACTERS

REPORTS = "/_tabstead/admin/v1/reports"
NOT_FOUND = (404, "M_NOT_FOUND")


@pytest.fixture
async def admin(server: TestServer) -> Client:
    return await server.register_admin("admin")


async def test_administrators_read_what_was_reported_the_newest_first(
    alice: Client, bob: Client, admin: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    event_id = await alice.send(room_id, "rude")
    await bob.post(f"/v3/rooms/{room_id}/report/{event_id}", {"reason": "This is rude.", "score": -100})
    await bob.post(f"/v3/rooms/{room_id}/report", {"reason": "All of it is."})
    await bob.post(f"/v3/users/{alice.user_id}/report", {"reason": ""})
    of_user, of_room, of_event = (await admin.get(REPORTS))["reports"]
    assert {report["reporter"] for report in (of_user, of_room, of_event)} == {bob.user_id}
    assert (of_event["room_id"], of_event["event_id"], of_event["user_id"]) == (room_id, event_id, alice.user_id)
    assert of_event["reason"] == "This is rude."
    assert of_room["room_id"] == room_id and "event_id" not in of_room and "user_id" not in of_room
    assert of_user["user_id"] == alice.user_id and "room_id" not in of_user


async def test_they_page_through_them_and_strike_off_what_is_done(alice: Client, bob: Client, admin: Client) -> None:
    for number in range(5):
        await alice.post(f"/v3/users/{bob.user_id}/report", {"reason": str(number)})
    first = await admin.get(REPORTS, limit=2)
    second = await admin.get(REPORTS, limit=2, **{"from": first["next_batch"]})
    last = await admin.get(REPORTS, limit=2, **{"from": second["next_batch"]})
    pages = [first, second, last]
    assert [[report["reason"] for report in page["reports"]] for page in pages] == [["4", "3"], ["2", "1"], ["0"]]
    assert "next_batch" not in last
    done = last["reports"][0]["id"]
    await admin.delete(f"{REPORTS}/{done}")
    assert await admin.refused("DELETE", f"{REPORTS}/{done}") == NOT_FOUND
    assert len((await admin.get(REPORTS))["reports"]) == 4


async def test_nobody_else_reads_them(alice: Client) -> None:
    assert await alice.refused("GET", REPORTS) == (403, "M_FORBIDDEN")
    assert await alice.refused("DELETE", f"{REPORTS}/1") == (403, "M_FORBIDDEN")


async def test_an_event_is_reported_by_who_is_there_to_see_it(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    event_id = await alice.send(room_id, "rude")
    other_room = await alice.create_room()
    assert await bob.refused("POST", f"/v3/rooms/{room_id}/report/{event_id}", {}) == NOT_FOUND
    assert await alice.refused("POST", f"/v3/rooms/{other_room}/report/{event_id}", {}) == NOT_FOUND
    assert await alice.refused("POST", f"/v3/rooms/{room_id}/report/$nothing", {}) == NOT_FOUND
    await alice.post(f"/v3/rooms/{room_id}/report/{event_id}", {})


async def test_rooms_and_users_are_reported_from_anywhere(alice: Client, bob: Client) -> None:
    private = await alice.create_room()
    await bob.post(f"/v3/rooms/{private}/report", {"reason": "I was told of it."})
    await bob.post(f"/v3/users/{alice.user_id}/report", {"reason": "She made it."})
    assert await bob.refused("POST", "/v3/rooms/!nowhere:tab.test/report", {"reason": ""}) == NOT_FOUND
    assert await bob.refused("POST", "/v3/users/@nobody:tab.test/report", {"reason": ""}) == NOT_FOUND
    assert await bob.refused("POST", f"/v3/rooms/{private}/report", {}) == (400, "M_MISSING_PARAM")


async def test_a_reason_is_no_book(alice: Client, bob: Client) -> None:
    path = f"/v3/users/{bob.user_id}/report"
    await alice.post(path, {"reason": "x" * MAX_REASON_CHARACTERS})
    assert await alice.refused("POST", path, {"reason": "x" * (MAX_REASON_CHARACTERS + 1)}) == (400, "M_INVALID_PARAM")
