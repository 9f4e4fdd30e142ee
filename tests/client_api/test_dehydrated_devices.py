"""Devices that no client runs (MSC3814)."""

from typing import Any

import pytest

from helpers.homeserver import Client, TestServer
from helpers.key_owner import DeviceKeys

PATH = "/unstable/org.matrix.msc3814.v1/dehydrated_device"


@pytest.fixture
async def alice(server: TestServer) -> Client:
    return await server.register("alice", "rosebud")


def dehydrated(alice: Client, device_id: str = "SLEEPER", **more: Any) -> dict[str, Any]:
    sleeper = DeviceKeys.of(Client(server=alice.server, user_id=alice.user_id, device_id=device_id))
    return {
        "device_id": device_id,
        "device_data": {"algorithm": "org.example", "secret": "encrypted"},
        "initial_device_display_name": "Dehydrated",
        "device_keys": sleeper.signed,
        "one_time_keys": sleeper.one_time_keys("AAAA"),
        **more,
    }


async def tell(sender: Client, receiver: Client, device_id: str, number: int) -> None:
    content = {"messages": {receiver.user_id: {device_id: {"number": number}}}}
    await sender.put(f"/v3/sendToDevice/m.test/{number}", content)


async def test_it_is_made_found_and_removed(alice: Client) -> None:
    assert await alice.refused("GET", PATH) == (404, "M_NOT_FOUND")
    assert await alice.put(PATH, dehydrated(alice)) == {"device_id": "SLEEPER"}
    found = await alice.get(PATH)
    assert found == {"device_id": "SLEEPER", "device_data": {"algorithm": "org.example", "secret": "encrypted"}}
    assert await alice.delete(PATH) == {"device_id": "SLEEPER"}
    assert await alice.refused("GET", PATH) == (404, "M_NOT_FOUND")
    assert (await alice.get("/versions"))["unstable_features"]["org.matrix.msc3814"] is True


async def test_others_see_a_device_with_keys(alice: Client, bob: Client) -> None:
    await alice.put(PATH, dehydrated(alice))
    queried = await bob.post("/v3/keys/query", {"device_keys": {alice.user_id: []}})
    assert "SLEEPER" in queried["device_keys"][alice.user_id]
    claimed = await bob.post("/v3/keys/claim", {"one_time_keys": {alice.user_id: {"SLEEPER": "signed_curve25519"}}})
    assert claimed["one_time_keys"][alice.user_id]["SLEEPER"]


async def test_what_it_was_sent_is_fetched_in_pages(alice: Client, bob: Client) -> None:
    await alice.put(PATH, dehydrated(alice))
    for number in range(102):
        await tell(bob, alice, "SLEEPER", number)
    numbers: list[int] = []
    body: dict[str, Any] = {}
    for expected in (100, 2, 0):
        page = await alice.post(f"{PATH}/SLEEPER/events", body)
        assert len(page["events"]) == expected
        numbers += [event["content"]["number"] for event in page["events"]]
        body = {"next_batch": page["next_batch"]}
    assert numbers == list(range(102))
    assert await alice.refused("POST", f"{PATH}/OTHER/events", {}) == (404, "M_NOT_FOUND")
    assert await alice.refused("POST", f"{PATH}/SLEEPER/events", {"next_batch": "x"}) == (400, "M_INVALID_PARAM")


async def test_what_it_was_sent_is_fetched_until_no_page_follows(alice: Client, bob: Client) -> None:
    await alice.put(PATH, dehydrated(alice))
    for number in range(101):
        await tell(bob, alice, "SLEEPER", number)
    first = await alice.get(f"{PATH}/SLEEPER/events")
    last = await alice.get(f"{PATH}/SLEEPER/events", **{"from": first["next_batch"]})
    assert [event["content"]["number"] for event in first["events"] + last["events"]] == list(range(101))
    assert "next_batch" not in last
    assert await alice.refused("GET", f"{PATH}/OTHER/events") == (404, "M_NOT_FOUND")
    assert await alice.refused("GET", f"{PATH}/SLEEPER/events", **{"from": "x"}) == (400, "M_INVALID_PARAM")


async def test_a_new_one_takes_the_place_of_the_old(alice: Client, bob: Client) -> None:
    await alice.put(PATH, dehydrated(alice))
    await tell(bob, alice, "SLEEPER", 1)
    await alice.put(PATH, dehydrated(alice, "SECOND"))
    assert (await alice.get(PATH))["device_id"] == "SECOND"
    queried = await bob.post("/v3/keys/query", {"device_keys": {alice.user_id: []}})
    assert set(queried["device_keys"][alice.user_id]) == {"SECOND"}


async def test_it_can_be_logged_out_like_any_other(alice: Client) -> None:
    await alice.put(PATH, dehydrated(alice))
    auth = {"type": "m.login.password", "user": "alice", "password": "rosebud"}
    await alice.post("/v3/delete_devices", {"devices": ["SLEEPER"], "auth": auth})
    assert await alice.refused("GET", PATH) == (404, "M_NOT_FOUND")


async def test_a_running_device_can_not_be_dehydrated(alice: Client) -> None:
    refused = await alice.refused("PUT", PATH, dehydrated(alice, alice.device_id))
    assert refused == (400, "M_INVALID_PARAM")
    await alice.get("/v3/account/whoami")


@pytest.mark.parametrize("missing", ["device_id", "device_data", "device_keys"])
async def test_what_must_be_there(alice: Client, missing: str) -> None:
    body = {key: value for key, value in dehydrated(alice).items() if key != missing}
    assert await alice.refused("PUT", PATH, body) == (400, "M_MISSING_PARAM")
