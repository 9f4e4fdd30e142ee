"""Device keys, one-time keys and fallback keys: uploading, querying, claiming."""

import asyncio
from typing import Any

import pytest

from helpers.homeserver import Client, TestServer
from helpers.key_owner import DeviceKeys
from tabstead.http import DispatchKey, Request
from tabstead.storage.device_lists import select_device_list_changes
from tabstead.storage.one_time_keys import unused_fallback_key_types


@pytest.fixture
async def alice(server: TestServer) -> Client:
    return await server.register("alice", "rosebud")


async def query(client: Client, **device_keys: Any) -> dict[str, Any]:
    wanted = {f"@{name}:tab.test": devices for name, devices in device_keys.items()}
    found: dict[str, Any] = await client.post("/v3/keys/query", {"device_keys": wanted})
    return found


async def claim(client: Client, owner: Client, algorithm: str = "signed_curve25519") -> dict[str, Any]:
    """The claimed key by its name, or nothing."""
    body = {"one_time_keys": {owner.user_id: {owner.device_id: algorithm}}}
    claimed = (await client.post("/v3/keys/claim", body))["one_time_keys"]
    key: dict[str, Any] = claimed.get(owner.user_id, {}).get(owner.device_id, {})
    return key


def known_position(server: TestServer) -> int:
    """A position before which everything is known."""
    return server.homeserver.context.notifier.position


async def changed_since(server: TestServer, position: int) -> set[str]:
    return await server.read(lambda db: select_device_list_changes(db, after=position))


class TestDeviceKeys:
    async def test_uploaded_keys_are_what_others_get(self, alice: Client, bob: Client) -> None:
        keys = DeviceKeys.of(alice).signed
        assert await alice.post("/v3/keys/upload", {"device_keys": keys}) == {"one_time_key_counts": {}}
        found = await query(bob, alice=[])
        assert found["device_keys"] == {alice.user_id: {alice.device_id: keys}}
        assert found["failures"] == {}

    async def test_the_devices_name_is_told_beside_them(self, alice: Client, bob: Client) -> None:
        await alice.post("/v3/keys/upload", {"device_keys": DeviceKeys.of(alice).signed})
        await alice.put(f"/v3/devices/{alice.device_id}", {"display_name": "Kitchen"})
        found = await query(bob, alice=[])
        device = found["device_keys"][alice.user_id][alice.device_id]
        assert device["unsigned"] == {"device_display_name": "Kitchen"}

    async def test_a_query_may_name_devices(self, server: TestServer, alice: Client, bob: Client) -> None:
        phone = await server.log_in("alice", "rosebud")
        for device in (alice, phone):
            await device.post("/v3/keys/upload", {"device_keys": DeviceKeys.of(device).signed})
        found = await query(bob, alice=[phone.device_id, "NOWHERE"])
        assert list(found["device_keys"][alice.user_id]) == [phone.device_id]

    async def test_users_without_keys_have_no_devices_and_unknown_ones_are_missing(
        self, alice: Client, bob: Client
    ) -> None:
        found = await query(bob, alice=[], nobody=[])
        assert found["device_keys"] == {alice.user_id: {}}

    async def test_other_servers_can_not_be_reached(self, bob: Client) -> None:
        found = await bob.post("/v3/keys/query", {"device_keys": {"@carol:elsewhere.test": []}})
        assert (found["device_keys"], list(found["failures"])) == ({}, ["elsewhere.test"])

    @pytest.mark.parametrize("field", ["user_id", "device_id"])
    async def test_only_keys_of_this_device_are_taken(self, alice: Client, field: str) -> None:
        keys = {**DeviceKeys.of(alice).signed, field: "OTHER"}
        assert await alice.refused("POST", "/v3/keys/upload", {"device_keys": keys}) == (400, "M_INVALID_PARAM")

    @pytest.mark.parametrize("field", ["algorithms", "keys", "user_id", "device_id"])
    async def test_incomplete_keys_are_refused(self, alice: Client, field: str) -> None:
        keys = DeviceKeys.of(alice).signed
        del keys[field]
        assert await alice.refused("POST", "/v3/keys/upload", {"device_keys": keys}) == (400, "M_MISSING_PARAM")

    async def test_they_end_with_the_device(self, server: TestServer, alice: Client, bob: Client) -> None:
        phone = await server.log_in("alice", "rosebud")
        keys = DeviceKeys.of(phone)
        await phone.post("/v3/keys/upload", {"device_keys": keys.signed, "one_time_keys": keys.one_time_keys("A")})
        await phone.post("/v3/logout")
        assert (await query(bob, alice=[]))["device_keys"] == {alice.user_id: {}}
        assert await claim(bob, phone) == {}


