"""Aliases and the room directory."""

from helpers.homeserver import Client, TestServer, quoted


def alias_path(room_alias: str) -> str:
    return f"/v3/directory/room/{quoted(room_alias)}"


async def test_an_alias_lives_and_dies(server: TestServer, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    path = alias_path("#tea:tab.test")
    assert await bob.refused("PUT", path, {"room_id": room_id}) == (403, "M_FORBIDDEN")
    await alice.put(path, {"room_id": room_id})

    assert (await alice.refused("PUT", path, {"room_id": room_id}))[0] == 409
    assert await server.anonymous().get(path) == {"room_id": room_id, "servers": ["tab.test"]}
    assert await alice.get(f"/v3/rooms/{room_id}/aliases") == {"aliases": ["#tea:tab.test"]}
    assert await bob.refused("DELETE", path) == (403, "M_FORBIDDEN")
    await alice.delete(path)
    assert await alice.refused("GET", path) == (404, "M_NOT_FOUND")
    assert await alice.refused("DELETE", path) == (404, "M_NOT_FOUND")


async def test_what_is_no_alias_of_this_server(alice: Client) -> None:
    room_id = await alice.create_room()
    for name in ("tea", "tea:tab.test", "#tea", "#:tab.test"):
        assert await alice.refused("PUT", alias_path(name), {"room_id": room_id}) == (400, "M_INVALID_PARAM")
    assert await alice.refused("PUT", alias_path("#tea:far.test"), {"room_id": room_id}) == (400, "M_INVALID_PARAM")
    assert await alice.refused("GET", alias_path("#tea:far.test")) == (404, "M_NOT_FOUND")
    assert await alice.refused("PUT", alias_path("#tea:tab.test"), {"room_id": "!no"}) == (404, "M_NOT_FOUND")
    assert await alice.refused("PUT", alias_path("#tea:tab.test"), {}) == (400, "M_MISSING_PARAM")


async def test_a_deleted_alias_is_no_longer_canonical(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(room_alias_name="one", preset="public_chat")
    await bob.join(room_id)
    await bob.put(alias_path("#two:tab.test"), {"room_id": room_id})
    content = {"alias": "#one:tab.test", "alt_aliases": ["#two:tab.test"]}
    await alice.send_state(room_id, "m.room.canonical_alias", content)

    await bob.delete(alias_path("#two:tab.test"))
    assert await alice.state(room_id, "m.room.canonical_alias") == content
    await alice.delete(alias_path("#one:tab.test"))
    assert await alice.state(room_id, "m.room.canonical_alias") == {"alt_aliases": ["#two:tab.test"]}


async def test_the_directory_lists_what_is_made_public(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    path = f"/v3/directory/list/room/{room_id}"
    assert await bob.get(path) == {"visibility": "private"}
    assert (await bob.get("/v3/publicRooms"))["chunk"] == []

    assert await bob.refused("PUT", path, {"visibility": "public"}) == (403, "M_FORBIDDEN")
    assert await alice.refused("PUT", path, {"visibility": "hidden"}) == (400, "M_INVALID_PARAM")
    await alice.put(path, {})
    assert await bob.get(path) == {"visibility": "public"}
    assert [room["room_id"] for room in (await bob.get("/v3/publicRooms"))["chunk"]] == [room_id]
    await alice.put(path, {"visibility": "private"})
    assert (await bob.get("/v3/publicRooms"))["chunk"] == []
    assert await bob.refused("GET", "/v3/directory/list/room/!no") == (404, "M_NOT_FOUND")


async def test_what_the_directory_says_of_a_room(server: TestServer, alice: Client) -> None:
    room_id = await alice.create_room(
        visibility="public",
        room_alias_name="garden",
        name="Garden",
        topic="Weeds",
        creation_content={"type": "m.space"},
        initial_state=[
            {"type": "m.room.avatar", "content": {"url": "mxc://tab.test/rose"}},
            {"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}},
            {"type": "m.room.guest_access", "content": {"guest_access": "can_join"}},
        ],
    )

    assert await server.anonymous().get("/v3/publicRooms") == {
        "chunk": [
            {
                "room_id": room_id,
                "num_joined_members": 1,
                "world_readable": True,
                "guest_can_join": True,
                "name": "Garden",
                "topic": "Weeds",
                "canonical_alias": "#garden:tab.test",
                "avatar_url": "mxc://tab.test/rose",
                "join_rule": "public",
                "room_type": "m.space",
            }
        ],
        "total_room_count_estimate": 1,
    }


async def test_the_directory_is_searched_and_paged(alice: Client, bob: Client) -> None:
    rooms = [await alice.create_room(visibility="public", name=f"Room {number}") for number in range(5)]
    space = await alice.create_room(visibility="public", name="All", creation_content={"type": "m.space"})
    await bob.join(rooms[3])

    first = await bob.post("/v3/publicRooms", {"limit": 4})
    assert [room["room_id"] for room in first["chunk"]] == [rooms[3], rooms[0], rooms[1], rooms[2]]
    assert "prev_batch" not in first
    second = await bob.post("/v3/publicRooms", {"limit": 4, "since": first["next_batch"]})
    assert [room["room_id"] for room in second["chunk"]] == [rooms[4], space]
    assert "next_batch" not in second
    back = await bob.get("/v3/publicRooms", limit=4, since=second["prev_batch"])
    assert back["chunk"] == first["chunk"]

    async def found(**wanted: object) -> list[str]:
        answer = await bob.post("/v3/publicRooms", {"filter": wanted})
        return [room["room_id"] for room in answer["chunk"]]

    assert await found(generic_search_term="rOOm 2") == [rooms[2]]
    assert await found(generic_search_term="2 roö") == [rooms[2]]
    assert await found(generic_search_term="oom") == await found(generic_search_term="?") == []
    assert len(await found(generic_search_term="")) == 6
    assert await found(room_types=["m.space"]) == [space]
    assert space not in await found(room_types=[None])
    assert await bob.refused("POST", "/v3/publicRooms", {"since": "x"}) == (400, "M_INVALID_PARAM")
    assert await found(room_types=[]) == []
    assert await found(generic_search_term="all", room_types=["m.space", None]) == [space]
    assert await bob.refused("GET", "/v3/publicRooms", server="far.test") == (403, "M_FORBIDDEN")


async def test_the_directory_follows_its_rooms(alice: Client, bob: Client) -> None:
    small = await alice.create_room(visibility="public", name="Before", room_alias_name="small")
    large = await alice.create_room(visibility="public")

    async def found(term: str) -> list[str]:
        answer = await bob.post("/v3/publicRooms", {"filter": {"generic_search_term": term}})
        return [room["room_id"] for room in answer["chunk"]]

    assert await found("") == [small, large]
    await bob.join(large)
    await alice.send_state(small, "m.room.name", {"name": "After"})
    await alice.send_state(small, "m.room.topic", {"topic": "Everything else"})
    assert await found("") == [large, small]
    assert (await found("before"), await found("after")) == ([], [small])
    assert await found("#small:tab.test") == await found("else every") == [small]
    await alice.put(f"/v3/directory/list/room/{quoted(small)}", {"visibility": "private"})
    assert await found("after") == []
    await alice.put(f"/v3/directory/list/room/{quoted(small)}", {"visibility": "public"})
    assert await found("after") == [small]


async def test_networks_of_others(alice: Client) -> None:
    await alice.create_room(visibility="public")
    assert (await alice.post("/v3/publicRooms", {"third_party_instance_id": "irc"}))["chunk"] == []
    assert len((await alice.post("/v3/publicRooms", {"include_all_networks": True}))["chunk"]) == 1
    both = {"third_party_instance_id": "irc", "include_all_networks": True}
    assert await alice.refused("POST", "/v3/publicRooms", both) == (400, "M_INVALID_PARAM")
