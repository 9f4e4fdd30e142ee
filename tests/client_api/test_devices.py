"""Listing, naming and deleting devices."""

from typing import Any

import pytest

from helpers.homeserver import Client, TestServer

HOUR = 60 * 60 * 1000
AUTH = {"type": "m.login.password", "user": "alice", "password": "rosebud"}


@pytest.fixture
async def alice(server: TestServer) -> Client:
    return await server.register("alice", "rosebud")


async def device(client: Client, device_id: str) -> dict[str, Any]:
    found: dict[str, Any] = await client.get(f"/v3/devices/{device_id}")
    return found


class TestReading:
    async def test_a_user_sees_their_own_devices_alone(self, server: TestServer, alice: Client) -> None:
        phone = await server.log_in("alice", "rosebud")
        bob = await server.register("bob")
        listed = [found["device_id"] for found in (await alice.get("/v3/devices"))["devices"]]
        assert listed == sorted([alice.device_id, phone.device_id])
        assert await alice.refused("GET", f"/v3/devices/{bob.device_id}") == (404, "M_NOT_FOUND")

    async def test_when_and_from_where_it_was_seen(self, server: TestServer, alice: Client) -> None:
        found = await device(alice, alice.device_id)
        assert found["last_seen_ip"] == "127.0.0.1"
        assert abs(found["last_seen_ts"] - server.clock.now) < 1000

    async def test_being_seen_is_noted_by_a_write_once_an_hour(self, server: TestServer, alice: Client) -> None:
        path, first = f"/v3/devices/{alice.device_id}", (await device(alice, alice.device_id))["last_seen_ts"]
        server.clock.now += HOUR // 2
        await alice.put(path, {})
        assert (await device(alice, alice.device_id))["last_seen_ts"] == first
        server.clock.now += HOUR
        await alice.put(path, {})
        assert (await device(alice, alice.device_id))["last_seen_ts"] >= first + HOUR


class TestNaming:
    async def test_a_device_gets_a_name(self, alice: Client) -> None:
        await alice.put(f"/v3/devices/{alice.device_id}", {"display_name": "Kitchen"})
        await alice.put(f"/v3/devices/{alice.device_id}", {})
        assert (await device(alice, alice.device_id))["display_name"] == "Kitchen"

    async def test_only_existing_devices_can_be_named(self, alice: Client) -> None:
        refused = await alice.refused("PUT", "/v3/devices/NOWHERE", {"display_name": "Kitchen"})
        assert refused == (404, "M_NOT_FOUND")

    async def test_a_name_has_an_end(self, alice: Client) -> None:
        refused = await alice.refused("PUT", f"/v3/devices/{alice.device_id}", {"display_name": "x" * 101})
        assert refused == (400, "M_INVALID_PARAM")


class TestDeleting:
    async def test_a_deleted_device_is_logged_out(self, server: TestServer, alice: Client) -> None:
        phone = await server.log_in("alice", "rosebud")
        path = f"/v3/devices/{phone.device_id}"
        answer = await alice.answer("DELETE", path)
        assert answer.status == 401
        await alice.delete(path, {"auth": {**AUTH, "session": answer.json["session"]}})
        assert await phone.refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")
        assert await alice.refused("GET", path) == (404, "M_NOT_FOUND")

    async def test_one_that_is_gone_already_is_no_error(self, alice: Client) -> None:
        await alice.delete("/v3/devices/NOWHERE", {"auth": AUTH})

    async def test_several_at_once_this_one_included(self, server: TestServer, alice: Client) -> None:
        phone = await server.log_in("alice", "rosebud")
        await alice.post("/v3/delete_devices", {"devices": [phone.device_id, alice.device_id], "auth": AUTH})
        assert await alice.refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")

    async def test_a_users_devices_can_not_be_deleted_by_another(self, server: TestServer, alice: Client) -> None:
        bob = await server.register("bob", "tulip")
        auth = {"type": "m.login.password", "user": "bob", "password": "tulip"}
        await bob.post("/v3/delete_devices", {"devices": [alice.device_id], "auth": auth})
        await alice.get("/v3/account/whoami")
