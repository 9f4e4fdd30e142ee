"""Reading a room's past: pages, context, members and state, and who may see what."""

import json

import pytest

from helpers.homeserver import Client, TestServer, bodies, quoted


async def texts(client: Client, room_id: str, **query: object) -> list[str]:
    return bodies((await client.messages(room_id, "f", limit=100, **query))["chunk"])


async def test_pages_lead_back_to_the_beginning_and_forth_again(alice: Client) -> None:
    room_id = await alice.create_room()
    for number in range(25):
        await alice.send(room_id, f"{number}")

    back: list[str] = []
    page = await alice.messages(room_id, limit=7)
    while True:
        back += bodies(page["chunk"])
        if "end" not in page:
            break
        assert len(page["chunk"]) == 7
        page = await alice.messages(room_id, limit=7, **{"from": page["end"]})
    assert back == [f"{number}" for number in reversed(range(25))]

    first = await alice.messages(room_id, "f", limit=10)
    assert first["chunk"][0]["type"] == "m.room.create"
    second = await alice.messages(room_id, "f", limit=50, **{"from": first["end"]})
    assert bodies(first["chunk"] + second["chunk"]) == list(reversed(back))
    assert "end" not in second


async def test_pages_stop_where_they_are_told_to(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, "before")
    middle = (await alice.messages(room_id, limit=1))["start"]
    for text in ("one", "two"):
        await alice.send(room_id, text)

    assert bodies((await alice.messages(room_id, to=middle))["chunk"]) == ["two", "one"]
    assert bodies((await alice.messages(room_id, "f", **{"from": middle}))["chunk"]) == ["one", "two"]
    latest = (await alice.messages(room_id, limit=1))["start"]
    await alice.send(room_id, "three")
    page = await alice.messages(room_id, "f", to=latest, **{"from": middle})
    assert bodies(page["chunk"]) == ["one", "two"]
    assert "end" not in page


async def test_a_token_of_sync_is_a_token_of_messages(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, "one")
    since = (await alice.sync())["next_batch"]
    await alice.send(room_id, "two")

    forwards = await alice.messages(room_id, "f", **{"from": since})
    assert bodies(forwards["chunk"]) == ["two"]
    assert forwards["start"] == since
    assert bodies((await alice.messages(room_id, "b", **{"from": since}))["chunk"]) == ["one"]


async def test_malformed_queries(alice: Client) -> None:
    room_id = await alice.create_room()
    path = f"/v3/rooms/{room_id}/messages"
    assert await alice.refused("GET", path) == (400, "M_MISSING_PARAM")
    assert await alice.refused("GET", path, dir="x") == (400, "M_INVALID_PARAM")
    assert await alice.refused("GET", path, dir="b", limit="many") == (400, "M_INVALID_PARAM")
    assert await alice.refused("GET", path, dir="b", limit=-1) == (400, "M_INVALID_PARAM")
    assert await alice.refused("GET", path, dir="b", filter="{") == (400, "M_NOT_JSON")
    assert await alice.refused("GET", path, dir="b", **{"from": "yesterday"}) == (400, "M_INVALID_PARAM")


async def test_a_filter_thins_pages_out_and_they_still_lead_on(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, "first")
    for number in range(60):
        await alice.send(room_id, {"n": number}, "org.example.noise")
    await alice.send(room_id, {"body": "picture", "url": "mxc://a/b"})

    only = json.dumps({"types": ["m.room.mess*"], "limit": 5})
    found: list[str] = []
    page = await alice.messages(room_id, filter=only, limit=10)
    found += bodies(page["chunk"])
    while "end" in page:
        page = await alice.messages(room_id, filter=only, limit=10, **{"from": page["end"]})
        found += bodies(page["chunk"])
    assert found == ["picture", "first"]
    with_url = await alice.messages(room_id, filter=json.dumps({"contains_url": True}))
    assert bodies(with_url["chunk"]) == ["picture"]
    others = await alice.messages(room_id, filter=json.dumps({"not_senders": [alice.user_id]}))
    assert others["chunk"] == []


