"""Events that relate to others: bundled, listed, and threaded."""

import json
from typing import Any

from helpers.homeserver import Client, bodies, quoted

Json = dict[str, Any]


def relating(event_id: str, relation_type: str, **content: Any) -> Json:
    return {**content, "m.relates_to": {"rel_type": relation_type, "event_id": event_id}}


async def shared_room(alice: Client, bob: Client) -> str:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    return room_id


async def relations_of(client: Client, room_id: str, event_id: str) -> Json:
    event = await client.get(f"/v3/rooms/{room_id}/event/{quoted(event_id)}")
    found: Json = event["unsigned"].get("m.relations", {})
    return found


async def test_references_are_listed(alice: Client, bob: Client) -> None:
    room_id = await shared_room(alice, bob)
    words = await alice.send(room_id, "words")
    first = await bob.send(room_id, relating(words, "m.reference"), "org.example.quote")
    second = await bob.send(room_id, relating(words, "m.reference"), "org.example.quote")

    assert await relations_of(alice, room_id, words) == {
        "m.reference": {"chunk": [{"event_id": first}, {"event_id": second}]}
    }
    await bob.redact(room_id, first)
    assert await relations_of(alice, room_id, words) == {"m.reference": {"chunk": [{"event_id": second}]}}


async def test_of_replacements_the_newest_valid_one_counts(alice: Client, bob: Client) -> None:
    room_id = await shared_room(alice, bob)
    words = await alice.send(room_id, "words")
    edit = relating(words, "m.replace", body="* better", **{"m.new_content": {"body": "better"}})
    await alice.send(room_id, edit)
    newest = await alice.send(room_id, {**edit, "body": "* best"})
    await bob.send(room_id, {**edit, "body": "* not his to change"})
    await alice.send(room_id, {**edit, "body": "* of another type"}, "m.sticker")
    await alice.send(room_id, relating(words, "m.replace", body="* without new content"))

    await alice.send(room_id, relating(newest, "m.replace", **{"m.new_content": {"body": "an edit of an edit"}}))
    elsewhere = await alice.create_room()
    await alice.send(elsewhere, {**edit, "body": "* from another room"})

    replaced = (await relations_of(bob, room_id, words))["m.replace"]
    assert replaced["event_id"] == newest
    assert replaced["content"]["body"] == "* best"
    assert bodies((await alice.messages(room_id, "f", limit=100))["chunk"])[0] == "words"
    assert await relations_of(bob, room_id, newest) == {}
    await alice.redact(room_id, words)
    assert await relations_of(bob, room_id, words) == {}


async def test_a_thread_is_summed_up(alice: Client, bob: Client) -> None:
    room_id = await shared_room(alice, bob)
    root = await alice.send(room_id, "root")
    await bob.send(room_id, relating(root, "m.thread", body="one"))
    latest = await bob.send(room_id, relating(root, "m.thread", body="two"))
    await bob.send(room_id, relating(latest, "m.replace", body="* 2", **{"m.new_content": {"body": "2"}}))
    nested = await bob.send(room_id, relating(latest, "m.thread", body="a thread in a thread"))

    thread = (await relations_of(bob, room_id, root))["m.thread"]
    assert (thread["count"], thread["current_user_participated"]) == (2, True)
    assert thread["latest_event"]["event_id"] == latest
    assert thread["latest_event"]["unsigned"]["m.relations"]["m.replace"]["content"]["body"] == "* 2"
    assert nested not in json.dumps(thread)


async def test_whom_a_user_ignores_is_not_counted(alice: Client, bob: Client) -> None:
    room_id = await shared_room(alice, bob)
    root = await alice.send(room_id, "root")
    await bob.send(room_id, relating(root, "m.thread", body="one"))
    ignored = f"/v3/user/{quoted(alice.user_id)}/account_data/m.ignored_user_list"
    await alice.put(ignored, {"ignored_users": {bob.user_id: {}}})

    assert await relations_of(alice, room_id, root) == {}
    assert "m.thread" in await relations_of(bob, room_id, root)


