"""Creating accounts over POST /register."""

from pathlib import Path

import pytest

from helpers.homeserver import Client, TestServer
from tabstead.configuration import Registration
from tabstead.http import DispatchKey, Request

DUMMY = {"type": "m.login.dummy"}


async def begin(client: Client, **body: object) -> str:
    """The session of a registration that was asked for without authentication."""
    answer = await client.answer("POST", "/v3/register", body)
    assert answer.status == 401
    assert answer.json["flows"] == [{"stages": ["m.login.dummy"]}]
    assert answer.json["params"] == {}
    return str(answer.json["session"])


class TestTheTwoSteps:
    async def test_a_session_is_given_and_finishes_the_registration(self, server: TestServer) -> None:
        client = server.anonymous()
        session = await begin(client, username="alice", password="rosebud")
        made = await client.post(
            "/v3/register", {"username": "alice", "password": "rosebud", "auth": {**DUMMY, "session": session}}
        )
        assert made["user_id"] == "@alice:tab.test"
        assert (await server.log_in("alice", "rosebud")).user_id == "@alice:tab.test"

    async def test_the_session_remembers_what_was_asked_for_the_password_included(self, server: TestServer) -> None:
        client = server.anonymous()
        session = await begin(
            client, username="alice", password="rosebud", device_id="PHONE", initial_device_display_name="Alice's phone"
        )
        made = await client.post("/v3/register", {"auth": {**DUMMY, "session": session}})
        assert (made["user_id"], made["device_id"]) == ("@alice:tab.test", "PHONE")
        alice = await server.log_in("alice", "rosebud")
        assert (await alice.get("/v3/devices/PHONE"))["display_name"] == "Alice's phone"

    async def test_no_password_is_written_to_the_database(self, server: TestServer) -> None:
        await begin(server.anonymous(), username="alice", password="rosebud")
        stored = await server.read(lambda db: db.execute("SELECT body FROM interactive_auth_sessions").fetchall())
        assert len(stored) == 1 and "alice" in stored[0][0] and "rosebud" not in stored[0][0]

    async def test_a_client_that_lost_the_answer_gets_into_the_same_account_again(self, server: TestServer) -> None:
        client = server.anonymous()
        session = await begin(client, password="rosebud")
        first = await client.post("/v3/register", {"auth": {**DUMMY, "session": session}})
        second = await client.post("/v3/register", {"auth": {**DUMMY, "session": session}})
        assert first["user_id"] == second["user_id"]
        assert first["access_token"] != second["access_token"]

    async def test_but_not_much_later_nor_into_a_closed_one(self, server: TestServer) -> None:
        client = server.anonymous()
        body = {"username": "alice", "auth": {**DUMMY, "session": await begin(client, password="rosebud")}}
        made = await client.post("/v3/register", body)
        alice = Client(server=server, user_id=made["user_id"], access_token=made["access_token"])
        password = {"type": "m.login.password", "user": "alice", "password": "rosebud"}
        await alice.post("/v3/account/deactivate", {"auth": password})
        assert await client.refused("POST", "/v3/register", body) == (403, "M_USER_DEACTIVATED")
        server.clock.now += 5 * 60 * 1000
        assert await client.refused("POST", "/v3/register", body) == (400, "M_USER_IN_USE")

    async def test_an_unknown_session_is_answered_with_a_new_one(self, server: TestServer) -> None:
        answer = await server.anonymous().answer("POST", "/v3/register", {"auth": {**DUMMY, "session": "made up"}})
        assert answer.status == 401
        assert answer.json["errcode"] == "M_FORBIDDEN"
        assert answer.json["session"] != "made up"

    async def test_a_session_is_forgotten_after_an_hour(self, server: TestServer) -> None:
        client = server.anonymous()
        session = await begin(client, username="alice")
        server.clock.now += 60 * 60 * 1000
        answer = await client.answer("POST", "/v3/register", {"auth": {**DUMMY, "session": session}})
        assert answer.status == 401

    async def test_another_stage_than_the_offered_one_is_refused(self, server: TestServer) -> None:
        answer = await server.anonymous().answer("POST", "/v3/register", {"auth": {"type": "m.login.recaptcha"}})
        assert (answer.status, answer.json["errcode"]) == (401, "M_FORBIDDEN")
        assert answer.json["flows"]

    async def test_a_session_is_for_its_own_operation(self, server: TestServer) -> None:
        alice = await server.register("alice", "rosebud")
        session = await begin(server.anonymous(), username="bob")
        auth = {"type": "m.login.password", "password": "rosebud", "session": session}
        answer = await alice.answer("POST", "/v3/delete_devices", {"devices": [alice.device_id], "auth": auth})
        assert answer.status == 401


class TestNames:
    @pytest.mark.parametrize("name", ["", "al ice", "alice!", "@alice", "élise", "a:b", "a" * 250, "al\u0000ice"])
    async def test_a_name_outside_of_the_grammar_is_refused(self, server: TestServer, name: str) -> None:
        refused = await server.anonymous().refused("POST", "/v3/register", {"username": name, "auth": DUMMY})
        assert refused == (400, "M_INVALID_USERNAME")

    @pytest.mark.parametrize("name", ["a", "0", "a.b_c=d-e/f+g"])
    async def test_all_of_the_grammar_may_be_used(self, server: TestServer, name: str) -> None:
        assert (await server.register(name)).user_id == f"@{name}:tab.test"

    async def test_upper_case_becomes_lower_case(self, server: TestServer) -> None:
        assert (await server.register("Alice")).user_id == "@alice:tab.test"

    async def test_a_name_is_given_once_and_that_is_said_before_authentication(self, server: TestServer) -> None:
        await server.register("alice")
        for body in ({"username": "ALICE"}, {"username": "alice", "auth": DUMMY}):
            assert await server.anonymous().refused("POST", "/v3/register", body) == (400, "M_USER_IN_USE")

    async def test_without_a_name_the_server_makes_one_up(self, server: TestServer) -> None:
        made = [await server.anonymous().post("/v3/register", {"auth": DUMMY}) for _ in range(2)]
        assert made[0]["user_id"] != made[1]["user_id"]

    async def test_asking_whether_a_name_is_free(self, server: TestServer) -> None:
        await server.register("alice")
        client = server.anonymous()
        assert await client.get("/v3/register/available", username="bob") == {"available": True}
        assert await client.refused("GET", "/v3/register/available", username="alice") == (400, "M_USER_IN_USE")
        assert await client.refused("GET", "/v3/register/available", username="b b") == (400, "M_INVALID_USERNAME")
        assert await client.refused("GET", "/v3/register/available") == (400, "M_MISSING_PARAM")


