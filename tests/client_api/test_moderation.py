"""Locking and suspending accounts, and looking at who used them from where."""

import asyncio
from typing import Any

import pytest

from helpers.homeserver import Client, TestServer

LOCKED = (401, "M_USER_LOCKED")
SUSPENDED = (403, "M_USER_SUSPENDED")
ELSEWHERE = "@alice:elsewhere.test"


@pytest.fixture
async def admin(server: TestServer) -> Client:
    return await server.register_admin("admin")


async def set_locked(admin: Client, user: Client, locked: bool) -> None:
    path = f"/v1/admin/lock/{user.user_id}"
    assert await admin.put(path, {"locked": locked}) == {"locked": locked}
    assert await admin.get(path) == {"locked": locked}


async def set_suspended(admin: Client, user: Client, suspended: bool) -> None:
    path = f"/v1/admin/suspend/{user.user_id}"
    assert await admin.put(path, {"suspended": suspended}) == {"suspended": suspended}
    assert await admin.get(path) == {"suspended": suspended}


@pytest.mark.parametrize("action", ["lock", "suspend"])
class TestWhoMayDoWhatToWhom:
    async def test_only_administrators_and_they_alone_learn_who_exists(self, alice: Client, action: str) -> None:
        for user_id in ("@admin:tab.test", "@nobody:tab.test", ELSEWHERE):
            path = f"/v1/admin/{action}/{user_id}"
            assert await alice.refused("GET", path) == (403, "M_FORBIDDEN")
            assert await alice.refused("PUT", path, {f"{action}ed": True}) == (403, "M_FORBIDDEN")

    async def test_not_to_oneself_nor_to_another_administrator(
        self, server: TestServer, admin: Client, action: str
    ) -> None:
        other = await server.register_admin("other")
        for target in (admin, other):
            path = f"/v1/admin/{action}/{target.user_id}"
            assert await admin.refused("GET", path) == (403, "M_FORBIDDEN")
            assert await admin.refused("PUT", path, {f"{action}ed": True}) == (403, "M_FORBIDDEN")

    async def test_not_to_strangers_nor_to_who_is_gone(self, server: TestServer, admin: Client, action: str) -> None:
        gone = await server.register("gone", "rosebud")
        password = {"type": "m.login.password", "user": "gone", "password": "rosebud"}
        await gone.post("/v3/account/deactivate", {"auth": password})
        body = {f"{action}ed": True}
        assert await admin.refused("PUT", f"/v1/admin/{action}/{ELSEWHERE}", body) == (400, "M_INVALID_PARAM")
        assert await admin.refused("PUT", f"/v1/admin/{action}/alice", body) == (400, "M_INVALID_PARAM")
        assert await admin.refused("PUT", f"/v1/admin/{action}/@nobody:tab.test", body) == (404, "M_NOT_FOUND")
        assert await admin.refused("PUT", f"/v1/admin/{action}/{gone.user_id}", body) == (404, "M_NOT_FOUND")

    async def test_the_capabilities_tell_who_may(self, alice: Client, admin: Client, action: str) -> None:
        capabilities = (await admin.get("/v3/capabilities"))["capabilities"]
        assert capabilities["m.account_moderation"][action] is True
        assert "m.account_moderation" not in (await alice.get("/v3/capabilities"))["capabilities"]


class TestALockedAccount:
    async def test_it_can_do_nothing_until_it_is_unlocked_and_keeps_its_sessions(
        self, alice: Client, bob: Client, admin: Client
    ) -> None:
        room_id = await alice.create_room()
        await set_locked(admin, alice, True)
        refused = await alice.answer("GET", "/v3/sync")
        assert (refused.status, refused.json["errcode"], refused.json["soft_logout"]) == (*LOCKED, True)
        assert await alice.refused("PUT", f"/v3/rooms/{room_id}/send/m.room.message/1", {"body": "x"}) == LOCKED
        assert await alice.refused("GET", "/v3/account/whoami") == LOCKED
        await bob.get("/v3/account/whoami")
        await set_locked(admin, alice, False)
        await alice.send(room_id, "I am back")

    async def test_it_can_log_out(self, alice: Client, bob: Client, admin: Client) -> None:
        for user, path in ((alice, "/v3/logout"), (bob, "/v3/logout/all")):
            await set_locked(admin, user, True)
            await user.post(path)
            await set_locked(admin, user, False)
            assert await user.refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")

    async def test_nobody_gets_new_tokens_for_it(self, server: TestServer, admin: Client) -> None:
        body: dict[str, Any] = {"username": "carol", "password": "rosebud", "auth": {"type": "m.login.dummy"}}
        granted = await server.anonymous().post("/v3/register", {**body, "refresh_token": True})
        carol = await server.log_in("carol", "rosebud")
        await set_locked(admin, carol, True)
        login = {"type": "m.login.password", "user": "carol", "password": "rosebud"}
        assert await server.anonymous().refused("POST", "/v3/login", login) == LOCKED
        wrong = {**login, "password": "tulip"}
        assert await server.anonymous().refused("POST", "/v3/login", wrong) == (403, "M_FORBIDDEN")
        refresh = {"refresh_token": granted["refresh_token"]}
        assert await server.anonymous().refused("POST", "/v3/refresh", refresh) == LOCKED
        await set_locked(admin, carol, False)
        await server.anonymous().post("/v3/refresh", refresh)

    @pytest.mark.parametrize("path", ["/v3/sync", "/v3/events"])
    async def test_who_waits_in_its_name_is_told(self, alice: Client, admin: Client, path: str) -> None:
        since = {"since": (await alice.sync())["next_batch"]} if path == "/v3/sync" else {}
        waiting = asyncio.ensure_future(alice.refused("GET", path, timeout=30_000, **since))
        await asyncio.sleep(0)
        await set_locked(admin, alice, True)
        assert await waiting == LOCKED


