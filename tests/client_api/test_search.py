"""POST /search: finding events by their words."""

from pathlib import Path
from typing import Any

import pytest

from helpers.homeserver import Client, Json, TestServer, bodies, quoted
from tabstead.configuration import Search


async def search(client: Client, term: str, token: str | None = None, **criteria: Any) -> Json:
    query = {} if token is None else {"next_batch": token}
    body = {"search_categories": {"room_events": {"search_term": term, **criteria}}}
    found = await client.post("/v3/search", body, **query)
    events: Json = found["search_categories"]["room_events"]
    return events


async def found(client: Client, term: str, **criteria: Any) -> list[str]:
    """What the events that are found say."""
    results = (await search(client, term, **criteria))["results"]
    return bodies([result["result"] for result in results])


async def edit(client: Client, room_id: str, event_id: str, body: str) -> str:
    content = {"msgtype": "m.text", "body": f"* {body}", "m.new_content": {"msgtype": "m.text", "body": body}}
    return await client.send(room_id, {**content, "m.relates_to": {"rel_type": "m.replace", "event_id": event_id}})


class TestWhatIsFound:
    async def test_all_words_must_be_there_in_any_order_case_and_accent(self, alice: Client) -> None:
        room_id = await alice.create_room()
        for text in ("Green apples are sour", "Sour äpples!", "apples", "applesauce, sour", "sourdough"):
            await alice.send(room_id, text)

        assert sorted(await found(alice, "SOUR apples")) == [
            "Green apples are sour",
            "Sour äpples!",
            "applesauce, sour",
        ]
        assert await found(alice, "apples pears") == []
        assert await found(alice, "?!") == []

    async def test_names_and_topics_by_their_keys(self, alice: Client) -> None:
        room_id = await alice.create_room(name="Orchard", topic="All about the orchard")
        await alice.send(room_id, "the orchard is in bloom")
        rich = {"m.topic": {"m.text": [{"body": "<b>hidden</b>", "mimetype": "text/html"}, {"body": "Cherries"}]}}
        await alice.send_state(room_id, "m.room.topic", {"topic": "Plums", **rich})

        async def types(term: str, *keys: str) -> list[str]:
            results = (await search(alice, term, order_by="recent", keys=list(keys)))["results"]
            return [result["result"]["type"] for result in results]

        assert await types("orchard") == ["m.room.message", "m.room.topic", "m.room.name"]
        assert await types("orchard", "content.name") == ["m.room.name"]
        assert await types("orchard", "content.topic", "content.body") == ["m.room.message", "m.room.topic"]
        assert await types("cherries") == await types("plums") == ["m.room.topic"]
        assert await types("hidden") == []

    async def test_redacted_messages_are_gone_wherever_the_index_is(self, server: TestServer, alice: Client) -> None:
        room_id = await alice.create_room()
        old = await alice.send(room_id, "a secret that was indexed")
        assert len(await found(alice, "secret")) == 1
        new = await alice.send(room_id, "a secret that was not")
        await alice.redact(room_id, old)
        await alice.redact(room_id, new)

        assert await found(alice, "secret") == []
        assert await server.read(lambda db: _count_rows_with(db, "secret")) == 0

    async def test_a_message_is_found_by_its_newest_text(self, alice: Client, bob: Client) -> None:
        room_id = await alice.create_room(preset="public_chat")
        await bob.join(room_id)
        message = await alice.send(room_id, "the meeting is on monday")
        await edit(alice, room_id, message, "the meeting is on tuesday")
        newest = await edit(alice, room_id, message, "the meeting is on wednesday")
        await edit(bob, room_id, message, "the meeting is on friday")

        for day in ("monday", "tuesday", "friday"):
            assert await found(alice, f"meeting {day}") == []
        [result] = (await search(alice, "meeting"))["results"]
        assert result["result"]["event_id"] == message
        bundled = result["result"]["unsigned"]["m.relations"]["m.replace"]
        assert bundled["content"]["m.new_content"]["body"] == "the meeting is on wednesday"
        await alice.redact(room_id, newest)
        assert len(await found(alice, "tuesday")) == 1
        await alice.redact(room_id, message)
        assert await found(alice, "meeting") == []

    async def test_encrypted_rooms_yield_nothing(self, alice: Client) -> None:
        room_id = await alice.create_room(name="Plain")
        await alice.send(room_id, "plain words")
        assert len((await search(alice, "plain"))["results"]) == 2

        await alice.send_state(room_id, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
        assert (await search(alice, "plain"))["results"] == []

    async def test_who_is_ignored_is_not_found(self, alice: Client, bob: Client) -> None:
        room_id = await alice.create_room(preset="public_chat")
        await bob.join(room_id)
        await bob.send(room_id, "buy my apples")
        ignored = {"ignored_users": {bob.user_id: {}}}
        await alice.put(f"/v3/user/{quoted(alice.user_id)}/account_data/m.ignored_user_list", ignored)

        assert await found(alice, "apples") == []
        assert await found(bob, "apples") == ["buy my apples"]

    async def test_an_index_that_lags_far_behind_catches_up(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path, search=Search(enabled=False))
        alice = await server.register("alice")
        room_id = await alice.create_room()
        for number in range(300):
            await alice.send(room_id, f"pebble {number}")
        body = {"search_categories": {"room_events": {"search_term": "pebble"}}}
        assert await alice.refused("POST", "/v3/search", body) == (400, "M_UNKNOWN")
        await server.close()

        server = await TestServer.open(tmp_path)
        alice.server = server
        assert (await search(alice, "pebble"))["count"] == 300
        await server.close()


class TestWhoFinds:
    async def test_only_in_rooms_that_one_is_or_was_in(self, alice: Client, bob: Client) -> None:
        room_id = await alice.create_room(preset="public_chat")
        await alice.send(room_id, "before bob")
        assert await found(bob, "bob") == []
        await bob.join(room_id)
        await alice.send(room_id, "with bob")
        await bob.leave(room_id)
        await alice.send(room_id, "bob has left")

        assert await found(bob, "bob", order_by="recent") == ["with bob", "before bob"]
        await bob.post(f"/v3/rooms/{room_id}/forget")
        assert await found(bob, "bob") == []

    async def test_the_history_visibility_counts(self, alice: Client, bob: Client) -> None:
        visibility = [{"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}]
        room_id = await alice.create_room(preset="public_chat", initial_state=visibility)
        await alice.send(room_id, "early word")
        await bob.join(room_id)
        await alice.send(room_id, "late word")

        assert await found(bob, "word") == ["late word"]

    async def test_an_edit_that_one_may_not_see_hides_nothing(self, alice: Client, bob: Client) -> None:
        room_id = await alice.create_room(preset="public_chat")
        await bob.join(room_id)
        message = await alice.send(room_id, "the plan is to stay")
        await bob.leave(room_id)
        await edit(alice, room_id, message, "the plan is to go")

        [result] = (await search(bob, "plan stay"))["results"]
        assert "m.relations" not in result["result"]["unsigned"]
        assert await found(bob, "plan go") == []
        assert await found(alice, "plan stay") == []

    async def test_a_room_that_everybody_may_read_must_be_named(self, alice: Client, bob: Client) -> None:
        visibility = [{"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}}]
        room_id = await alice.create_room(initial_state=visibility)
        await alice.send(room_id, "news of the world")

        assert await found(bob, "news") == []
        assert await found(bob, "news", filter={"rooms": [room_id]}) == ["news of the world"]
        secret = await alice.create_room()
        await alice.send(secret, "news of the house")
        assert await found(bob, "news", filter={"rooms": [secret]}) == []


class TestOrderAndPages:
    async def test_better_matches_come_first(self, alice: Client) -> None:
        room_id = await alice.create_room()
        long = "whatever is said here of a fox is lost among all of the other words that are said as well"
        for text in ("fox", long, "the fox, the fox, the fox", "foxes"):
            await alice.send(room_id, text)

        assert await found(alice, "fox") == ["the fox, the fox, the fox", "fox", "foxes", long]
        assert await found(alice, "fox", order_by="recent") == ["foxes", "the fox, the fox, the fox", long, "fox"]
        ranks = [result["rank"] for result in (await search(alice, "fox"))["results"]]
        assert ranks == sorted(ranks, reverse=True)
        assert len(set(ranks)) == 4

    @pytest.mark.parametrize("order", ["rank", "recent"])
    async def test_pages_are_parts_of_the_whole(
        self, alice: Client, order: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tabstead.rooms.search.WINDOW", 8)
        room_id = await alice.create_room()
        for number in range(20):
            await alice.send(room_id, f"leaf {'leaf ' * (number % 3)}{number}")

        texts: list[str] = []
        token = None
        while True:
            page = await search(alice, "leaf", token, order_by=order, filter={"limit": 3})
            texts += bodies([result["result"] for result in page["results"]])
            assert page["count"] == 20
            if len(texts) == 3:
                await alice.send(room_id, "a leaf that came too late")
                await alice.redact(room_id, page["results"][0]["result"]["event_id"])
            token = page.get("next_batch")
            if token is None:
                break
        assert len(texts) >= 19
        assert len(set(texts)) == len(texts)
        assert "a leaf that came too late" not in texts

    async def test_groups_lead_on_by_themselves(self, alice: Client, bob: Client) -> None:
        rooms = [await alice.create_room(preset="public_chat") for _ in range(2)]
        for room_id in rooms:
            await bob.join(room_id)
        ids = {}
        for number in range(6):
            sender = alice if number % 2 else bob
            ids[number] = await sender.send(rooms[number // 3], f"stone {number}")
        groupings = {"group_by": [{"key": "room_id"}, {"key": "sender"}]}
        criteria = {"order_by": "recent", "groupings": groupings, "filter": {"limit": 2}}

        page = await search(alice, "stone", **criteria)
        assert [result["result"]["event_id"] for result in page["results"]] == [ids[5], ids[4]]
        by_room, by_sender = page["groups"]["room_id"], page["groups"]["sender"]
        assert list(by_room) == [rooms[1]]
        assert by_room[rooms[1]]["results"] == [ids[5], ids[4]]
        assert by_sender[alice.user_id]["order"] < by_sender[bob.user_id]["order"]
        assert by_sender[bob.user_id]["results"] == [ids[4]]

        more = await search(alice, "stone", by_room[rooms[1]]["next_batch"], **criteria)
        assert [result["result"]["event_id"] for result in more["results"]] == [ids[3]]
        assert "next_batch" not in more
        more = await search(alice, "stone", by_sender[bob.user_id]["next_batch"], **criteria)
        assert [result["result"]["event_id"] for result in more["results"]] == [ids[2], ids[0]]
        assert "next_batch" not in more["groups"]["sender"][bob.user_id]

    async def test_filters(self, alice: Client, bob: Client) -> None:
        rooms = [await alice.create_room(preset="public_chat", name="Tree house") for _ in range(2)]
        await bob.join(rooms[0])
        await bob.send(rooms[0], "a tree")
        await alice.send(rooms[0], {"msgtype": "m.image", "body": "picture of a tree", "url": "mxc://tab.test/tree"})
        await alice.send(rooms[1], "another tree")

        assert await found(alice, "tree", filter={"senders": [bob.user_id]}) == ["a tree"]
        assert await found(alice, "tree", filter={"contains_url": True}) == ["picture of a tree"]
        assert await found(alice, "tree", filter={"rooms": [rooms[1]]}) == ["another tree"]
        messages = {"types": ["m.room.mess*"], "not_rooms": [rooms[1]]}
        assert sorted(await found(alice, "tree", filter=messages)) == ["a tree", "picture of a tree"]
        names = await search(alice, "tree", filter={"not_types": ["m.room.message"]})
        assert {result["result"]["type"] for result in names["results"]} == {"m.room.name"}


class TestWhatIsShown:
    async def test_context_with_profiles_of_that_time(self, alice: Client, bob: Client) -> None:
        await alice.put(f"/v3/profile/{alice.user_id}/displayname", {"displayname": "Al"})
        room_id = await alice.create_room(preset="public_chat")
        await bob.join(room_id)
        for text in ("one", "two", "three needle", "four", "five"):
            await alice.send(room_id, text)
        await alice.put(f"/v3/profile/{alice.user_id}/displayname", {"displayname": "Alice"})

        assert "context" not in (await search(alice, "needle"))["results"][0]
        wanted = {"before_limit": 1, "after_limit": 2, "include_profile": True}
        [result] = (await search(bob, "needle", event_context=wanted))["results"]
        context = result["context"]
        assert bodies(context["events_before"]) == ["two"]
        assert bodies(context["events_after"]) == ["four", "five"]
        assert context["profile_info"] == {alice.user_id: {"displayname": "Al"}}
        before = await bob.messages(room_id, "b", limit=1, **{"from": context["start"]})
        assert bodies(before["chunk"]) == ["one"]
        after = await bob.messages(room_id, "f", limit=1, **{"from": context["end"]})
        assert after["chunk"][0]["content"]["displayname"] == "Alice"

    async def test_the_state_of_the_rooms(self, alice: Client) -> None:
        room_id = await alice.create_room(name="Shed")
        await alice.send(room_id, "rake")

        page = await search(alice, "rake", include_state=True)
        assert list(page["state"]) == [room_id]
        assert "m.room.name" in {event["type"] for event in page["state"][room_id]}

    async def test_highlights_are_the_words_that_matched(self, alice: Client) -> None:
        room_id = await alice.create_room()
        await alice.send(room_id, "Martians, and more martianesque things")

        assert (await search(alice, "Martian"))["highlights"] == ["martian", "martianesque", "martians"]

    async def test_no_category_is_no_result(self, alice: Client) -> None:
        assert await alice.post("/v3/search", {"search_categories": {}}) == {"search_categories": {}}


@pytest.mark.parametrize(
    ("criteria", "errcode"),
    [
        ({}, "M_MISSING_PARAM"),
        ({"search_term": 3}, "M_BAD_JSON"),
        ({"search_term": "x", "keys": ["content.format"]}, "M_INVALID_PARAM"),
        ({"search_term": "x", "order_by": "luck"}, "M_INVALID_PARAM"),
        ({"search_term": "x", "groupings": {"group_by": [{"key": "type"}]}}, "M_INVALID_PARAM"),
        ({"search_term": "x", "groupings": {"group_by": ["sender"]}}, "M_BAD_JSON"),
        ({"search_term": "x", "filter": {"limit": 0}}, "M_INVALID_PARAM"),
        ({"search_term": "x", "filter": {"types": "m.room.message"}}, "M_BAD_JSON"),
        ({"search_term": "x", "event_context": {"before_limit": -1}}, "M_INVALID_PARAM"),
    ],
)
async def test_what_is_no_search(alice: Client, criteria: Json, errcode: str) -> None:
    body = {"search_categories": {"room_events": criteria}}
    assert await alice.refused("POST", "/v3/search", body) == (400, errcode)


@pytest.mark.parametrize("token", ["x", "", "W10", "WzEsMiwzXQ", "bnVsbA", "é"])
async def test_what_is_no_token(alice: Client, token: str) -> None:
    body = {"search_categories": {"room_events": {"search_term": "x"}}}
    assert await alice.refused("POST", "/v3/search", body, next_batch=token) == (400, "M_INVALID_PARAM")


def _count_rows_with(db: Any, word: str) -> int:
    (count,) = db.execute("SELECT COUNT(*) FROM event_words WHERE event_words MATCH ?", (word,)).fetchone()
    return int(count)