class TestWhatIsAnswered:
    async def test_inhibit_login_gives_no_token_and_makes_no_device(self, server: TestServer) -> None:
        body = {"username": "alice", "password": "rosebud", "inhibit_login": True, "auth": DUMMY}
        made = await server.anonymous().post("/v3/register", body)
        assert "access_token" not in made and "device_id" not in made
        alice = await server.log_in("alice", "rosebud")
        assert len((await alice.get("/v3/devices"))["devices"]) == 1

    async def test_a_password_must_not_be_empty(self, server: TestServer) -> None:
        body = {"username": "alice", "password": "", "auth": DUMMY}
        assert await server.anonymous().refused("POST", "/v3/register", body) == (400, "M_WEAK_PASSWORD")

    async def test_a_password_may_hold_any_character(self, server: TestServer) -> None:
        await server.register("alice", "пароль\u0000🦎")
        assert (await server.log_in("alice", "пароль\u0000🦎")).user_id == "@alice:tab.test"

    async def test_older_clients_ask_below_r0(self, server: TestServer) -> None:
        made = await server.anonymous().post("/r0/register", {"username": "alice", "auth": DUMMY})
        assert made["home_server"] == "tab.test"

    async def test_a_request_that_the_browser_dispatches_twice_makes_one_account(self, server: TestServer) -> None:
        request = Request(
            method="POST",
            path="/_matrix/client/v3/register",
            body=b'{"username": "alice", "auth": {"type": "m.login.dummy"}}',
            dispatch_key=DispatchKey(value="registering alice", exact=True),
        )
        first, second = await server.handle(request), await server.handle(request)
        assert first.status == 200
        assert first.json == second.json


class TestWhoMay:
    async def test_closed_registration_says_so(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path, registration=Registration(open=False))
        assert await server.anonymous().refused("POST", "/v3/register", {"auth": DUMMY}) == (403, "M_FORBIDDEN")
        assert await server.anonymous().refused("POST", "/v3/register", {}, kind="guest") == (
            403,
            "M_GUEST_ACCESS_FORBIDDEN",
        )

    async def test_a_guest_gets_a_device_of_the_servers_choice(self, server: TestServer) -> None:
        made = await server.anonymous().post(
            "/v3/register", {"device_id": "MINE", "initial_device_display_name": "A visitor"}, kind="guest"
        )
        assert made["device_id"] != "MINE"
        guest = Client(server=server, access_token=made["access_token"])
        assert (await guest.get("/v3/account/whoami"))["is_guest"] is True
        assert (await guest.get("/v3/devices"))["devices"][0]["display_name"] == "A visitor"
        assert await guest.refused("GET", "/v3/room_keys/version") == (403, "M_GUEST_ACCESS_FORBIDDEN")

    async def test_there_is_no_third_kind(self, server: TestServer) -> None:
        assert await server.anonymous().refused("POST", "/v3/register", {}, kind="bot") == (400, "M_INVALID_PARAM")

    async def test_no_registration_token_is_valid(self, server: TestServer) -> None:
        path = "/v1/register/m.login.registration_token/validity"
        assert await server.anonymous().get(path, token="please") == {"valid": False}
        assert await server.anonymous().refused("GET", path) == (400, "M_MISSING_PARAM")


class TestAGuestWhoStays:
    async def test_the_account_becomes_an_ordinary_one(self, server: TestServer) -> None:
        guest = await server.register_guest()
        localpart = guest.user_id[1:].partition(":")[0]
        body = {"username": localpart, "password": "rosebud", "guest_access_token": guest.access_token}
        session = await begin(server.anonymous(), **body)
        made = await server.anonymous().post("/v3/register", {**body, "auth": {**DUMMY, "session": session}})
        assert made["user_id"] == guest.user_id
        assert (await guest.get("/v3/account/whoami"))["is_guest"] is False
        assert (await server.log_in(localpart, "rosebud")).user_id == guest.user_id

    async def test_the_name_stays_and_the_token_must_be_a_guests(self, server: TestServer) -> None:
        guest, alice = await server.register_guest(), await server.register("alice")
        client = server.anonymous()
        renamed = {"username": "bob", "guest_access_token": guest.access_token, "auth": DUMMY}
        assert await client.refused("POST", "/v3/register", renamed) == (400, "M_INVALID_USERNAME")
        taken = {"username": "alice", "guest_access_token": alice.access_token, "auth": DUMMY}
        assert await client.refused("POST", "/v3/register", taken) == (400, "M_INVALID_PARAM")
        unknown = {"username": "alice", "guest_access_token": "tsa_made_up", "auth": DUMMY}
        assert await client.refused("POST", "/v3/register", unknown) == (401, "M_UNKNOWN_TOKEN")