async def test_lazy_members_are_those_of_the_page(server: TestServer, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    await (await server.register("silent")).join(room_id)
    await bob.send(room_id, "hello")
    await alice.send(room_id, "hi")

    page = await alice.messages(room_id, limit=2, filter=json.dumps({"lazy_load_members": True}))
    assert {event["state_key"] for event in page["state"]} == {alice.user_id, bob.user_id}
    assert "state" not in await alice.messages(room_id, limit=2)


async def test_context_is_what_was_around(alice: Client) -> None:
    room_id = await alice.create_room(name="Before")
    ids = [await alice.send(room_id, f"{number}") for number in range(10)]
    await alice.send_state(room_id, "m.room.name", {"name": "After"})

    context = await alice.get(f"/v3/rooms/{room_id}/context/{quoted(ids[5])}", limit=4)
    assert context["event"]["event_id"] == ids[5]
    assert bodies(context["events_before"]) == ["4", "3"]
    assert bodies(context["events_after"]) == ["6", "7"]
    names = [event["content"] for event in context["state"] if event["type"] == "m.room.name"]
    assert names == [{"name": "Before"}]
    earlier = await alice.messages(room_id, limit=2, **{"from": context["start"]})
    assert bodies(earlier["chunk"]) == ["2", "1"]
    later = await alice.messages(room_id, "f", limit=2, **{"from": context["end"]})
    assert bodies(later["chunk"]) == ["8", "9"]

    alone = await alice.get(f"/v3/rooms/{room_id}/context/{quoted(ids[5])}", limit=0)
    assert (alone["events_before"], alone["events_after"]) == ([], [])


async def test_an_event_is_found_in_its_own_room_alone(alice: Client, bob: Client) -> None:
    room_id, other = await alice.create_room(), await alice.create_room()
    event_id = await alice.send(room_id, "hello")

    for path in (f"{other}/event/{quoted(event_id)}", f"{room_id}/event/{quoted('$nothing')}"):
        assert await alice.refused("GET", f"/v3/rooms/{path}") == (404, "M_NOT_FOUND")
    assert await bob.refused("GET", f"/v3/rooms/{room_id}/event/{quoted(event_id)}") == (404, "M_NOT_FOUND")
    assert await bob.refused("GET", f"/v3/rooms/{room_id}/context/{quoted(event_id)}") == (404, "M_NOT_FOUND")


async def test_members(server: TestServer, alice: Client, bob: Client) -> None:
    before = (await alice.sync())["next_batch"]
    room_id = await alice.create_room(preset="public_chat")
    carol = await server.register("carol")
    await alice.invite(room_id, carol)
    early = (await alice.messages(room_id, limit=1))["start"]
    await bob.join(room_id)
    await bob.leave(room_id)

    async def members(**query: str) -> set[str]:
        found = await alice.get(f"/v3/rooms/{room_id}/members", **query)
        return {event["state_key"] for event in found["chunk"]}

    assert await members() == {alice.user_id, bob.user_id, carol.user_id}
    assert await members(membership="join") == {alice.user_id}
    assert await members(not_membership="leave") == {alice.user_id, carol.user_id}
    assert await members(membership="leave", not_membership="invite") == {alice.user_id, bob.user_id}
    assert await members(at=early) == {alice.user_id, carol.user_id}
    assert await members(at=before) == set()
    joined = await alice.get(f"/v3/rooms/{room_id}/joined_members")
    assert set(joined["joined"]) == {alice.user_id}
    assert await bob.refused("GET", f"/v3/rooms/{room_id}/joined_members") == (403, "M_FORBIDDEN")


async def test_who_left_sees_the_room_as_they_left_it(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", name="Old")
    await bob.join(room_id)
    await alice.send(room_id, "seen")
    await bob.leave(room_id)
    unseen = await alice.send(room_id, "unseen")
    await alice.send_state(room_id, "m.room.name", {"name": "New"})

    assert await bob.refused("GET", f"/v3/rooms/{room_id}/event/{quoted(unseen)}") == (404, "M_NOT_FOUND")
    assert await texts(bob, room_id) == ["seen"]
    assert await bob.state(room_id, "m.room.name") == {"name": "Old"}
    state = await bob.get(f"/v3/rooms/{room_id}/state")
    assert {"name": "Old"} in [event["content"] for event in state]
    own = [event["content"] for event in state if event.get("state_key") == bob.user_id]
    assert own == [{"membership": "leave"}]
    members = await bob.get(f"/v3/rooms/{room_id}/members", membership="join")
    assert [event["state_key"] for event in members["chunk"]] == [alice.user_id]


async def test_who_was_banned_after_leaving_sees_no_more_than_before(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", name="Old")
    await bob.join(room_id)
    await bob.leave(room_id)
    await alice.send_state(room_id, "m.room.name", {"name": "New"})
    await alice.post(f"/v3/rooms/{room_id}/ban", {"user_id": bob.user_id})

    assert await bob.state(room_id, "m.room.name") == {"name": "Old"}


async def test_strangers_and_the_invited_see_nothing(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    for _ in range(2):
        for path in ("messages?", "state", "members", "state/m.room.create", "joined_members", "aliases"):
            query = {"dir": "b"} if path == "messages?" else {}
            refusal = await bob.refused("GET", f"/v3/rooms/{room_id}/{path.rstrip('?')}", **query)
            assert refusal == (403, "M_FORBIDDEN")
        await alice.invite(room_id, bob)
    assert await bob.refused("GET", "/v3/rooms/!nowhere/state") == (403, "M_FORBIDDEN")


@pytest.mark.parametrize(
    ("visibility", "seen"),
    [
        ("world_readable", ["uninvited", "invited", "joined"]),
        ("shared", ["uninvited", "invited", "joined"]),
        ("invited", ["invited", "joined"]),
        ("joined", ["joined"]),
        ("nonsense", ["uninvited", "invited", "joined"]),
    ],
)
async def test_history_visibility(alice: Client, bob: Client, visibility: str, seen: list[str]) -> None:
    state = {"type": "m.room.history_visibility", "content": {"history_visibility": visibility}}
    room_id = await alice.create_room(preset="public_chat", initial_state=[state])
    ids = {}
    ids["uninvited"] = await alice.send(room_id, "uninvited")
    await alice.invite(room_id, bob)
    ids["invited"] = await alice.send(room_id, "invited")
    await bob.join(room_id)
    ids["joined"] = await alice.send(room_id, "joined")

    assert await texts(bob, room_id) == seen
    for text, event_id in ids.items():
        answer = await bob.answer("GET", f"/v3/rooms/{room_id}/event/{quoted(event_id)}")
        assert answer.status == (200 if text in seen else 404)


async def test_visibility_counts_as_it_was_when_an_event_was_sent(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await alice.send(room_id, "shared")
    await alice.send_state(room_id, "m.room.history_visibility", {"history_visibility": "joined"})
    await alice.send(room_id, "joined")
    await alice.send_state(room_id, "m.room.history_visibility", {"history_visibility": "shared"})
    await alice.send(room_id, "shared again")
    await bob.join(room_id)

    page = await bob.messages(room_id, "f", limit=100)
    assert bodies(page["chunk"]) == ["shared", "shared again"]
    changes = [event for event in page["chunk"] if event["type"] == "m.room.history_visibility"]
    assert len(changes) == 3, "a change is seen by whom it takes the sight from and whom it gives it to"


async def test_time_away_is_not_seen_in_rooms_for_the_joined(alice: Client, bob: Client) -> None:
    state = {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}
    room_id = await alice.create_room(preset="public_chat", initial_state=[state])
    await bob.join(room_id)
    await alice.send(room_id, "together")
    await bob.leave(room_id)
    await alice.send(room_id, "alone")
    await bob.join(room_id)
    await alice.send(room_id, "reunited")

    page = await bob.messages(room_id, "f", limit=100)
    assert bodies(page["chunk"]) == ["together", "reunited"]
    own = [event["content"]["membership"] for event in page["chunk"] if event.get("state_key") == bob.user_id]
    assert own == ["join", "leave", "join"]


async def test_the_readers_membership_stands_beside_each_event(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await alice.send(room_id, "before")
    await alice.invite(room_id, bob)
    await bob.join(room_id)
    await alice.send(room_id, "after")

    page = await bob.messages(room_id, "f", limit=100)
    memberships = {
        event["content"].get("body", event["content"].get("membership")): event["unsigned"]["membership"]
        for event in page["chunk"]
        if event["type"] == "m.room.message" or event.get("state_key") == bob.user_id
    }
    assert memberships == {"before": "leave", "invite": "invite", "join": "join", "after": "join"}


async def test_the_world_reads_what_is_world_readable(server: TestServer, alice: Client, bob: Client) -> None:
    state = {"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}}
    room_id = await alice.create_room(initial_state=[state], name="Window")
    await alice.send(room_id, "look")
    guest = await server.register_guest()

    for reader in (bob, guest):
        assert await texts(reader, room_id) == ["look"]
        assert await reader.state(room_id, "m.room.name") == {"name": "Window"}
        assert await reader.get(f"/v3/rooms/{room_id}/aliases") == {"aliases": []}


async def test_history_survives_a_restart(server: TestServer, alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, "before")
    await server.restart()
    await alice.send(room_id, "after")

    assert await texts(alice, room_id) == ["before", "after"]


async def test_an_event_is_found_by_its_time(server: TestServer, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    first = await alice.send(room_id, "morning")
    server.clock.now += 3_600_000
    noon = server.clock.now
    server.clock.now += 3_600_000
    second = await alice.send(room_id, "evening")
    path = f"/v1/rooms/{room_id}/timestamp_to_event"

    assert (await alice.get(path, ts=noon, dir="b"))["event_id"] == first
    found = await alice.get(path, ts=noon, dir="f")
    assert found["event_id"] == second
    assert found["origin_server_ts"] > noon
    assert await alice.refused("GET", path, ts=server.clock.now, dir="f") == (404, "M_NOT_FOUND")
    assert await bob.refused("GET", path, ts=noon, dir="f") == (403, "M_FORBIDDEN")


async def test_the_nearest_event_is_one_that_may_be_seen(server: TestServer, alice: Client, bob: Client) -> None:
    joined = [{"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}]
    room_id = await alice.create_room(preset="public_chat", initial_state=joined)
    for _ in range(100):
        await alice.send(room_id, "before bob")
    early = server.clock.now
    server.clock.now += 3_600_000
    await bob.join(room_id)
    path = f"/v1/rooms/{room_id}/timestamp_to_event"

    event_id = (await bob.get(path, ts=early - 50, dir="f"))["event_id"]
    event = await bob.get(f"/v3/rooms/{room_id}/event/{quoted(event_id)}")
    assert (event["type"], event["state_key"]) == ("m.room.member", bob.user_id)
    # The change of the visibility from what it was by default is the last that everybody may see before that.
    for ts in (-(10**30), 10**30):
        assert (await alice.answer("GET", path, dir="f" if ts < 0 else "b", ts=ts)).status == 200


async def test_of_ignored_users_only_state_is_read(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    spam = await bob.send(room_id, "spam")
    word = await alice.send(room_id, "word")
    relation = {"m.relates_to": {"rel_type": "m.thread", "event_id": word}}
    await bob.send(room_id, {"msgtype": "m.text", "body": "spam in a thread", **relation})
    ignored = f"/v3/user/{quoted(alice.user_id)}/account_data/m.ignored_user_list"
    await alice.put(ignored, {"ignored_users": {bob.user_id: {}}})

    chunk = (await alice.messages(room_id, "f", limit=100))["chunk"]
    assert bodies(chunk) == ["word"]
    assert bob.user_id in [event["sender"] for event in chunk]
    context = await alice.get(f"/v3/rooms/{room_id}/context/{quoted(word)}")
    assert bodies(context["events_before"] + context["events_after"]) == []
    assert await alice.refused("GET", f"/v3/rooms/{room_id}/event/{quoted(spam)}") == (404, "M_NOT_FOUND")
    related = await alice.get(f"/v1/rooms/{room_id}/relations/{quoted(word)}")
    assert related["chunk"] == []
    assert bodies((await bob.messages(room_id, "f", limit=100))["chunk"])[0] == "spam"