async def test_related_events_are_listed_in_pages(alice: Client, bob: Client) -> None:
    room_id = await shared_room(alice, bob)
    words = await alice.send(room_id, "words")
    thread = [await bob.send(room_id, relating(words, "m.thread", body=f"{number}")) for number in range(5)]
    quote = await bob.send(room_id, relating(words, "m.reference"), "org.example.quote")
    base = f"/v1/rooms/{room_id}/relations/{quoted(words)}"

    def ids(page: Json) -> list[str]:
        return [event["event_id"] for event in page["chunk"]]

    assert ids(await alice.get(base)) == [quote, *reversed(thread)]
    assert ids(await alice.get(f"{base}/m.thread")) == list(reversed(thread))
    assert ids(await alice.get(f"{base}/m.thread/org.example.quote")) == []
    first = await alice.get(f"{base}/m.thread", limit=2)
    second = await alice.get(f"{base}/m.thread", limit=2, **{"from": first["next_batch"]})
    third = await alice.get(f"{base}/m.thread", limit=2, **{"from": second["next_batch"]})
    assert ids(first) + ids(second) + ids(third) == list(reversed(thread))
    assert "next_batch" not in third
    forwards = await alice.get(f"{base}/m.thread", limit=3, dir="f")
    rest = await alice.get(f"{base}/m.thread", limit=3, dir="f", **{"from": forwards["next_batch"]})
    assert ids(forwards) + ids(rest) == thread
    between = await alice.get(base, to=second["next_batch"], **{"from": first["next_batch"]})
    assert ids(between) == ids(second)


async def test_relations_of_relations(alice: Client, bob: Client) -> None:
    room_id = await shared_room(alice, bob)
    words = await alice.send(room_id, "words")
    reply = await bob.send(room_id, relating(words, "m.thread", body="reply"))
    reaction = relating(reply, "m.annotation")
    reaction["m.relates_to"]["key"] = "👍"
    thumb = await alice.send(room_id, reaction, "m.reaction")
    base = f"/v1/rooms/{room_id}/relations/{quoted(words)}"

    direct = await alice.get(base)
    assert [event["event_id"] for event in direct["chunk"]] == [reply]
    deep = await alice.get(base, recurse=True)
    assert [event["event_id"] for event in deep["chunk"]] == [thumb, reply]
    assert deep["recursion_depth"] >= 3


async def test_relations_of_what_one_may_not_see(server: Any, alice: Client) -> None:
    room_id = await alice.create_room()
    words = await alice.send(room_id, "words")
    bob = await server.register("bob")

    path = f"/v1/rooms/{room_id}/relations/{quoted(words)}"
    assert await bob.refused("GET", path) == (404, "M_NOT_FOUND")
    assert await bob.refused("GET", f"/v1/rooms/{room_id}/threads") == (403, "M_FORBIDDEN")
    assert await alice.refused("GET", path, limit=0) == (400, "M_INVALID_PARAM")


async def test_threads_of_a_room(alice: Client, bob: Client) -> None:
    room_id = await shared_room(alice, bob)
    roots = [await alice.send(room_id, f"root {number}") for number in range(3)]
    for root in (roots[0], roots[1], roots[2], roots[0]):
        await alice.send(room_id, relating(root, "m.thread", body="reply"))
    await bob.send(room_id, relating(roots[1], "m.thread", body="mine"))
    path = f"/v1/rooms/{room_id}/threads"

    everything = await bob.get(path)
    assert [event["event_id"] for event in everything["chunk"]] == [roots[1], roots[0], roots[2]]
    assert everything["chunk"][0]["unsigned"]["m.relations"]["m.thread"]["count"] == 2
    mine = await bob.get(path, include="participated")
    assert [event["event_id"] for event in mine["chunk"]] == [roots[1]]
    first = await bob.get(path, limit=2)
    second = await bob.get(path, limit=2, **{"from": first["next_batch"]})
    assert [event["event_id"] for event in first["chunk"] + second["chunk"]] == [roots[1], roots[0], roots[2]]
    assert "next_batch" not in second


async def test_a_filter_asks_for_what_others_relate_to(alice: Client, bob: Client) -> None:
    room_id = await shared_room(alice, bob)
    root = await alice.send(room_id, "root")
    await alice.send(room_id, "not a root")
    await bob.send(room_id, relating(root, "m.thread", body="reply"))

    for wanted in ({"related_by_rel_types": ["m.thread"]}, {"related_by_senders": [bob.user_id]}):
        page = await alice.messages(room_id, filter=json.dumps(wanted))
        assert bodies(page["chunk"]) == ["root"]
    nobody = {"related_by_rel_types": ["m.thread"], "related_by_senders": [alice.user_id]}
    assert (await alice.messages(room_id, filter=json.dumps(nobody)))["chunk"] == []
