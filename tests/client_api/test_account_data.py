"""Account data and tags: kept per user, told to all of the user's devices."""

from helpers.homeserver import Client, Json, quoted


def own(client: Client, rest: str) -> str:
    return f"/v3/user/{client.user_id}/{rest}"


def content_of(events: list[Json], event_type: str) -> Json | None:
    return next((event["content"] for event in events if event["type"] == event_type), None)


async def test_global_data_is_kept_and_told(alice: Client) -> None:
    since = (await alice.sync())["next_batch"]
    await alice.put(own(alice, "account_data/org.example.config"), {"colour": "blue"})

    assert await alice.get(own(alice, "account_data/org.example.config")) == {"colour": "blue"}
    answer = await alice.sync(since)
    assert answer["account_data"]["events"] == [{"type": "org.example.config", "content": {"colour": "blue"}}]
    assert content_of((await alice.sync())["account_data"]["events"], "org.example.config") == {"colour": "blue"}


async def test_an_equal_content_is_no_news(alice: Client) -> None:
    await alice.put(own(alice, "account_data/org.example.config"), {"colour": "blue"})
    since = (await alice.sync())["next_batch"]

    await alice.put(own(alice, "account_data/org.example.config"), {"colour": "blue"})

    assert "account_data" not in await alice.sync(since)


async def test_room_data_is_told_with_its_room(alice: Client) -> None:
    room_id = await alice.create_room()
    since = (await alice.sync())["next_batch"]
    path = own(alice, f"rooms/{quoted(room_id)}/account_data/org.example.config")
    await alice.put(path, {"colour": "blue"})

    assert await alice.get(path) == {"colour": "blue"}
    for answer in (await alice.sync(since), await alice.sync()):
        data = answer["rooms"]["join"][room_id]["account_data"]["events"]
        assert content_of(data, "org.example.config") == {"colour": "blue"}


async def test_nobody_else_reads_or_writes_it(alice: Client, bob: Client) -> None:
    path = own(alice, "account_data/org.example.config")
    await alice.put(path, {"colour": "blue"})

    assert await bob.refused("GET", path) == (403, "M_FORBIDDEN")
    assert await bob.refused("PUT", path, {}) == (403, "M_FORBIDDEN")
    since = (await bob.sync())["next_batch"]
    await alice.put(path, {"colour": "red"})
    assert "account_data" not in await bob.sync(since)


async def test_what_is_not_there_or_malformed(alice: Client) -> None:
    assert await alice.refused("GET", own(alice, "account_data/no")) == (404, "M_NOT_FOUND")
    assert await alice.refused("PUT", own(alice, "account_data/no"), []) == (400, "M_BAD_JSON")
    assert await alice.refused("PUT", own(alice, "account_data/no"), b"{") == (400, "M_NOT_JSON")
    assert await alice.refused("PUT", own(alice, "rooms/nonsense/account_data/no"), {}) == (400, "M_INVALID_PARAM")


async def test_the_servers_own_types_are_read_only(alice: Client) -> None:
    room_id = await alice.create_room()
    for event_type in ("m.fully_read", "m.push_rules"):
        for prefix in ("", f"rooms/{quoted(room_id)}/"):
            path = own(alice, f"{prefix}account_data/{event_type}")
            assert await alice.refused("PUT", path, {}) == (405, "M_BAD_JSON")
    assert "global" in await alice.get(own(alice, "account_data/m.push_rules"))


async def test_tags_come_and_go(alice: Client) -> None:
    room_id = await alice.create_room()
    path = own(alice, f"rooms/{quoted(room_id)}/tags")
    since = (await alice.sync())["next_batch"]

    await alice.put(f"{path}/m.favourite", {"order": 0.5})
    await alice.put(f"{path}/u.work", {})
    assert await alice.get(path) == {"tags": {"m.favourite": {"order": 0.5}, "u.work": {}}}

    await alice.delete(f"{path}/u.work")
    await alice.delete(f"{path}/u.never")
    data = (await alice.sync(since))["rooms"]["join"][room_id]["account_data"]["events"]
    assert data == [{"type": "m.tag", "content": {"tags": {"m.favourite": {"order": 0.5}}}}]
