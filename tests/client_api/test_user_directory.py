"""POST /user_directory/search: who is found, by what, in which order."""

from typing import Any

import pytest

from helpers.homeserver import Client, TestServer


async def search(client: Client, term: str, **more: Any) -> list[str]:
    found = await client.post("/v3/user_directory/search", {"search_term": term, **more})
    return [user["user_id"].partition(":")[0] for user in found["results"]]


async def named(server: TestServer, localpart: str, name: str) -> Client:
    """A user with a display name, whom everybody may find."""
    user = await server.register(localpart)
    await user.put(f"/v3/profile/{user.user_id}/displayname", {"displayname": name})
    await user.create_room(preset="public_chat")
    return user


async def test_found_is_who_shares_a_room_or_is_in_a_public_one(server: TestServer, alice: Client) -> None:
    friend, public, _ = [await server.register(f"team_{name}") for name in ("friend", "public", "hermit")]
    room_id = await alice.create_room(preset="private_chat", invite=[friend.user_id])
    assert await search(alice, "team") == []
    await friend.join(room_id)
    await public.create_room(preset="public_chat")
    assert await search(alice, "team") == ["@team_friend", "@team_public"]
    await friend.leave(room_id)
    assert await search(alice, "team") == ["@team_public"]


async def test_readable_by_everybody_is_as_good_as_public(alice: Client, bob: Client) -> None:
    room_id = await bob.create_room(preset="private_chat")
    await bob.send_state(room_id, "m.room.history_visibility", {"history_visibility": "world_readable"})
    assert await search(alice, "bob") == ["@bob"]


async def test_nobody_finds_themselves(alice: Client) -> None:
    await alice.create_room(preset="public_chat")
    assert await search(alice, "alice") == []


async def test_the_better_match_comes_first(server: TestServer, alice: Client) -> None:
    for localpart, name in {"u2": "Anna-Lena", "u3": "ANNA", "u4": "Mary Anna", "u5": "Bert", "annabel": ""}.items():
        await named(server, localpart, name)
    assert await search(alice, "anna") == ["@u3", "@u2", "@annabel", "@u4"]


@pytest.mark.parametrize(
    ("term", "is_found"),
    [
        ("jose garcia", True),
        ("GARCÍA J", True),
        ("gar", True),
        ("arcia", False),
        ("garcia maria", False),
        ("pepe", True),
        ("@pepe", True),
        ("@pepe:tab", True),
        ("@pepe:tab.test", True),
        ("@pepe:far.test", False),
        ("@garcia", False),
        ("tab.test", False),
        ('" OR *', False),
        ("", False),
    ],
)
async def test_what_people_are_found_by(server: TestServer, alice: Client, term: str, is_found: bool) -> None:
    await named(server, "pepe", "José García")
    assert await search(alice, term) == (["@pepe"] if is_found else [])


async def test_names_without_spaces(server: TestServer, alice: Client) -> None:
    await named(server, "u1", "山田太郎")
    assert await search(alice, "太郎") == await search(alice, "山") == ["@u1"]
    assert await search(alice, "田山") == []


async def test_a_new_name_is_found_and_the_old_one_is_not(server: TestServer, alice: Client) -> None:
    user = await named(server, "u1", "Before")
    assert await search(alice, "before") == ["@u1"]
    await user.put(f"/v3/profile/{user.user_id}/displayname", {"displayname": "After"})
    assert (await search(alice, "before"), await search(alice, "after")) == ([], ["@u1"])
    await user.delete(f"/v3/profile/{user.user_id}/displayname")
    assert (await search(alice, "after"), await search(alice, "u1")) == ([], ["@u1"])


async def test_results_have_profiles_and_are_cut_at_the_limit(server: TestServer, alice: Client) -> None:
    for number in range(3):
        user = await named(server, f"team{number}", f"Number {number}")
        await user.put(f"/v3/profile/{user.user_id}/avatar_url", {"avatar_url": "mxc://tab.test/hat"})
    found = await alice.post("/v3/user_directory/search", {"search_term": "team", "limit": 2})
    assert (len(found["results"]), found["limited"]) == (2, True)
    assert found["results"][0] == {
        "user_id": "@team0:tab.test",
        "display_name": "Number 0",
        "avatar_url": "mxc://tab.test/hat",
    }
    found = await alice.post("/v3/user_directory/search", {"search_term": "team", "limit": 3})
    assert (len(found["results"]), found["limited"]) == (3, False)


async def test_what_is_no_search(server: TestServer, alice: Client) -> None:
    assert await alice.refused("POST", "/v3/user_directory/search", {}) == (400, "M_MISSING_PARAM")
    guest = await server.register_guest()
    refused = await guest.refused("POST", "/v3/user_directory/search", {"search_term": "a"})
    assert refused == (403, "M_GUEST_ACCESS_FORBIDDEN")
