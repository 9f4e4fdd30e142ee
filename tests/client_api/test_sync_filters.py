"""Filters: kept on the server, and what they do to /sync."""

import json
from typing import Any

import pytest

from helpers.homeserver import Client, Json, bodies


async def sync(client: Client, definition: Json, **query: Any) -> Json:
    return await client.sync(filter=json.dumps(definition), **query)


def timeline(answer: Json, room_id: str) -> list[Json]:
    events: list[Json] = answer["rooms"]["join"][room_id]["timeline"]["events"]
    return events


async def test_a_filter_is_kept_and_named(alice: Client, bob: Client) -> None:
    path = f"/v3/user/{alice.user_id}/filter"
    definition = {"room": {"timeline": {"limit": 1}}}
    filter_id = (await alice.post(path, definition))["filter_id"]

    assert await alice.get(f"{path}/{filter_id}") == definition
    assert (await alice.post(path, definition))["filter_id"] == filter_id
    assert (await alice.post(path, {}))["filter_id"] != filter_id
    assert await alice.refused("GET", f"{path}/77") == (404, "M_NOT_FOUND")
    assert await bob.refused("GET", f"{path}/{filter_id}") == (403, "M_FORBIDDEN")
    assert await alice.refused("GET", "/v3/sync", filter="77") == (404, "M_NOT_FOUND")

    room_id = await alice.create_room()
    assert len(timeline(await alice.sync(filter=filter_id), room_id)) == 1


@pytest.mark.parametrize(
    "definition",
    [
        {"room": []},
        {"room": {"timeline": {"limit": "ten"}}},
        {"room": {"timeline": {"types": "m.room.message"}}},
        {"presence": {"senders": [1]}},
        {"event_format": "xml"},
        {"event_fields": "type"},
        {"room": {"include_leave": "yes"}},
    ],
)
async def test_malformed_filters_are_refused(alice: Client, definition: Json) -> None:
    assert await alice.refused("POST", f"/v3/user/{alice.user_id}/filter", definition) == (400, "M_BAD_JSON")
    assert await alice.refused("GET", "/v3/sync", filter=json.dumps(definition)) == (400, "M_BAD_JSON")


