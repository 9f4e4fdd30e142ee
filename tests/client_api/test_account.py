"""Changing the password and closing the account, which want the password once more."""

from typing import Any

import pytest

from helpers.homeserver import Client, TestServer
from tabstead.http import DispatchKey, Request


@pytest.fixture
async def alice(server: TestServer) -> Client:
    return await server.register("alice", "rosebud")


def confirmed(password: str = "rosebud", user: str = "alice", **more: Any) -> dict[str, Any]:
    identifier = {"type": "m.id.user", "user": user}
    return {"type": "m.login.password", "identifier": identifier, "password": password, **more}


async def challenge(client: Client, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The 401 of user-interactive authentication."""
    answer = await client.answer(method, path, body)
    assert answer.status == 401
    assert answer.json["flows"] == [{"stages": ["m.login.password"]}]
    challenged: dict[str, Any] = answer.json
    return challenged


class TestConfirming:
    """The rules of the session, on POST /account/deactivate."""

    path = "/v3/account/deactivate"

    async def test_without_authentication_there_is_only_a_challenge(self, alice: Client) -> None:
        challenged = await challenge(alice, "POST", self.path, {})
        assert "errcode" not in challenged
        await alice.get("/v3/account/whoami")

    async def test_a_wrong_password_may_be_tried_again_in_the_same_session(self, alice: Client) -> None:
        session = (await challenge(alice, "POST", self.path, {}))["session"]
        again = await challenge(alice, "POST", self.path, {"auth": confirmed("wrong", session=session)})
        assert (again["errcode"], again["session"]) == ("M_FORBIDDEN", session)
        await alice.post(self.path, {"auth": confirmed(session=session)})

    async def test_somebody_elses_password_does_not_count(self, server: TestServer, alice: Client) -> None:
        await server.register("bob", "tulip")
        challenged = await challenge(alice, "POST", self.path, {"auth": confirmed("tulip", user="bob")})
        assert challenged["errcode"] == "M_FORBIDDEN"

    async def test_somebody_elses_session_does_not_count(self, server: TestServer, alice: Client) -> None:
        bob = await server.register("bob", "tulip")
        session = (await challenge(bob, "POST", self.path, {}))["session"]
        challenged = await challenge(alice, "POST", self.path, {"auth": confirmed(session=session)})
        assert challenged["session"] != session

    async def test_the_dummy_stage_is_not_enough(self, alice: Client) -> None:
        challenged = await challenge(alice, "POST", self.path, {"auth": {"type": "m.login.dummy"}})
        assert challenged["errcode"] == "M_FORBIDDEN"

    async def test_a_session_ends_when_it_is_used(self, alice: Client) -> None:
        path = "/v3/delete_devices"
        session = (await challenge(alice, "POST", path, {"devices": ["A"]}))["session"]
        await alice.post(path, {"auth": confirmed(session=session)})
        challenged = await challenge(alice, "POST", path, {"devices": ["A"], "auth": confirmed(session=session)})
        assert challenged["session"] != session

    async def test_the_access_token_is_needed_beside_the_password(self, server: TestServer, alice: Client) -> None:
        refused = await server.anonymous().refused("POST", self.path, {"auth": confirmed()})
        assert refused == (401, "M_MISSING_TOKEN")

    async def test_a_guest_has_no_password_to_confirm_with(self, server: TestServer) -> None:
        guest = await server.register_guest()
        assert await guest.refused("POST", self.path, {}) == (403, "M_GUEST_ACCESS_FORBIDDEN")


class TestChangingThePassword:
    path = "/v3/account/password"

    async def test_the_new_password_takes_the_place_of_the_old(self, server: TestServer, alice: Client) -> None:
        await challenge(alice, "POST", self.path, {"new_password": "daisy"})
        await alice.post(self.path, {"new_password": "daisy", "auth": confirmed()})
        await server.log_in("alice", "daisy")
        login = {"type": "m.login.password", "user": "alice", "password": "rosebud"}
        assert await server.anonymous().refused("POST", "/v3/login", login) == (403, "M_FORBIDDEN")

    async def test_other_devices_are_logged_out_but_not_this_one(self, server: TestServer, alice: Client) -> None:
        other = await server.log_in("alice", "rosebud")
        await alice.post(self.path, {"new_password": "daisy", "auth": confirmed()})
        assert await other.refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")
        await alice.get("/v3/account/whoami")

    async def test_unless_they_may_stay(self, server: TestServer, alice: Client) -> None:
        other = await server.log_in("alice", "rosebud")
        await alice.post(self.path, {"new_password": "daisy", "logout_devices": False, "auth": confirmed()})
        await other.get("/v3/account/whoami")

    async def test_the_new_password_is_no_part_of_the_session(self, server: TestServer, alice: Client) -> None:
        session = (await challenge(alice, "POST", self.path, {"new_password": "daisy"}))["session"]
        stored = await server.read(lambda db: db.execute("SELECT body FROM interactive_auth_sessions").fetchall())
        assert stored == [("{}",)]
        refused = await alice.refused("POST", self.path, {"auth": confirmed(session=session)})
        assert refused == (400, "M_MISSING_PARAM")


class TestDeactivating:
    path = "/v3/account/deactivate"

    async def test_nobody_gets_in_any_more_and_the_name_stays_taken(self, server: TestServer, alice: Client) -> None:
        gone = await alice.post(self.path, {"auth": confirmed()})
        assert gone == {"id_server_unbind_result": "success"}
        assert await alice.refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")
        login = {"type": "m.login.password", "user": "alice", "password": "rosebud"}
        assert await server.anonymous().refused("POST", "/v3/login", login) == (403, "M_USER_DEACTIVATED")
        again = {"username": "alice", "auth": {"type": "m.login.dummy"}}
        assert await server.anonymous().refused("POST", "/v3/register", again) == (400, "M_USER_IN_USE")

    async def test_the_user_leaves_their_rooms_and_loses_their_profile(self, server: TestServer, alice: Client) -> None:
        bob = await server.register("bob")
        room_id = await bob.create_room(preset="public_chat")
        await alice.put("/v3/profile/@alice:tab.test/displayname", {"displayname": "Alice"})
        await alice.join(room_id)
        await alice.post(self.path, {"auth": confirmed()})
        assert (await bob.state(room_id, "m.room.member", alice.user_id))["membership"] == "leave"
        assert await bob.refused("GET", "/v3/profile/@alice:tab.test") == (404, "M_NOT_FOUND")

    async def test_the_wish_to_be_erased_is_kept_and_account_data_goes(self, server: TestServer, alice: Client) -> None:
        await alice.put("/v3/user/@alice:tab.test/account_data/test.colour", {"colour": "green"})
        await alice.post(self.path, {"erase": True, "auth": confirmed()})
        kept = await server.read(lambda db: db.execute("SELECT is_erased FROM users").fetchall())
        data = await server.read(lambda db: db.execute("SELECT type FROM account_data").fetchall())
        assert (kept, data) == ([(1,)], [])

    async def test_what_an_erased_user_wrote_is_withheld_from_who_comes_later(
        self, server: TestServer, alice: Client
    ) -> None:
        there, later = await server.register("there"), await server.register("later")
        room_id = await there.create_room(preset="public_chat")
        await alice.join(room_id)
        event_id = await alice.send(room_id, "secret")
        await alice.send_state(room_id, "m.room.member", {"membership": "join", "displayname": "Al"}, alice.user_id)
        early = await server.register("early")
        await early.join(room_id)
        await alice.post(self.path, {"erase": True, "auth": confirmed()})
        await later.join(room_id)
        await server.restart()
        for witness in (there, early):
            shown = await witness.get(f"/v3/rooms/{room_id}/event/{event_id}")
            assert shown["content"]["body"] == "secret"
        assert (await later.get(f"/v3/rooms/{room_id}/event/{event_id}"))["content"] == {}
        page = await later.messages(room_id, limit=100)
        assert "secret" not in str(page) and "displayname': 'Al'" not in str(page)
        assert await later.state(room_id, "m.room.member", alice.user_id) == {"membership": "leave"}

    async def test_what_others_wrote_is_not(self, server: TestServer, alice: Client) -> None:
        bob, later = await server.register("bob"), await server.register("later")
        room_id = await alice.create_room(preset="public_chat")
        await bob.join(room_id)
        event_id = await bob.send(room_id, "hello")
        await alice.post(self.path, {"erase": True, "auth": confirmed()})
        await later.join(room_id)
        assert (await later.get(f"/v3/rooms/{room_id}/event/{event_id}"))["content"]["body"] == "hello"

    async def test_a_second_dispatch_of_the_request_gets_the_same_answer(
        self, server: TestServer, alice: Client
    ) -> None:
        request = Request(
            method="POST",
            path="/_matrix/client/v3/account/deactivate",
            headers={"authorization": f"Bearer {alice.access_token}"},
            body=b'{"auth": {"type": "m.login.password", "user": "alice", "password": "rosebud"}}',
            dispatch_key=DispatchKey(value="leaving for good", exact=True),
        )
        first, second = await server.handle(request), await server.handle(request)
        assert (first.status, second.status) == (200, 200)


async def test_there_are_no_third_party_identifiers(alice: Client) -> None:
    assert await alice.get("/v3/account/3pid") == {"threepids": []}
