"""Spaces that lead over to other servers, and what those are told of ours."""

import pytest

from federation_api.asking import ask
from helpers.carried_rooms import join_by_hand
from helpers.federation import Network
from helpers.homeserver import Client, Json, TestServer, quoted
from tabstead.errors import PeerMisbehaved
from tabstead.federation.hierarchy import read_hierarchy


@pytest.fixture
async def alice(right: TestServer) -> Client:
    return await right.register("alice")


@pytest.fixture
async def bob(left: TestServer) -> Client:
    return await left.register("bob")


async def create_space(client: Client, *children: str, via: str = "right.test", **options: str) -> str:
    """A public space with these children in this order."""
    space = await client.create_room(preset="public_chat", creation_content={"type": "m.space"}, **options)
    for number, child in enumerate(children):
        await client.send_state(space, "m.space.child", {"via": [via], "order": f"{number:03}"}, child)
    return space


async def create_restricted(client: Client, condition: str) -> str:
    rules = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": condition}]}
    return await client.create_room(initial_state=[{"type": "m.room.join_rules", "content": rules}])


def ids(rooms: list[Json]) -> list[str]:
    return [room["room_id"] for room in rooms]


class TestWhatServersAreTold:
    async def test_a_space_with_the_children_that_the_server_could_see(
        self, left: TestServer, right: TestServer, alice: Client, bob: Client
    ) -> None:
        club = await alice.create_room(preset="public_chat")
        public, private = await alice.create_room(preset="public_chat", name="Public"), await alice.create_room()
        restricted, invited = await create_restricted(alice, club), await alice.create_room()
        space = await create_space(alice, public, private, restricted, invited, "!unknown")
        path = f"/hierarchy/{quoted(space)}"

        status, told = await ask(left, right, "GET", path)
        assert status == 200
        assert told["room"]["room_id"] == space
        assert len(told["room"]["children_state"]) == 5
        assert ids(told["children"]) == [public]
        assert told["inaccessible_children"] == [private, restricted, invited]

        await join_by_hand(bob, club, right)
        await alice.send_state(invited, "m.room.history_visibility", {"history_visibility": "world_readable"})
        _, told = await ask(left, right, "GET", path)
        assert ids(told["children"]) == [public, restricted, invited]
        assert told["children"][1]["allowed_room_ids"] == [club]

    async def test_of_what_is_not_open_to_it_a_server_learns_nothing(
        self, left: TestServer, right: TestServer, alice: Client
    ) -> None:
        private = await alice.create_room(creation_content={"type": "m.space"})
        banning = await create_space(alice)
        await alice.send_state(banning, "m.room.server_acl", {"allow": ["*"], "deny": ["left.test"]})
        for room_id in (private, banning, "!unknown"):
            status, body = await ask(left, right, "GET", f"/hierarchy/{quoted(room_id)}")
            assert (status, body["errcode"]) == (404, "M_NOT_FOUND")

    async def test_only_suggested_children(self, left: TestServer, right: TestServer, alice: Client) -> None:
        rooms = [await alice.create_room(preset="public_chat") for _ in range(2)]
        space = await create_space(alice, *rooms)
        await alice.send_state(space, "m.space.child", {"via": ["right.test"], "suggested": True}, rooms[1])
        _, told = await ask(left, right, "GET", f"/hierarchy/{quoted(space)}", suggested_only="true")
        assert ids(told["children"]) == [child["state_key"] for child in told["room"]["children_state"]] == [rooms[1]]


