"""Profiles across servers: as their server tells them, and as rooms do while it is away."""

import pytest

from federation_api.asking import ask
from helpers.carried_rooms import join_by_hand
from helpers.federation import Network
from helpers.homeserver import Client, TestServer

ALICE = "/v3/profile/@alice:right.test"


@pytest.fixture
async def alice(right: TestServer) -> Client:
    alice = await right.register("alice")
    await alice.put(f"{ALICE}/displayname", {"displayname": "Alice"})
    await alice.put(f"{ALICE}/m.tz", {"m.tz": "Europe/London"})
    return alice


@pytest.fixture
async def bob(left: TestServer) -> Client:
    return await left.register("bob")


class TestTheQuery:
    async def test_all_fields_are_told_or_the_one_that_is_asked_for(
        self, left: TestServer, right: TestServer, alice: Client
    ) -> None:
        whole = {"displayname": "Alice", "m.tz": "Europe/London"}
        assert await ask(left, right, "GET", "/query/profile", user_id=alice.user_id) == (200, whole)
        for name in ("displayname", "m.tz"):
            answer = await ask(left, right, "GET", "/query/profile", user_id=alice.user_id, field=name)
            assert answer == (200, {name: whole[name]})
        assert await ask(left, right, "GET", "/query/profile", user_id=alice.user_id, field="avatar_url") == (200, {})

    @pytest.mark.parametrize("user_id", ["@nobody:right.test", "@bob:left.test", "@gone:right.test"])
    async def test_who_is_no_user_of_the_server_has_no_profile(
        self, left: TestServer, right: TestServer, bob: Client, user_id: str
    ) -> None:
        gone = await right.register("gone", "pass word")
        auth = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": "gone"},
            "password": "pass word",
        }
        await gone.post("/v3/account/deactivate", {"auth": auth})
        status, body = await ask(left, right, "GET", "/query/profile", user_id=user_id)
        assert (status, body["errcode"]) == (404, "M_NOT_FOUND")

    async def test_other_queries_are_not_known(self, left: TestServer, right: TestServer) -> None:
        status, body = await ask(left, right, "GET", "/query/horoscope", sign="taurus")
        assert (status, body["errcode"]) == (404, "M_UNRECOGNIZED")


class TestAClientsQuestion:
    async def test_a_remote_profile_is_that_of_its_server(self, alice: Client, bob: Client) -> None:
        assert await bob.get(ALICE) == {"displayname": "Alice", "m.tz": "Europe/London"}
        assert await bob.get(f"{ALICE}/m.tz") == {"m.tz": "Europe/London"}
        assert await bob.refused("GET", f"{ALICE}/avatar_url") == (404, "M_NOT_FOUND")
        assert await bob.refused("GET", "/v3/profile/@nobody:right.test") == (404, "M_NOT_FOUND")

    async def test_what_was_asked_lately_is_not_asked_again(self, network: Network, alice: Client, bob: Client) -> None:
        await bob.get(ALICE)
        await alice.put(f"{ALICE}/displayname", {"displayname": "Alice Liddell"})
        asked = len(network.requests)
        assert (await bob.get(ALICE))["displayname"] == "Alice"
        assert len(network.requests) == asked
        bob.server.clock.now += 3_600_000
        assert (await bob.get(ALICE))["displayname"] == "Alice Liddell"

    async def test_while_the_server_is_away_a_shared_room_tells_the_name(
        self, network: Network, alice: Client, bob: Client
    ) -> None:
        room_id = await alice.create_room(preset="public_chat")
        network.cut("left.test", "right.test")
        assert await bob.refused("GET", ALICE) == (504, "M_UNKNOWN")
        await join_by_hand(bob, room_id, alice.server)
        assert await bob.get(ALICE) == {"displayname": "Alice"}
        assert await bob.server.anonymous().refused("GET", ALICE) == (504, "M_UNKNOWN")
        eve = await bob.server.register("eve")
        assert await eve.refused("GET", ALICE) == (504, "M_UNKNOWN")


class TestTheUserDirectory:
    async def search(self, client: Client, term: str) -> list[tuple[str, str | None]]:
        found = await client.post("/v3/user_directory/search", {"search_term": term})
        return [(user["user_id"], user.get("display_name")) for user in found["results"]]

    async def test_who_shares_a_room_from_afar_is_found_while_they_are_in_it(self, alice: Client, bob: Client) -> None:
        room_id = await bob.create_room(preset="public_chat")
        await join_by_hand(alice, room_id, bob.server)
        assert await self.search(bob, "alice") == [("@alice:right.test", "Alice")]
        assert await self.search(alice, "bob") == [("@bob:left.test", None)]
        await alice.leave(room_id)
        await join_by_hand(bob, room_id, alice.server)
        assert await self.search(bob, "alice") == []

    async def test_the_name_of_a_private_room_is_nobodys_business_elsewhere(self, alice: Client, bob: Client) -> None:
        carol = await bob.server.register("carol")
        public, secret = await bob.create_room(preset="public_chat"), await bob.create_room(preset="public_chat")
        for room_id in (public, secret):
            await join_by_hand(alice, room_id, bob.server)
        await bob.send_state(secret, "m.room.join_rules", {"join_rule": "invite"})
        await join_by_hand(alice, secret, bob.server)
        await alice.send_state(
            secret, "m.room.member", {"membership": "join", "displayname": "Jabberwock"}, alice.user_id
        )
        await join_by_hand(bob, secret, alice.server)
        assert await self.search(carol, "jabber") == []
        assert await self.search(carol, "alice") == [("@alice:right.test", "Alice")]

    async def test_rooms_in_common_with_a_user_of_another_server(self, alice: Client, bob: Client) -> None:
        room_id = await bob.create_room(preset="public_chat")
        await join_by_hand(alice, room_id, bob.server)
        assert (await bob.get("/v1/mutual_rooms", user_id=alice.user_id))["joined"] == [room_id]