async def test_types_and_senders_choose_what_the_limit_counts(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    for text in ("one", "two", "three"):
        await alice.send(room_id, text)
        await bob.send(room_id, {"body": text.upper()}, "org.example[1]?")

    def only(**room_filter: Any) -> Json:
        return {"room": {"timeline": {"limit": 2, **room_filter}}}

    async def seen(**room_filter: Any) -> list[str]:
        return bodies(timeline(await sync(alice, only(**room_filter)), room_id))

    assert await seen(types=["m.room.message"]) == ["two", "three"]
    assert await seen(types=["m.room.mess*"]) == ["two", "three"]
    assert await seen(types=["org.*[1]?"]) == ["TWO", "THREE"]
    assert await seen(not_types=["org.*"]) == ["two", "three"]
    assert await seen(senders=[bob.user_id], not_types=["m.room.member"]) == ["TWO", "THREE"]
    assert await seen(not_senders=[bob.user_id]) == ["two", "three"]
    assert await seen(types=[]) == []
    assert await seen(types=["m.room.message"], not_types=["*"]) == []


async def test_state_that_the_timeline_leaves_out_is_in_the_state(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    since = (await bob.sync())["next_batch"]
    await alice.send_state(room_id, "m.room.name", {"name": "Kitchen"})
    await alice.send(room_id, "hello")

    entry = (await sync(bob, {"room": {"timeline": {"types": ["m.room.message"]}}}, since=since))["rooms"]["join"]

    assert [event["content"] for event in entry[room_id]["state"]["events"]] == [{"name": "Kitchen"}]
    assert entry[room_id]["timeline"]["limited"] is False


async def test_events_with_a_url(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, {"body": "picture", "url": "mxc://tab.test/x"})
    await alice.send(room_id, {"body": "words"})

    async def seen(contains_url: bool) -> list[str]:
        room_filter = {"room": {"timeline": {"contains_url": contains_url, "types": ["m.room.message"]}}}
        return bodies(timeline(await sync(alice, room_filter), room_id))

    assert await seen(True) == ["picture"]
    assert await seen(False) == ["words"]


async def test_rooms_are_chosen_for_everything_or_for_a_part(alice: Client) -> None:
    kitchen, cellar = await alice.create_room(), await alice.create_room()

    async def told(room_filter: Json) -> set[str]:
        return set((await sync(alice, {"room": room_filter})).get("rooms", {}).get("join", {}))

    assert await told({"rooms": [kitchen]}) == {kitchen}
    assert await told({"not_rooms": [kitchen]}) == {cellar}
    assert await told({"rooms": [kitchen], "not_rooms": [kitchen]}) == set()
    parts = await sync(alice, {"room": {"timeline": {"not_rooms": [kitchen]}, "state": {"rooms": [cellar]}}})
    assert timeline(parts, kitchen) == []
    assert parts["rooms"]["join"][kitchen]["state"]["events"] == []
    assert timeline(parts, cellar) != []


async def test_account_data_presence_and_ephemeral_events_are_chosen(alice: Client) -> None:
    room_id = await alice.create_room()
    event_id = await alice.send(room_id, "hello")
    await alice.post(f"/v3/rooms/{room_id}/receipt/m.read/{event_id}")
    await alice.put(f"/v3/user/{alice.user_id}/rooms/{room_id}/account_data/org.example", {"a": 1})

    nothing = {"types": []}
    answer = await sync(
        alice,
        {
            "account_data": {"not_types": ["m.push*"]},
            "presence": {"not_senders": [alice.user_id]},
            "room": {"ephemeral": nothing, "account_data": nothing},
        },
    )

    assert "account_data" not in answer
    assert "presence" not in answer
    assert answer["rooms"]["join"][room_id]["ephemeral"]["events"] == []
    assert answer["rooms"]["join"][room_id]["account_data"]["events"] == []


async def test_fields_and_formats(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, {"body": "hello", "msgtype": "m.text", "m.extra": {"a": 1, "b": 2}})

    fields = ["type", "content.body", r"content.m\.extra.a", "content.missing", "nothing"]
    (event,) = timeline(await sync(alice, {"event_fields": fields, "room": {"timeline": {"limit": 1}}}), room_id)
    assert event == {"type": "m.room.message", "content": {"body": "hello", "m.extra": {"a": 1}}}

    raw = await sync(alice, {"event_format": "federation", "room": {"timeline": {"limit": 1}}})
    assert {"auth_events", "prev_events", "hashes", "signatures"} <= timeline(raw, room_id)[0].keys()


async def test_events_to_which_something_relates(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    since = (await alice.sync())["next_batch"]
    likers = {"liked by bob": bob, "liked by nobody": None, "liked by alice": alice}
    for text, liker in likers.items():
        event_id = await alice.send(room_id, text)
        if liker is not None:
            await liker.send(
                room_id,
                {"m.relates_to": {"rel_type": "m.annotation", "event_id": event_id, "key": "+"}},
                "m.reaction",
            )
    event_id = await alice.send(room_id, "answered by bob")
    await bob.send(room_id, {"answer": "yes", "m.relates_to": {"rel_type": "m.reference", "event_id": event_id}})

    async def told(**related: Any) -> Json:
        answer = await sync(alice, {"room": {"timeline": related}}, since=since)
        found: Json = answer["rooms"]["join"][room_id]["timeline"]
        return found

    by_type = await told(related_by_rel_types=["m.annotation"])
    assert bodies(by_type["events"]) == ["liked by bob", "liked by alice"]
    by_sender = await told(related_by_senders=[bob.user_id])
    assert bodies(by_sender["events"]) == ["liked by bob", "answered by bob"]
    assert not by_sender["limited"]
    by_both = await told(related_by_rel_types=["m.annotation"], related_by_senders=[bob.user_id])
    assert bodies(by_both["events"]) == ["liked by bob"]
    last = await told(limit=1, related_by_senders=[bob.user_id])
    assert bodies(last["events"]) == ["answered by bob"]
    assert last["limited"]