class TestAClientsWalk:
    async def walk(self, client: Client, root: str, **query: object) -> list[str]:
        """All pages."""
        found: list[str] = []
        while True:
            page = await client.get(f"/v1/rooms/{quoted(root)}/hierarchy", **query)
            found += ids(page["rooms"])
            if "next_batch" not in page:
                return found
            query["from"] = page["next_batch"]

    async def test_a_walk_goes_over_to_another_server_and_comes_back(self, alice: Client, bob: Client) -> None:
        here, there = await bob.create_room(), await alice.create_room(preset="public_chat")
        inner = await create_space(alice, there, await alice.create_room())
        outer = await create_space(alice, inner)
        root = await create_space(bob, outer, here)
        # The loop is closed, by way of the other server.
        await alice.send_state(inner, "m.space.child", {"via": ["left.test"], "order": "zzz"}, root)

        assert await self.walk(bob, root) == [root, outer, inner, there, here]
        assert await self.walk(bob, root, limit=1) == [root, outer, inner, there, here]
        assert await self.walk(bob, root, max_depth=1) == [root, outer, here]
        page = await bob.get(f"/v1/rooms/{root}/hierarchy")
        assert [len(room["children_state"]) for room in page["rooms"]] == [2, 1, 3, 0, 0]

    async def test_a_space_elsewhere_is_walked_from_its_root(self, alice: Client, bob: Client) -> None:
        room = await alice.create_room(preset="public_chat")
        space = await create_space(alice, room, room_version="11")
        assert await self.walk(bob, space) == [space, room]
        hidden = await alice.create_room(room_version="11")
        path = f"/v1/rooms/{quoted(hidden)}/hierarchy"
        assert await bob.refused("GET", path) == (403, "M_FORBIDDEN")

    async def test_a_restricted_room_is_shown_to_those_who_may_join(self, alice: Client, bob: Client) -> None:
        carol = await bob.server.register("carol")
        club = await alice.create_room(preset="public_chat")
        await join_by_hand(bob, club, alice.server)
        restricted = await create_restricted(alice, club)
        root = await create_space(bob, restricted)
        assert await self.walk(bob, root) == [root, restricted]
        assert await self.walk(carol, root) == [root]

    async def test_who_is_away_is_passed_over_and_asked_again_another_time(
        self, network: Network, alice: Client, bob: Client
    ) -> None:
        there, here = await alice.create_room(preset="public_chat"), await bob.create_room()
        root = await create_space(bob, there, here)
        network.cut("left.test", "right.test")
        assert await self.walk(bob, root) == [root, here]
        network.mend("left.test", "right.test")
        assert await self.walk(bob, root) == [root, there, here]
        network.cut("left.test", "right.test")
        assert await self.walk(bob, root) == [root, there, here]  # as it was told a moment ago

    async def test_a_page_asks_for_so_many_rooms_at_most(self, network: Network, bob: Client) -> None:
        root = await create_space(bob, *(f"!{number}" for number in range(60)))
        assert await self.walk(bob, root) == [root]
        assert len([1 for _, request in network.requests if "/hierarchy/" in request.target]) == 50


class TestASummary:
    async def test_of_a_room_elsewhere(self, alice: Client, bob: Client) -> None:
        room_id = await alice.create_room(preset="public_chat", name="Garden", room_alias_name="garden")
        for path, query in ((quoted(room_id), {"via": "right.test"}), (quoted("#garden:right.test"), {})):
            summary = await bob.get(f"/v1/room_summary/{path}", **query)
            assert (summary["room_id"], summary["name"], summary["membership"]) == (room_id, "Garden", "leave")
        stranger = bob.server.anonymous()
        path = f"/v1/room_summary/{quoted(room_id)}"
        assert await stranger.refused("GET", path, via="right.test") == (404, "M_NOT_FOUND")

    async def test_who_is_invited_sees_what_they_are_invited_to(
        self, alice: Client, bob: Client, right: TestServer
    ) -> None:
        room = await alice.create_room(preset="public_chat", name="Inside")
        space = await alice.create_room(creation_content={"type": "m.space"}, name="Private")
        await alice.send_state(space, "m.space.child", {"via": ["right.test"]}, room)
        path = f"/v1/room_summary/{quoted(space)}"
        assert await bob.refused("GET", path) == (404, "M_NOT_FOUND")
        await alice.post(f"/v3/rooms/{space}/invite", {"user_id": bob.user_id})
        summary = await bob.get(path)
        assert (summary["name"], summary["membership"]) == ("Private", "invite")
        page = await bob.get(f"/v1/rooms/{quoted(space)}/hierarchy")
        assert ids(page["rooms"]) == [space, room]

    async def test_of_a_room_that_is_closed_or_out_of_reach(self, alice: Client, bob: Client) -> None:
        private = await alice.create_room()
        for room_id, via in ((private, "right.test"), (private, "away.test"), ("!unknown", "right.test")):
            path = f"/v1/room_summary/{quoted(room_id)}"
            assert await bob.refused("GET", path, via=via) == (404, "M_NOT_FOUND")


def test_an_answer_tells_of_the_room_and_its_children_alone() -> None:
    def child(room_id: str) -> Json:
        content = {"via": ["right.test"]}
        return {
            "type": "m.space.child",
            "state_key": room_id,
            "sender": "@a:right.test",
            "content": content,
            "origin_server_ts": 1,
        }

    answer = {
        "room": {"room_id": "!a", "children_state": [child("!b"), child("!c"), child("!a"), {"type": "m.space.child"}]},
        "children": [{"room_id": "!b", "room_type": "m.space"}, {"room_id": "!other"}, {"room_id": "!a"}, None],
        "inaccessible_children": ["!c", "!b", "!other", 3],
    }
    told = read_hierarchy("!a", answer)
    assert told.keys() == {"!a", "!b", "!c"}
    room, inner = told["!a"], told["!b"]
    assert room is not None
    assert room.children is not None
    assert [each["state_key"] for each in room.children] == ["!b", "!c", "!a"]
    assert inner is not None
    assert inner.children is None
    assert told["!c"] is None
    for nonsense in ({}, {"room": None}, {"room": {"room_id": "!b"}}):
        with pytest.raises(PeerMisbehaved):
            read_hierarchy("!a", nonsense)
