"""GET /rooms/{roomId}/hierarchy and /room_summary: what a room tells those who are not in it."""

from itertools import pairwise
from typing import Any

import pytest

from helpers.homeserver import Client, Json, TestServer, quoted


async def create_space(client: Client, **options: Any) -> str:
    return await client.create_room(creation_content={"type": "m.space"}, **options)


async def put_into(client: Client, space: str, child: str, **content: Any) -> None:
    await client.send_state(space, "m.space.child", {"via": ["tab.test"], **content}, child)


async def hierarchy(client: Client, space: str, **query: Any) -> list[str]:
    page = await client.get(f"/v1/rooms/{space}/hierarchy", **query)
    return [room["room_id"] for room in page["rooms"]]


class TestTheHierarchy:
    async def test_spaces_are_walked_before_what_comes_after_them(self, alice: Client) -> None:
        root, inner = await create_space(alice, name="Root"), await create_space(alice, name="Inner")
        rooms = [await alice.create_room(name=f"{number}") for number in range(3)]
        await put_into(alice, root, inner, order="a")
        await put_into(alice, root, rooms[0], order="b")
        await put_into(alice, inner, rooms[1])
        await put_into(alice, inner, rooms[2])

        page = await alice.get(f"/v1/rooms/{root}/hierarchy")
        assert [room["room_id"] for room in page["rooms"]] == [root, inner, rooms[1], rooms[2], rooms[0]]
        assert "next_batch" not in page
        assert page["rooms"][0]["room_type"] == "m.space"
        assert page["rooms"][0]["room_version"] == "12"
        [first, second] = page["rooms"][0]["children_state"]
        assert (first["type"], first["state_key"], first["sender"]) == ("m.space.child", inner, alice.user_id)
        assert first["content"] == {"via": ["tab.test"], "order": "a"}
        assert second["origin_server_ts"] > first["origin_server_ts"]
        assert page["rooms"][2]["children_state"] == []

    async def test_children_are_ordered_as_clients_show_them(self, server: TestServer, alice: Client) -> None:
        root = await create_space(alice)
        rooms = {name: await alice.create_room(name=name) for name in ("b", "a", "c", "e", "d", "f")}
        for name, content in (
            ("c", {"order": "first"}),
            ("e", {}),
            ("b", {"order": " "}),
            ("d", {"order": "not\tvalid"}),
            ("a", {"order": "aaaa"}),
            ("f", {"order": "x" * 51}),
        ):
            await put_into(alice, root, rooms[name], **content)

        assert await hierarchy(alice, root) == [root, *(rooms[name] for name in ("b", "a", "c", "e", "d", "f"))]

    async def test_a_child_without_servers_is_none(self, alice: Client) -> None:
        root, room = await create_space(alice), await alice.create_room()
        await put_into(alice, root, room)
        await put_into(alice, root, "!far")
        await alice.send_state(root, "m.space.child", {"via": "tab.test"}, room)

        page = await alice.get(f"/v1/rooms/{root}/hierarchy")
        assert [room["room_id"] for room in page["rooms"]] == [root]
        assert [child["state_key"] for child in page["rooms"][0]["children_state"]] == ["!far"]

    async def test_loops_end_and_no_room_comes_twice(self, alice: Client) -> None:
        one, two, room = await create_space(alice), await create_space(alice), await alice.create_room()
        for space, child in ((one, two), (two, one), (one, one), (one, room), (two, room)):
            await put_into(alice, space, child)

        assert await hierarchy(alice, one) == [one, two, room]

    async def test_the_walk_goes_so_deep(self, alice: Client) -> None:
        spaces = [await create_space(alice) for _ in range(4)]
        for parent, child in pairwise(spaces):
            await put_into(alice, parent, child)

        assert await hierarchy(alice, spaces[0], max_depth=0) == spaces[:1]
        assert await hierarchy(alice, spaces[0], max_depth=2) == spaces[:3]
        assert await hierarchy(alice, spaces[0]) == spaces

    async def test_only_what_is_suggested(self, alice: Client) -> None:
        root, space = await create_space(alice), await create_space(alice)
        rooms = [await alice.create_room() for _ in range(3)]
        await put_into(alice, root, space)
        await put_into(alice, space, rooms[0], suggested=True)
        await put_into(alice, root, rooms[1], suggested=True)
        await put_into(alice, root, rooms[2], suggested="yes")

        page = await alice.get(f"/v1/rooms/{root}/hierarchy", suggested_only=True)
        assert [room["room_id"] for room in page["rooms"]] == [root, rooms[1]]
        assert [child["state_key"] for child in page["rooms"][0]["children_state"]] == [rooms[1]]

    async def test_pages_are_parts_of_the_whole(self, alice: Client) -> None:
        root, inner, loop = [await create_space(alice) for _ in range(3)]
        rooms = [await alice.create_room() for _ in range(4)]
        for space, children in (
            (root, [inner, *rooms[:2]]),
            (inner, [rooms[2], loop, rooms[0]]),
            (loop, [root, rooms[3]]),
        ):
            for child in children:
                await put_into(alice, space, child)
        whole = await hierarchy(alice, root)
        assert whole == [root, inner, rooms[2], loop, rooms[3], rooms[0], rooms[1]]

        for limit in (1, 2, 3, 6):
            found: list[str] = []
            query: dict[str, Any] = {}
            while True:
                page = await alice.get(f"/v1/rooms/{root}/hierarchy", limit=limit, **query)
                assert 0 < len(page["rooms"]) <= limit
                found += [room["room_id"] for room in page["rooms"]]
                if "next_batch" not in page:
                    break
                query = {"from": page["next_batch"]}
            assert found == whole

    async def test_what_one_may_not_know_of_is_passed_over(
        self, server: TestServer, alice: Client, bob: Client
    ) -> None:
        root = await create_space(alice, preset="public_chat")
        allow = [{"type": "m.room_membership", "room_id": root}]

        def with_rules(join_rule: str, **more: Any) -> list[Json]:
            return [{"type": "m.room.join_rules", "content": {"join_rule": join_rule, **more}}]

        world = [{"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}}]
        rooms = {
            "secret": await alice.create_room(),
            "secret space": await create_space(alice),
            "public": await alice.create_room(preset="public_chat"),
            "knock": await alice.create_room(initial_state=with_rules("knock")),
            "restricted": await alice.create_room(initial_state=with_rules("restricted", allow=allow)),
            "readable": await alice.create_room(initial_state=world),
            "invited": await alice.create_room(invite=[bob.user_id]),
            "banned": await alice.create_room(preset="public_chat"),
        }
        beneath_the_secret = await alice.create_room(preset="public_chat")
        await put_into(alice, rooms["secret space"], beneath_the_secret)
        await alice.post(f"/v3/rooms/{rooms['banned']}/ban", {"user_id": bob.user_id})
        for room in rooms.values():
            await put_into(alice, root, room)

        visible = [rooms[name] for name in ("public", "knock", "readable", "invited")]
        assert await hierarchy(bob, root) == [root, *visible]
        await bob.join(root)
        page = (await bob.get(f"/v1/rooms/{root}/hierarchy"))["rooms"]
        assert rooms["restricted"] in [room["room_id"] for room in page]
        assert [room["allowed_room_ids"] for room in page if "allowed_room_ids" in room] == [[root]]

    async def test_requests_that_are_refused(self, alice: Client, bob: Client) -> None:
        root, room = await create_space(alice), await alice.create_room()
        await put_into(alice, root, room)
        path = f"/v1/rooms/{root}/hierarchy"
        token = (await alice.get(path, limit=1, max_depth=3))["next_batch"]

        assert await bob.refused("GET", path) == (403, "M_FORBIDDEN")
        assert await bob.refused("GET", "/v1/rooms/!nowhere/hierarchy") == (403, "M_FORBIDDEN")
        for query in (
            {"limit": 0},
            {"limit": "many"},
            {"max_depth": -1},
            {"from": "h1"},
            {"from": token, "max_depth": 2},
            {"from": token, "max_depth": 3, "suggested_only": True},
        ):
            assert await alice.refused("GET", path, **query) == (400, "M_INVALID_PARAM")
        other = f"/v1/rooms/{await create_space(alice)}/hierarchy"
        assert await alice.refused("GET", other, max_depth=3, **{"from": token}) == (400, "M_INVALID_PARAM")
        # A token is only a place: what its owner may not see stays hidden.
        forged = token.rpartition("_")[0] + ".ffffffffffffffffffff_1"
        assert await hierarchy(alice, root, max_depth=3, **{"from": forged}) == [room]


class TestTheSummary:
    async def test_what_it_says(self, alice: Client, bob: Client) -> None:
        allow = [{"type": "m.room_membership", "room_id": "!club"}]
        rules = {"join_rule": "knock_restricted", "allow": allow}
        room_id = await alice.create_room(
            name="Kitchen",
            room_alias_name="kitchen",
            initial_state=[
                {"type": "m.room.join_rules", "content": rules},
                {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
            ],
        )

        summary = {
            "room_id": room_id,
            "name": "Kitchen",
            "canonical_alias": "#kitchen:tab.test",
            "num_joined_members": 1,
            "world_readable": False,
            "guest_can_join": True,
            "join_rule": "knock_restricted",
            "allowed_room_ids": ["!club"],
            "encryption": "m.megolm.v1.aes-sha2",
            "room_version": "12",
        }
        assert await alice.get(f"/v1/room_summary/{room_id}") == {**summary, "membership": "join"}
        by_alias = f"/v1/room_summary/{quoted('#kitchen:tab.test')}"
        assert await bob.get(by_alias, via="far.test") == {**summary, "membership": "leave"}
        await bob.post(f"/v3/knock/{room_id}")
        assert (await bob.get(by_alias))["membership"] == "knock"
        assert await bob.server.anonymous().get(by_alias) == summary

    @pytest.mark.parametrize(
        ("event_type", "content", "is_open"),
        [
            ("m.room.join_rules", {"join_rule": "public"}, True),
            ("m.room.join_rules", {"join_rule": "knock"}, True),
            ("m.room.history_visibility", {"history_visibility": "world_readable"}, True),
            ("m.room.join_rules", {"join_rule": "restricted", "allow": []}, False),
            ("m.room.join_rules", {"join_rule": ["public"]}, False),
            ("m.room.history_visibility", {"history_visibility": "shared"}, False),
        ],
    )
    async def test_who_does_not_say_who_they_are(
        self, server: TestServer, alice: Client, event_type: str, content: Json, is_open: bool
    ) -> None:
        room_id = await alice.create_room()
        await alice.send_state(room_id, event_type, content)

        answer = await server.anonymous().answer("GET", f"/v1/room_summary/{room_id}")
        assert answer.status == (200 if is_open else 404)

    async def test_what_it_is_not_asked_of(self, alice: Client, bob: Client) -> None:
        room_id = await alice.create_room()

        assert await bob.refused("GET", f"/v1/room_summary/{room_id}") == (404, "M_NOT_FOUND")
        assert await bob.refused("GET", f"/v1/room_summary/{quoted('#none:tab.test')}") == (404, "M_NOT_FOUND")
        assert await bob.refused("GET", "/v1/room_summary/kitchen") == (400, "M_INVALID_PARAM")
