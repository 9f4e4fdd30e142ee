"""Rooms that are found on other servers: by an alias, or in their directory."""

import pytest

from federation_api.asking import ask
from helpers.federation import Network
from helpers.homeserver import TestServer, quoted
from tabstead.federation.room_summaries import read_summary


async def test_an_alias_is_resolved_by_its_own_server(left: TestServer, right: TestServer) -> None:
    alice = await right.register("alice")
    room_id = await alice.create_room(room_alias_name="garden")
    bob = await left.register("bob")
    found = await bob.get(f"/v3/directory/room/{quoted('#garden:right.test')}")
    assert found == {"room_id": room_id, "servers": ["right.test"]}


async def test_an_alias_that_its_server_does_not_know_is_not_found(network: Network) -> None:
    bob = await network.servers["left.test"].register("bob")
    path = f"/v3/directory/room/{quoted('#garden:right.test')}"
    assert await bob.refused("GET", path) == (404, "M_NOT_FOUND")
    network.cut("left.test", "right.test")
    assert await bob.refused("GET", path) == (504, "M_UNKNOWN")


async def test_a_server_answers_for_its_own_aliases_alone(left: TestServer, right: TestServer) -> None:
    status, body = await ask(left, right, "GET", "/query/directory", room_alias="#garden:left.test")
    assert (status, body["errcode"]) == (404, "M_NOT_FOUND")
    status, body = await ask(left, right, "GET", "/query/directory", room_alias="garden")
    assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")
    status, body = await ask(left, right, "GET", "/query/directory")
    assert (status, body["errcode"]) == (400, "M_MISSING_PARAM")


async def test_an_alias_of_another_server_is_canonical_where_it_leads_to_the_room(
    left: TestServer, right: TestServer
) -> None:
    alice, bob = await right.register("alice"), await left.register("bob")
    await alice.create_room(room_alias_name="garden")
    room_id = await bob.create_room(preset="public_chat")
    await alice.post(f"/v3/join/{quoted(room_id)}", {}, server_name="left.test")
    await alice.put(f"/v3/directory/room/{quoted('#yard:right.test')}", {"room_id": room_id})

    path = f"/v3/rooms/{quoted(room_id)}/state/m.room.canonical_alias/"
    for alias in ("#garden:right.test", "#nothing:right.test", "#yard:away.test"):
        assert await bob.refused("PUT", path, {"alias": alias}) == (400, "M_BAD_ALIAS")
    await bob.put(path, {"alias": "#yard:right.test"})
    assert await bob.state(room_id, "m.room.canonical_alias") == {"alias": "#yard:right.test"}


class TestPublicRooms:
    @pytest.fixture
    async def listed(self, right: TestServer) -> list[str]:
        """Three rooms in the directory, the one with the most members first, and one that isn't."""
        alice, carol = await right.register("alice"), await right.register("carol")
        options = {"visibility": "public", "preset": "public_chat"}
        small, space, large = [
            await alice.create_room(**options, name=name, creation_content=content)
            for name, content in (("small garden", {}), ("space", {"type": "m.space"}), ("large garden", {}))
        ]
        await alice.create_room(name="hidden garden")
        await carol.join(large)
        return [large, small, space]

    async def test_the_directory_is_told_in_pages(self, left: TestServer, right: TestServer, listed: list[str]) -> None:
        status, first = await ask(left, right, "GET", "/publicRooms", limit="2")
        assert status == 200
        assert [room["room_id"] for room in first["chunk"]] == listed[:2]
        assert first["total_room_count_estimate"] == 3
        _, rest = await ask(left, right, "POST", "/publicRooms", {"since": first["next_batch"]})
        assert [room["room_id"] for room in rest["chunk"]] == listed[2:]
        assert "next_batch" not in rest

    async def test_a_client_looks_into_another_servers_directory(
        self, network: Network, left: TestServer, listed: list[str]
    ) -> None:
        bob = await left.register("bob")
        page = await bob.get("/v3/publicRooms", server="right.test", limit=1)
        [room] = page["chunk"]
        assert (room["room_id"], room["name"], room["num_joined_members"]) == (listed[0], "large garden", 2)
        page = await bob.get("/v3/publicRooms", server="right.test", since=page["next_batch"])
        assert [room["room_id"] for room in page["chunk"]] == listed[1:]
        wanted = {"generic_search_term": "garden", "room_types": [None]}
        page = await bob.post("/v3/publicRooms", {"filter": wanted}, server="right.test")
        assert {room["name"] for room in page["chunk"]} == {"large garden", "small garden"}
        page = await bob.post("/v3/publicRooms", {"third_party_instance_id": "irc"}, server="right.test")
        assert page["chunk"] == []
        assert (await bob.get("/v3/publicRooms"))["chunk"] == []

    async def test_nobody_looks_through_a_server_without_an_account(self, left: TestServer, right: TestServer) -> None:
        path, stranger = "/v3/publicRooms", left.anonymous()
        assert await stranger.refused("GET", path, server="right.test") == (401, "M_MISSING_TOKEN")
        assert (await stranger.get(path, server="left.test"))["chunk"] == []

    async def test_a_server_that_is_away_or_none(self, network: Network, left: TestServer) -> None:
        bob = await left.register("bob")
        assert await bob.refused("GET", "/v3/publicRooms", server="no server") == (400, "M_INVALID_PARAM")
        assert await bob.refused("GET", "/v3/publicRooms", server="away.test") == (504, "M_UNKNOWN")

    async def test_what_a_server_says_of_rooms_is_made_fit_to_be_shown(self) -> None:
        good = {"room_id": "!a:right.test", "num_joined_members": 3, "world_readable": True, "guest_can_join": False}
        bad = {
            "name": 3,
            "topic": None,
            "avatar_url": "https://right.test",
            "canonical_alias": "a",
            "membership": "join",
        }
        assert read_summary({**good, **bad}) == good
        assert read_summary({"room_id": "!a"}) == {
            "room_id": "!a",
            "num_joined_members": 0,
            "world_readable": False,
            "guest_can_join": False,
        }
        for nothing in (None, [], {}, {"room_id": 7}, {"room_id": "#a:b"}):
            assert read_summary(nothing) is None
