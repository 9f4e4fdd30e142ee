"""Logging in, refreshing tokens and logging out."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from helpers.homeserver import Client, TestServer

HOUR = 60 * 60 * 1000


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestServer]:
    server = await TestServer.open(tmp_path)
    await server.register("alice", "rosebud")
    yield server
    await server.close()


def password_login(user: str = "alice", password: str = "rosebud", **more: Any) -> dict[str, Any]:
    identifier = {"type": "m.id.user", "user": user}
    return {"type": "m.login.password", "identifier": identifier, "password": password, **more}


def device_of(server: TestServer, granted: dict[str, Any]) -> Client:
    return Client(server=server, user_id=granted["user_id"], access_token=granted["access_token"])


async def log_in(server: TestServer, **more: Any) -> dict[str, Any]:
    granted: dict[str, Any] = await server.anonymous().post("/v3/login", password_login(**more))
    return granted


class TestLoggingIn:
    async def test_the_flows_are_a_password_and_a_token_of_another_device(self, server: TestServer) -> None:
        flows = [{"type": "m.login.password"}, {"type": "m.login.token", "get_login_token": True}]
        assert await server.anonymous().get("/v3/login") == {"flows": flows}

    @pytest.mark.parametrize("user", ["alice", "@alice:tab.test", "ALICE", "@Alice:tab.test"])
    async def test_the_user_is_named_by_name_or_id_in_any_case(self, server: TestServer, user: str) -> None:
        granted = await log_in(server, user=user)
        assert granted["user_id"] == "@alice:tab.test"
        who = await device_of(server, granted).get("/v3/account/whoami")
        assert who == {"user_id": "@alice:tab.test", "device_id": granted["device_id"], "is_guest": False}

    async def test_older_clients_name_the_user_without_an_identifier(self, server: TestServer) -> None:
        body = {"type": "m.login.password", "user": "alice", "password": "rosebud"}
        assert (await server.anonymous().post("/r0/login", body))["user_id"] == "@alice:tab.test"

    @pytest.mark.parametrize(
        "body",
        [
            password_login(password="wrong"),
            password_login(password=""),
            password_login(password="x" * 10_000),
            password_login(user="nobody"),
            password_login(user="@alice:elsewhere.test"),
            {**password_login(), "identifier": {"type": "m.id.thirdparty", "medium": "email", "address": "a@b.c"}},
        ],
    )
    async def test_whatever_is_wrong_the_refusal_is_the_same(self, server: TestServer, body: dict[str, Any]) -> None:
        answer = await server.anonymous().answer("POST", "/v3/login", body)
        assert (answer.status, answer.json["errcode"]) == (403, "M_FORBIDDEN")
        assert answer.json["error"] == "The user name or the password is wrong."

    async def test_who_has_no_password_can_not_log_in(self, server: TestServer) -> None:
        await server.register("bob")
        body = password_login(user="bob", password="")
        assert await server.anonymous().refused("POST", "/v3/login", body) == (403, "M_FORBIDDEN")

    async def test_broken_requests_are_told_apart(self, server: TestServer) -> None:
        client = server.anonymous()
        assert await client.refused("POST", "/v3/login", {"type": "m.login.magic"}) == (400, "M_UNKNOWN")
        assert await client.refused("POST", "/v3/login", {}) == (400, "M_MISSING_PARAM")
        assert await client.refused("POST", "/v3/login", b"{") == (400, "M_NOT_JSON")
        assert await client.refused("POST", "/v3/login", password_login(device_id=7)) == (400, "M_BAD_JSON")


class TestDevices:
    async def test_a_new_device_each_time_unless_it_is_named(self, server: TestServer) -> None:
        assert (await log_in(server))["device_id"] != (await log_in(server))["device_id"]
        assert (await log_in(server, device_id="PHONE"))["device_id"] == "PHONE"

    async def test_a_known_device_keeps_its_name_and_loses_its_old_token(self, server: TestServer) -> None:
        old = await log_in(server, device_id="PHONE", initial_device_display_name="Old name")
        new = await log_in(server, device_id="PHONE", initial_device_display_name="New name")
        assert await device_of(server, old).refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")
        assert (await device_of(server, new).get("/v3/devices/PHONE"))["display_name"] == "Old name"

    async def test_a_device_of_the_same_name_of_another_user_is_another_device(self, server: TestServer) -> None:
        await server.register("bob", "tulip")
        alices = await log_in(server, device_id="PHONE")
        await log_in(server, user="bob", password="tulip", device_id="PHONE")
        await device_of(server, alices).get("/v3/account/whoami")


class TestLoggingOut:
    async def test_logging_out_ends_this_device_alone(self, server: TestServer) -> None:
        phone, laptop = device_of(server, await log_in(server)), device_of(server, await log_in(server))
        await phone.post("/v3/logout")
        assert await phone.refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")
        assert len((await laptop.get("/v3/devices"))["devices"]) == 2

    async def test_logging_out_everywhere_ends_all(self, server: TestServer) -> None:
        phone, laptop = device_of(server, await log_in(server)), device_of(server, await log_in(server))
        await phone.post("/v3/logout/all")
        assert await laptop.refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")
        again = device_of(server, await log_in(server))
        assert len((await again.get("/v3/devices"))["devices"]) == 1


class TestTokens:
    async def test_without_a_token_and_with_a_wrong_one(self, server: TestServer) -> None:
        answer = await server.anonymous().answer("GET", "/v3/account/whoami")
        assert (answer.status, answer.json["errcode"]) == (401, "M_MISSING_TOKEN")
        stranger = Client(server=server, access_token="tsa_made_up")
        answer = await stranger.answer("GET", "/v3/account/whoami")
        assert (answer.status, answer.json["errcode"]) == (401, "M_UNKNOWN_TOKEN")
        assert answer.json["soft_logout"] is False

    async def test_a_token_in_the_query_is_older_clients_way(self, server: TestServer) -> None:
        token = (await log_in(server))["access_token"]
        who = await server.anonymous().get("/v3/account/whoami", access_token=token)
        assert who["user_id"] == "@alice:tab.test"

    async def test_tokens_outlive_the_server_but_are_not_in_its_database(self, server: TestServer) -> None:
        granted = await log_in(server, refresh_token=True)
        await server.restart()
        await device_of(server, granted).get("/v3/account/whoami")
        database = await server.read(lambda db: db.serialize())
        assert granted["access_token"].encode() not in database
        assert granted["refresh_token"].encode() not in database


class TestRefreshing:
    """§ Refreshing access tokens."""

    async def refresh(self, server: TestServer, granted: dict[str, Any]) -> dict[str, Any]:
        body = {"refresh_token": granted["refresh_token"]}
        refreshed: dict[str, Any] = await server.anonymous().post("/v3/refresh", body)
        return {**granted, **refreshed}

    async def refresh_is_refused(self, server: TestServer, granted: dict[str, Any]) -> bool:
        body = {"refresh_token": granted["refresh_token"]}
        return await server.anonymous().refused("POST", "/v3/refresh", body) == (401, "M_UNKNOWN_TOKEN")

    async def test_only_a_client_that_can_refresh_gets_a_token_that_expires(self, server: TestServer) -> None:
        lasting, expiring = await log_in(server), await log_in(server, refresh_token=True)
        assert "refresh_token" not in lasting and "expires_in_ms" not in lasting
        server.clock.now += expiring["expires_in_ms"]
        await device_of(server, lasting).get("/v3/account/whoami")
        answer = await device_of(server, expiring).answer("GET", "/v3/account/whoami")
        assert (answer.status, answer.json["errcode"], answer.json["soft_logout"]) == (401, "M_UNKNOWN_TOKEN", True)

    async def test_an_expired_token_is_refreshed_for_the_same_device(self, server: TestServer) -> None:
        first = await log_in(server, refresh_token=True)
        server.clock.now += 2 * HOUR
        second = await self.refresh(server, first)
        who = await device_of(server, second).get("/v3/account/whoami")
        assert who["device_id"] == first["device_id"]

    async def test_the_old_pair_is_valid_until_the_new_access_token_is_used_for_reading(
        self, server: TestServer
    ) -> None:
        first = await log_in(server, refresh_token=True)
        second = await self.refresh(server, first)
        await device_of(server, first).get("/v3/account/whoami")
        await device_of(server, second).get("/v3/account/whoami")
        assert await device_of(server, first).refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")
        assert await self.refresh_is_refused(server, first)

    async def test_or_for_writing(self, server: TestServer) -> None:
        first = await log_in(server, refresh_token=True)
        second = await self.refresh(server, first)
        await device_of(server, second).put("/v3/profile/@alice:tab.test/displayname", {"displayname": "Alice"})
        assert await self.refresh_is_refused(server, first)

    async def test_or_until_the_new_refresh_token_is_used(self, server: TestServer) -> None:
        first = await log_in(server, refresh_token=True)
        second = await self.refresh(server, first)
        third = await self.refresh(server, second)
        assert await self.refresh_is_refused(server, first)
        await device_of(server, third).get("/v3/account/whoami")
        assert await self.refresh_is_refused(server, second)

    async def test_a_client_that_lost_the_new_pair_refreshes_again(self, server: TestServer) -> None:
        first = await log_in(server, refresh_token=True)
        lost = await self.refresh(server, first)
        found = await self.refresh(server, first)
        assert await device_of(server, lost).refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")
        await device_of(server, found).get("/v3/account/whoami")

    async def test_logging_out_ends_the_refresh_token_too(self, server: TestServer) -> None:
        granted = await log_in(server, refresh_token=True)
        await device_of(server, granted).post("/v3/logout")
        assert await self.refresh_is_refused(server, granted)