class TestOthersAreTold:
    async def test_of_new_keys_but_not_of_the_same_again(self, server: TestServer, alice: Client) -> None:
        before = known_position(server)
        body = {"device_keys": DeviceKeys.of(alice).signed}
        await alice.post("/v3/keys/upload", body)
        assert await changed_since(server, before) == {alice.user_id}
        before = known_position(server)
        await alice.post("/v3/keys/upload", body)
        assert await changed_since(server, before) == set()

    async def test_of_a_device_that_is_renamed_or_deleted(self, server: TestServer, alice: Client) -> None:
        phone = await server.log_in("alice", "rosebud")
        await phone.post("/v3/keys/upload", {"device_keys": DeviceKeys.of(phone).signed})
        before = known_position(server)
        await phone.put(f"/v3/devices/{phone.device_id}", {"display_name": "Phone"})
        assert await changed_since(server, before) == {alice.user_id}
        before = known_position(server)
        await phone.post("/v3/logout")
        assert await changed_since(server, before) == {alice.user_id}

    async def test_but_not_of_a_device_that_never_had_keys(self, server: TestServer, alice: Client) -> None:
        before = known_position(server)
        phone = await server.log_in("alice", "rosebud")
        await phone.put(f"/v3/devices/{phone.device_id}", {"display_name": "Phone"})
        await phone.post("/v3/logout")
        assert await changed_since(server, before) == set()


class TestChanges:
    """GET /keys/changes between two tokens of /sync."""

    async def changes(self, client: Client, since: str) -> dict[str, Any]:
        now = (await client.sync())["next_batch"]
        found: dict[str, Any] = await client.get("/v3/keys/changes", **{"from": since, "to": now})
        return found

    async def test_those_who_share_a_room_and_changed_their_keys(
        self, server: TestServer, alice: Client, bob: Client
    ) -> None:
        stranger = await server.register("stranger")
        await bob.join(await alice.create_room(preset="public_chat"))
        since = (await bob.sync())["next_batch"]
        assert await self.changes(bob, since) == {"changed": [], "left": []}
        for client in (alice, stranger):
            await client.post("/v3/keys/upload", {"device_keys": DeviceKeys.of(client).signed})
        assert await self.changes(bob, since) == {"changed": [alice.user_id], "left": []}

    async def test_those_who_came_and_those_who_left(self, alice: Client, bob: Client) -> None:
        room_id = await alice.create_room(preset="public_chat")
        since = (await alice.sync())["next_batch"]
        await bob.join(room_id)
        assert await self.changes(alice, since) == {"changed": [bob.user_id], "left": []}
        since = (await alice.sync())["next_batch"]
        await bob.leave(room_id)
        assert await self.changes(alice, since) == {"changed": [], "left": [bob.user_id]}

    async def test_both_tokens_are_needed_and_must_be_of_this_server(self, alice: Client) -> None:
        since = (await alice.sync())["next_batch"]
        path = "/v3/keys/changes"
        assert await alice.refused("GET", path, **{"from": since}) == (400, "M_MISSING_PARAM")
        assert await alice.refused("GET", path, **{"from": since, "to": "x"}) == (400, "M_INVALID_PARAM")