class TestASuspendedAccount:
    @pytest.fixture
    async def room_id(self, alice: Client, bob: Client) -> str:
        room_id = await alice.create_room(preset="public_chat")
        await bob.join(room_id)
        return room_id

    async def test_it_reads(self, alice: Client, bob: Client, admin: Client, room_id: str) -> None:
        await set_suspended(admin, bob, True)
        await alice.send(room_id, "for bob, too")
        assert room_id in (await bob.sync())["rooms"]["join"]
        assert (await bob.messages(room_id))["chunk"][0]["content"]["body"] == "for bob, too"
        await bob.put(f"/v3/user/{bob.user_id}/account_data/org.example.note", {"text": "kept"})
        await bob.put("/v3/sendToDevice/m.key.verification.request/1", {"messages": {bob.user_id: {"*": {}}}})

    async def test_it_says_nothing(self, alice: Client, bob: Client, admin: Client, room_id: str) -> None:
        other_room = await alice.create_room(preset="public_chat")
        knockable = await alice.create_room(
            initial_state=[{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]
        )
        await set_suspended(admin, bob, True)
        room = f"/v3/rooms/{room_id}"
        for method, path, body in (
            ("PUT", f"{room}/send/m.room.message/1", {"msgtype": "m.text", "body": "psst"}),
            ("PUT", "/v3/directory/room/%23bobs:tab.test", {"room_id": room_id}),
            ("PUT", f"{room}/state/m.room.member/{bob.user_id}", {"membership": "join", "displayname": "B"}),
            ("POST", f"{room}/invite", {"user_id": admin.user_id}),
            ("POST", f"/v3/join/{other_room}", {}),
            ("POST", f"/v3/knock/{knockable}", {}),
            ("POST", "/v3/createRoom", {}),
            ("PUT", f"/v3/profile/{bob.user_id}/displayname", {"displayname": "Robert"}),
            ("DELETE", f"/v3/profile/{bob.user_id}/displayname", None),
        ):
            assert await bob.refused(method, path, body) == SUSPENDED, path
        await set_suspended(admin, bob, False)
        await bob.send(room_id, "at last")

    async def test_it_leaves_and_rejects_invites(self, alice: Client, bob: Client, admin: Client, room_id: str) -> None:
        private = await alice.create_room(invite=[bob.user_id])
        await set_suspended(admin, bob, True)
        await bob.leave(private)
        await bob.leave(room_id)
        assert await bob.refused("POST", f"/v3/join/{room_id}", {}) == SUSPENDED

    async def test_it_redacts_what_it_sent_and_nothing_else(self, alice: Client, admin: Client) -> None:
        bob_the_moderator = await alice.server.register("moderator")
        room_id = await alice.create_room(preset="trusted_private_chat", invite=[bob_the_moderator.user_id])
        await bob_the_moderator.join(room_id)
        own, others = await bob_the_moderator.send(room_id, "mine"), await alice.send(room_id, "yours")
        await set_suspended(admin, bob_the_moderator, True)
        await bob_the_moderator.redact(room_id, own)
        refused = await bob_the_moderator.refused("PUT", f"/v3/rooms/{room_id}/redact/{others}/1", {})
        assert refused == SUSPENDED

    async def test_it_logs_in_and_out_and_ends_itself(self, server: TestServer, admin: Client) -> None:
        carol = await server.register("carol", "rosebud")
        await set_suspended(admin, carol, True)
        phone = await server.log_in("carol", "rosebud")
        assert await phone.refused("POST", "/v3/createRoom", {}) == SUSPENDED
        await phone.post("/v3/logout")
        password = {"type": "m.login.password", "user": "carol", "password": "rosebud"}
        await carol.post("/v3/account/deactivate", {"auth": password})


class TestWhois:
    async def test_users_see_where_they_were_seen_and_administrators_where_others_were(
        self, alice: Client, bob: Client, admin: Client
    ) -> None:
        own = await alice.get(f"/v3/admin/whois/{alice.user_id}")
        assert await admin.get(f"/v3/admin/whois/{alice.user_id}") == own
        (connection,) = own["devices"][alice.device_id]["sessions"][0]["connections"]
        assert connection["ip"] == "127.0.0.1"
        assert await bob.refused("GET", f"/v3/admin/whois/{alice.user_id}") == (403, "M_FORBIDDEN")
        assert await bob.refused("GET", "/v3/admin/whois/@nobody:tab.test") == (403, "M_FORBIDDEN")
        assert await admin.refused("GET", "/v3/admin/whois/@nobody:tab.test") == (404, "M_NOT_FOUND")
