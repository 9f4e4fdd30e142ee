"""User-interactive authentication with several stages, and the tokens that devices log each other in with."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from helpers.homeserver import Answer, Client, TestServer
from tabstead.accounts.access import Grant
from tabstead.accounts.devices import NewDevice, log_in
from tabstead.configuration import Policy, Registration
from tabstead.storage.database import Db
from tabstead.storage.users import insert_user

DUMMY = {"type": "m.login.dummy"}
TERMS = {"type": "m.login.terms"}
PRIVACY = Policy(id="privacy", version="2", name="Privacy", url="https://tab.test/privacy")
VALIDITY = "/v1/register/m.login.registration_token/validity"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestServer]:
    """Who registers needs a token, and accepts a document."""
    registration = Registration(requires_token=True, tokens=("for-all",), terms=(PRIVACY,))
    server = await TestServer.open(tmp_path, registration=registration)
    yield server
    await server.close()


def token_stage(token: str = "for-all", **more: Any) -> dict[str, Any]:
    return {"type": "m.login.registration_token", "token": token, **more}


async def attempt(client: Client, auth: dict[str, Any] | None = None, **body: Any) -> Answer:
    return await client.answer("POST", "/v3/register", {**body, **({"auth": auth} if auth else {})})


async def administrator(server: TestServer) -> Client:
    def log_in_as_boss(db: Db) -> Grant:
        insert_user(db, "@boss:tab.test", None, is_guest=False, is_admin=True, now_ms=0)
        return log_in(db, "@boss:tab.test", NewDevice(), 0)

    granted = await server.write(log_in_as_boss)
    return Client(server=server, user_id=granted.user_id, access_token=granted.access_token)


class TestSeveralStages:
    async def test_they_are_done_one_after_the_other(self, server: TestServer) -> None:
        client = server.anonymous()
        first = await attempt(client, username="alice", password="rosebud")
        assert first.json["flows"] == [{"stages": ["m.login.registration_token", "m.login.terms"]}]
        assert first.json["params"]["m.login.terms"]["policies"]["privacy"] == {
            "version": "2",
            "en": {"name": "Privacy", "url": "https://tab.test/privacy"},
        }
        session = first.json["session"]
        second = await attempt(client, token_stage(session=session))
        assert (second.status, second.json["completed"]) == (401, ["m.login.registration_token"])
        assert "errcode" not in second.json
        third = await attempt(client, {**TERMS, "session": session})
        assert (third.status, third.json["user_id"]) == (200, "@alice:tab.test")
        await server.log_in("alice", "rosebud")

    async def test_not_in_another_order(self, server: TestServer) -> None:
        client = server.anonymous()
        session = (await attempt(client)).json["session"]
        refused = await attempt(client, {**TERMS, "session": session})
        assert (refused.status, refused.json["errcode"], refused.json["completed"]) == (401, "M_FORBIDDEN", [])

    async def test_a_completed_stage_is_not_judged_again(self, server: TestServer) -> None:
        client = server.anonymous()
        session = (await attempt(client, token_stage())).json["session"]
        again = await attempt(client, token_stage("made-up", session=session))
        assert (again.status, again.json["completed"]) == (401, ["m.login.registration_token"])
        assert "errcode" not in again.json

    async def test_a_stage_that_failed_may_be_tried_again(self, server: TestServer) -> None:
        client = server.anonymous()
        failed = await attempt(client, token_stage("made-up"))
        assert (failed.status, failed.json["errcode"], failed.json["completed"]) == (401, "M_FORBIDDEN", [])
        again = await attempt(client, token_stage(session=failed.json["session"]))
        assert again.json["completed"] == ["m.login.registration_token"]

    async def test_what_was_done_outlives_the_server(self, server: TestServer) -> None:
        session = (await attempt(server.anonymous(), token_stage(), username="alice")).json["session"]
        await server.restart()
        assert (await attempt(server.anonymous(), {**TERMS, "session": session})).status == 200

    @pytest.mark.parametrize("stage", ["m.login.recaptcha", "m.login.msisdn", "m.login.sso", "org.example.magic"])
    async def test_what_is_not_offered_is_refused(self, server: TestServer, stage: str) -> None:
        refused = await attempt(server.anonymous(), {"type": stage, "response": "x"})
        assert (refused.status, refused.json["errcode"]) == (401, "M_FORBIDDEN")


class TestRegistrationTokens:
    path = "/_synapse/admin/v1/registration_tokens"

    async def register(self, server: TestServer, token: str) -> Answer:
        client = server.anonymous()
        session = (await attempt(client, token_stage(token))).json["session"]
        return await attempt(client, {**TERMS, "session": session})

    async def test_an_administrator_says_how_often_and_until_when(self, server: TestServer) -> None:
        boss = await administrator(server)
        ends = server.clock.now + 60_000
        made = await boss.post(f"{self.path}/new", {"token": "twice", "uses_allowed": 2, "expiry_time": ends})
        assert made == {"token": "twice", "uses_allowed": 2, "pending": 0, "completed": 0, "expiry_time": ends}
        for uses in (1, 2):
            assert (await self.register(server, "twice")).status == 200
            assert (await boss.get(f"{self.path}/twice"))["completed"] == uses
        assert await server.anonymous().get(VALIDITY, token="twice") == {"valid": False}
        assert (await self.register(server, "twice")).status == 401
        await boss.put(f"{self.path}/twice", {"uses_allowed": None})
        assert await server.anonymous().get(VALIDITY, token="twice") == {"valid": True}
        server.clock.now = ends
        assert await server.anonymous().get(VALIDITY, token="twice") == {"valid": False}

    async def test_of_two_who_hold_the_last_use_one_gets_it(self, server: TestServer) -> None:
        boss = await administrator(server)
        await boss.post(f"{self.path}/new", {"token": "once", "uses_allowed": 1})
        client = server.anonymous()
        sessions = [(await attempt(client, token_stage("once"))).json["session"] for _ in range(2)]
        answers = [await attempt(client, {**TERMS, "session": session}) for session in sessions]
        assert [answer.status for answer in answers] == [200, 403]

    async def test_they_are_listed_changed_and_deleted(self, server: TestServer) -> None:
        boss = await administrator(server)
        made = await boss.post(f"{self.path}/new", {"length": 8})
        assert len(made["token"]) == 8
        await boss.post(f"{self.path}/new", {"token": "spent", "uses_allowed": 0})
        listed = (await boss.get(self.path))["registration_tokens"]
        assert {token["token"] for token in listed} == {made["token"], "spent"}
        valid = (await boss.get(self.path, valid=True))["registration_tokens"]
        assert [token["token"] for token in valid] == [made["token"]]
        await boss.delete(f"{self.path}/spent")
        assert await boss.refused("GET", f"{self.path}/spent") == (404, "M_NOT_FOUND")

    @pytest.mark.parametrize(
        "body",
        [
            {"token": "with space"},
            {"token": "x" * 65},
            {"token": ""},
            {"length": 65},
            {"length": 0},
            {"uses_allowed": -1},
            {"expiry_time": 1},
        ],
    )
    async def test_what_no_token_can_be_is_refused(self, server: TestServer, body: dict[str, Any]) -> None:
        boss = await administrator(server)
        assert await boss.refused("POST", f"{self.path}/new", body) == (400, "M_INVALID_PARAM")

    async def test_others_than_administrators_may_not(self, server: TestServer) -> None:
        made = await self.register(server, "for-all")
        alice = Client(server=server, access_token=made.json["access_token"])
        assert await alice.refused("GET", self.path) == (403, "M_FORBIDDEN")


class TestLoggingAnotherDeviceIn:
    path = "/v1/login/get_token"

    @pytest.fixture
    async def server(self, tmp_path: Path) -> AsyncIterator[TestServer]:
        server = await TestServer.open(tmp_path)
        yield server
        await server.close()

    @pytest.fixture
    async def alice(self, server: TestServer) -> Client:
        return await server.register("alice", "rosebud")

    async def token(self, alice: Client) -> str:
        auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": "rosebud"}
        made = await alice.post(self.path, {"auth": auth})
        assert made["expires_in_ms"] == 120_000
        return str(made["login_token"])

    async def test_a_login_token_is_good_for_one_device(self, server: TestServer, alice: Client) -> None:
        body = {"type": "m.login.token", "token": await self.token(alice), "refresh_token": True}
        granted = await server.anonymous().post("/v3/login", body)
        assert granted["user_id"] == alice.user_id and granted["device_id"] != alice.device_id
        assert "refresh_token" in granted
        assert await server.anonymous().refused("POST", "/v3/login", body) == (403, "M_FORBIDDEN")

    async def test_and_for_two_minutes(self, server: TestServer, alice: Client) -> None:
        body = {"type": "m.login.token", "token": await self.token(alice)}
        server.clock.now += 120_000
        assert await server.anonymous().refused("POST", "/v3/login", body) == (403, "M_FORBIDDEN")

    async def test_it_ends_with_the_account(self, server: TestServer, alice: Client) -> None:
        body = {"type": "m.login.token", "token": await self.token(alice)}
        auth = {"type": "m.login.password", "user": "alice", "password": "rosebud"}
        await alice.post("/v3/account/deactivate", {"auth": auth})
        assert await server.anonymous().refused("POST", "/v3/login", body) == (403, "M_FORBIDDEN")

    async def test_the_password_is_asked_for_first(self, server: TestServer, alice: Client) -> None:
        challenge = await alice.answer("POST", self.path, {})
        assert (challenge.status, challenge.json["flows"]) == (401, [{"stages": ["m.login.password"]}])
        assert (await alice.get("/v3/capabilities"))["capabilities"]["m.get_login_token"] == {"enabled": True}

    async def test_an_access_token_is_no_login_token(self, server: TestServer, alice: Client) -> None:
        body = {"type": "m.login.token", "token": alice.access_token}
        assert await server.anonymous().refused("POST", "/v3/login", body) == (403, "M_FORBIDDEN")