class TestOneTimeKeys:
    async def upload(self, client: Client, keys: dict[str, Any]) -> dict[str, int]:
        uploaded = await client.post("/v3/keys/upload", {"one_time_keys": keys})
        counts: dict[str, int] = uploaded["one_time_key_counts"]
        return counts

    async def test_they_are_counted_by_algorithm(self, alice: Client) -> None:
        keys = {"curve25519:A": "plain", **DeviceKeys.of(alice).one_time_keys("A", "B")}
        assert await self.upload(alice, keys) == {"curve25519": 1, "signed_curve25519": 2}

    async def test_each_is_claimed_once_in_the_order_of_the_uploads(self, alice: Client, bob: Client) -> None:
        keys = DeviceKeys.of(alice)
        for key_id in ("C", "A", "B"):
            await self.upload(alice, keys.one_time_keys(key_id))
        claimed = [await claim(bob, alice) for _ in range(4)]
        assert claimed[:3] == [keys.one_time_keys(key_id) for key_id in ("C", "A", "B")]
        assert claimed[3] == {}
        assert await self.upload(alice, {}) == {}

    async def test_many_who_claim_at_once_get_different_keys(self, alice: Client, bob: Client) -> None:
        await self.upload(alice, DeviceKeys.of(alice).one_time_keys(*(str(n) for n in range(20))))
        claimed = await asyncio.gather(*(claim(bob, alice) for _ in range(25)))
        names = [name for key in claimed for name in key]
        assert len(names) == len(set(names)) == 20

    async def test_a_claim_that_the_browser_dispatches_twice_takes_one_key(
        self, server: TestServer, alice: Client, bob: Client
    ) -> None:
        await self.upload(alice, DeviceKeys.of(alice).one_time_keys("A", "B"))
        request = Request(
            method="POST",
            path="/_matrix/client/v3/keys/claim",
            headers={"authorization": f"Bearer {bob.access_token}"},
            body=f'{{"one_time_keys": {{"{alice.user_id}": {{"{alice.device_id}": "signed_curve25519"}}}}}}'.encode(),
            dispatch_key=DispatchKey(value="claiming", exact=True),
        )
        first, second = await server.handle(request), await server.handle(request)
        assert first.json == second.json
        assert await self.upload(alice, {}) == {"signed_curve25519": 1}

    async def test_the_algorithm_must_fit(self, alice: Client, bob: Client) -> None:
        await self.upload(alice, DeviceKeys.of(alice).one_time_keys("A"))
        assert await claim(bob, alice, "curve25519") == {}

    async def test_the_same_key_may_be_uploaded_again_but_no_other_in_its_place(self, alice: Client) -> None:
        keys = DeviceKeys.of(alice)
        await self.upload(alice, keys.one_time_keys("A"))
        resigned = {name: {**key, "signatures": {}} for name, key in keys.one_time_keys("A").items()}
        assert await self.upload(alice, resigned) == {"signed_curve25519": 1}
        other = keys.one_time_keys("A", key="something else")
        refused = await alice.refused("POST", "/v3/keys/upload", {"one_time_keys": other})
        assert refused == (400, "M_INVALID_PARAM")

    @pytest.mark.parametrize(
        ("keys", "errcode"),
        [
            ({"signed_curve25519": {"key": "x"}}, "M_INVALID_PARAM"),
            ({":A": {"key": "x"}}, "M_INVALID_PARAM"),
            ({"signed_curve25519:A": {"public": "x"}}, "M_BAD_JSON"),
            ({"signed_curve25519:A": 7}, "M_BAD_JSON"),
        ],
    )
    async def test_what_is_no_key_is_refused_with_all_that_came_with_it(
        self, alice: Client, keys: dict[str, Any], errcode: str
    ) -> None:
        body = {"one_time_keys": {"curve25519:A": "good", **keys}}
        assert await alice.refused("POST", "/v3/keys/upload", body) == (400, errcode)
        assert await self.upload(alice, {}) == {}

    async def test_unknown_users_and_devices_are_missing_from_the_claim(self, alice: Client, bob: Client) -> None:
        body = {"one_time_keys": {"@nobody:tab.test": {"A": "curve25519"}, alice.user_id: {"NOWHERE": "curve25519"}}}
        assert await bob.post("/v3/keys/claim", body) == {"one_time_keys": {}, "failures": {}}


class TestFallbackKeys:
    async def upload(self, client: Client, keys: dict[str, Any]) -> None:
        await client.post("/v3/keys/upload", {"fallback_keys": keys})

    async def unused(self, server: TestServer, owner: Client) -> list[str]:
        return await server.read(lambda db: unused_fallback_key_types(db, owner.user_id, owner.device_id))

    async def test_it_is_given_again_and_again_when_no_one_time_key_is_left(
        self, server: TestServer, alice: Client, bob: Client
    ) -> None:
        keys = DeviceKeys.of(alice)
        fallback = keys.one_time_keys("F", fallback=True)
        await alice.post("/v3/keys/upload", {"one_time_keys": keys.one_time_keys("A"), "fallback_keys": fallback})
        assert await claim(bob, alice) == keys.one_time_keys("A")
        assert await self.unused(server, alice) == ["signed_curve25519"]
        assert [await claim(bob, alice) for _ in range(2)] == [fallback, fallback]
        assert await self.unused(server, alice) == []

    async def test_a_new_one_is_unused_the_same_again_is_not(
        self, server: TestServer, alice: Client, bob: Client
    ) -> None:
        keys = DeviceKeys.of(alice)
        await self.upload(alice, keys.one_time_keys("F", fallback=True))
        await claim(bob, alice)
        await self.upload(alice, keys.one_time_keys("F", fallback=True))
        assert await self.unused(server, alice) == []
        await self.upload(alice, keys.one_time_keys("G", fallback=True))
        assert await self.unused(server, alice) == ["signed_curve25519"]
        assert await claim(bob, alice) == keys.one_time_keys("G", fallback=True)
