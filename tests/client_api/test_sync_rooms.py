"""GET /sync: what it tells of rooms."""

import json
from typing import Any

import pytest

from helpers.homeserver import Client, Json, TestServer, bodies, quoted


def limited_to(limit: int, **room: Any) -> str:
    return json.dumps({"room": {"timeline": {"limit": limit}, **room}})


def joined(answer: Json, room_id: str) -> Json:
    entry: Json = answer["rooms"]["join"][room_id]
    return entry


def types(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


async def new_room(alice: Client, bob: Client, **options: Any) -> str:
    room_id = await alice.create_room(preset="public_chat", **options)
    await bob.join(room_id)
    return room_id


async def test_an_initial_sync_tells_the_last_events_and_the_state_before_them(alice: Client, bob: Client) -> None:
    room_id = await new_room(alice, bob, name="Kitchen")
    for text in ("one", "two", "three"):
        await alice.send(room_id, text)

    entry = joined(await bob.sync(filter=limited_to(2)), room_id)

    assert bodies(entry["timeline"]["events"]) == ["two", "three"]
    assert entry["timeline"]["limited"] is True
    state = {event["type"]: event["content"] for event in entry["state"]["events"] if event["state_key"] == ""}
    assert state["m.room.name"] == {"name": "Kitchen"}
    assert {event["state_key"] for event in entry["state"]["events"] if event["type"] == "m.room.member"} == {
        alice.user_id,
        bob.user_id,
    }
    assert entry["summary"] == {"m.joined_member_count": 2, "m.invited_member_count": 0}
    assert all("room_id" not in event for event in entry["timeline"]["events"])


async def test_state_comes_in_the_order_of_the_timeline(alice: Client) -> None:
    room_id = await alice.create_room(name="Kitchen")
    await alice.send_state(room_id, "m.room.power_levels", {"users": {}})
    await alice.send(room_id, "hello")

    state = joined(await alice.sync(filter=limited_to(1)), room_id)["state"]["events"]

    assert types(state) == [
        "m.room.create",
        "m.room.member",
        "m.room.join_rules",
        "m.room.history_visibility",
        "m.room.guest_access",
        "m.room.name",
        "m.room.power_levels",
    ]


async def test_exactly_as_many_events_as_the_limit_are_not_limited(alice: Client, bob: Client) -> None:
    room_id = await new_room(alice, bob)
    since = (await bob.sync())["next_batch"]
    for text in ("one", "two"):
        await alice.send(room_id, text)

    exact = joined(await bob.sync(since, filter=limited_to(2)), room_id)["timeline"]
    one_less = joined(await bob.sync(since, filter=limited_to(1)), room_id)["timeline"]

    assert (bodies(exact["events"]), exact["limited"]) == (["one", "two"], False)
    assert (bodies(one_less["events"]), one_less["limited"]) == (["two"], True)
    page = await bob.messages(room_id, **{"from": one_less["prev_batch"]}, limit=1)
    assert bodies(page["chunk"]) == ["one"]


async def test_a_gap_tells_the_state_that_changed_in_it(alice: Client, bob: Client) -> None:
    room_id = await new_room(alice, bob, name="Kitchen")
    since = (await bob.sync())["next_batch"]
    await alice.send_state(room_id, "m.room.topic", {"topic": "Soup"})
    await alice.send_state(room_id, "m.room.name", {"name": "Cellar"})
    await alice.send_state(room_id, "m.room.name", {"name": "Attic"})

    entry = joined(await bob.sync(since, filter=limited_to(1)), room_id)

    assert [event["content"] for event in entry["state"]["events"]] == [{"topic": "Soup"}, {"name": "Cellar"}]
    assert [event["content"] for event in entry["timeline"]["events"]] == [{"name": "Attic"}]


async def test_with_state_after_the_state_is_that_at_the_end(alice: Client, bob: Client) -> None:
    room_id = await new_room(alice, bob, name="Kitchen")
    since = (await bob.sync())["next_batch"]
    await alice.send_state(room_id, "m.room.name", {"name": "Cellar"})
    await alice.send_state(room_id, "m.room.name", {"name": "Attic"})

    for prefix in ("", "org.matrix.msc4222."):
        entry = joined(await bob.sync(since, filter=limited_to(1), **{f"{prefix}use_state_after": True}), room_id)

        assert [event["content"] for event in entry[f"{prefix}state_after"]["events"]] == [{"name": "Attic"}]
        assert len([key for key in entry if "state" in key]) == 1

    entry = joined(await bob.sync(filter=limited_to(1), use_state_after=True), room_id)
    assert {"name": "Attic"} in [event["content"] for event in entry["state_after"]["events"]]


async def test_nothing_new_is_nothing(alice: Client) -> None:
    await alice.create_room()
    since = (await alice.sync())["next_batch"]

    again = await alice.sync(since)

    assert again.keys() == {"next_batch", "device_one_time_keys_count", "device_unused_fallback_key_types"}


async def test_a_room_joined_since_is_told_whole(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", name="Kitchen")
    await alice.send(room_id, "before")
    since = (await bob.sync())["next_batch"]
    await bob.join(room_id)

    entry = joined(await bob.sync(since, filter=limited_to(2)), room_id)

    assert types(entry["timeline"]["events"]) == ["m.room.message", "m.room.member"]
    assert entry["timeline"]["limited"] is True
    assert "m.room.name" in types(entry["state"]["events"])
    assert entry["summary"]["m.joined_member_count"] == 2


async def test_what_happened_while_one_was_away_is_not_told_unless_it_may_be_seen(alice: Client, bob: Client) -> None:
    room_id = await new_room(alice, bob)
    await alice.send_state(room_id, "m.room.history_visibility", {"history_visibility": "joined"})
    since = (await bob.sync())["next_batch"]
    await alice.send(room_id, "goodbye")
    await bob.leave(room_id)
    await alice.send(room_id, "he is gone")
    await bob.join(room_id)
    await alice.send(room_id, "welcome")

    entry = joined(await bob.sync(since), room_id)

    assert bodies(entry["timeline"]["events"]) == ["goodbye", "welcome"]
    assert "m.room.create" in types(entry["state"]["events"])


async def test_a_timeline_does_not_undo_a_change_that_was_hidden(alice: Client, bob: Client) -> None:
    room_id = await new_room(alice, bob, name="Kitchen")
    await alice.send_state(room_id, "m.room.history_visibility", {"history_visibility": "joined"})
    since = (await bob.sync())["next_batch"]
    await alice.send_state(room_id, "m.room.name", {"name": "Seen"})
    await bob.leave(room_id)
    await alice.send_state(room_id, "m.room.name", {"name": "Hidden"})
    await bob.join(room_id)

    entry = joined(await bob.sync(since), room_id)

    assert types(entry["timeline"]["events"]) == ["m.room.member"]
    assert entry["timeline"]["limited"] is True
    names = [event["content"]["name"] for event in entry["state"]["events"] if event["type"] == "m.room.name"]
    assert names == ["Hidden"]


async def test_an_invite_tells_the_stripped_state(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(name="Kitchen", topic="Soup")
    since = (await bob.sync())["next_batch"]
    await alice.invite(room_id, bob)

    for answer in (await bob.sync(since), await bob.sync()):
        events = answer["rooms"]["invite"][room_id]["invite_state"]["events"]
        stripped = {(event["type"], event["state_key"]): event["content"] for event in events}
        assert stripped["m.room.create", ""]["room_version"] == "12"
        assert stripped["m.room.name", ""] == {"name": "Kitchen"}
        assert stripped["m.room.member", bob.user_id]["membership"] == "invite"
        assert stripped["m.room.member", alice.user_id]["membership"] == "join"
        assert all(event.keys() == {"type", "state_key", "sender", "content"} for event in events)
        assert "join" not in answer["rooms"]


async def test_a_knock_is_told_to_who_knocks(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(
        initial_state=[{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}], name="Kitchen"
    )
    since = (await bob.sync())["next_batch"]
    await bob.post(f"/v3/knock/{quoted(room_id)}")

    answer = await bob.sync(since)

    assert {"name": "Kitchen"} in [
        event["content"] for event in answer["rooms"]["knock"][room_id]["knock_state"]["events"]
    ]


async def test_leaving_is_told_with_everything_up_to_it(alice: Client, bob: Client) -> None:
    room_id = await new_room(alice, bob)
    since = (await bob.sync())["next_batch"]
    await alice.send(room_id, "goodbye")
    await bob.leave(room_id)
    await alice.send_state(room_id, "m.room.name", {"name": "Without Bob"})
    await alice.send(room_id, "he is gone")

    answer = await bob.sync(since)

    timeline = answer["rooms"]["leave"][room_id]["timeline"]["events"]
    assert types(timeline) == ["m.room.message", "m.room.member"]
    assert timeline[-1]["content"]["membership"] == "leave"
    assert answer["rooms"]["leave"][room_id]["state"]["events"] == []
    assert "join" not in answer["rooms"]
    assert "rooms" not in await bob.sync(answer["next_batch"])


async def test_left_rooms_come_back_only_to_who_asks(alice: Client, bob: Client) -> None:
    room_id = await new_room(alice, bob, name="Kitchen")
    await alice.post(f"/v3/rooms/{room_id}/ban", {"user_id": bob.user_id})
    await alice.send_state(room_id, "m.room.name", {"name": "Without Bob"})

    assert "rooms" not in await bob.sync()
    asked = await bob.sync(filter=limited_to(1, include_leave=True))

    left = asked["rooms"]["leave"][room_id]
    assert left["timeline"]["events"][0]["content"]["membership"] == "ban"
    assert {"name": "Kitchen"} in [event["content"] for event in left["state"]["events"]]

    await bob.post(f"/v3/rooms/{room_id}/forget")
    assert "rooms" not in await bob.sync(filter=limited_to(1, include_leave=True))


async def test_a_client_that_still_shows_a_forgotten_room_is_told_that_it_was_left(alice: Client, bob: Client) -> None:
    room_id = await new_room(alice, bob)
    since = (await bob.sync())["next_batch"]
    await bob.leave(room_id)
    await bob.post(f"/v3/rooms/{room_id}/forget")

    answer = await bob.sync(since)

    assert answer["rooms"]["leave"][room_id]["timeline"]["events"][-1]["content"]["membership"] == "leave"
    assert "rooms" not in await bob.sync(answer["next_batch"])


async def test_a_rejected_invite_tells_nothing_of_the_room(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="private_chat", name="Kitchen")
    await alice.invite(room_id, bob)
    since = (await bob.sync())["next_batch"]
    await alice.send(room_id, "secret")
    await bob.leave(room_id)

    left = (await bob.sync(since))["rooms"]["leave"][room_id]

    assert [event["content"]["membership"] for event in left["timeline"]["events"]] == ["leave"]
    assert left["state"]["events"] == []


async def test_full_state_tells_all_rooms_again_but_no_old_events(alice: Client, bob: Client) -> None:
    room_id = await new_room(alice, bob, name="Kitchen")
    since = (await bob.sync())["next_batch"]

    entry = joined(await bob.sync(since, full_state=True), room_id)

    assert entry["timeline"]["events"] == []
    assert "m.room.name" in types(entry["state"]["events"])


async def test_lazy_loading_tells_members_once(alice: Client, bob: Client, server: TestServer) -> None:
    carol = await server.register("carol")
    room_id = await new_room(alice, bob, name="Kitchen")
    await carol.join(room_id)
    await alice.send(room_id, "one")
    lazy = limited_to(1, state={"lazy_load_members": True})

    def members(answer: Json) -> set[str]:
        events = joined(answer, room_id)["state"]["events"]
        return {event["state_key"] for event in events if event["type"] == "m.room.member"}

    first = await bob.sync(filter=lazy)
    assert members(first) == {alice.user_id, bob.user_id}

    await alice.send(room_id, "two")
    assert members(await bob.sync(first["next_batch"], filter=lazy)) == set()
    redundant = limited_to(1, state={"lazy_load_members": True, "include_redundant_members": True})
    assert members(await bob.sync(first["next_batch"], filter=redundant)) == {alice.user_id}

    await carol.send(room_id, "three")
    lost = await bob.sync(first["next_batch"], filter=lazy)
    assert members(lost) == {carol.user_id}
    again = await bob.sync(first["next_batch"], filter=lazy)
    assert members(again) == {carol.user_id}, "the first answer may have been lost on its way"

    await carol.send(room_id, "four")
    assert members(await bob.sync(again["next_batch"], filter=lazy)) == set()


async def test_lazy_loading_tells_every_member_that_changed_in_a_gap(
    alice: Client, bob: Client, server: TestServer
) -> None:
    carol = await server.register("carol")
    room_id = await new_room(alice, bob, name="Kitchen")
    lazy = limited_to(1, state={"lazy_load_members": True})
    since = (await bob.sync(filter=lazy))["next_batch"]
    await carol.join(room_id)
    for text in ("one", "two"):
        await alice.send(room_id, text)

    state = joined(await bob.sync(since, filter=lazy), room_id)["state"]["events"]

    assert [event["state_key"] for event in state] == [alice.user_id, carol.user_id]


async def test_who_comes_back_at_once_learns_who_went_meanwhile(alice: Client, bob: Client, server: TestServer) -> None:
    carol = await server.register("carol")
    room_id = await new_room(alice, bob)
    await carol.join(room_id)
    lazy = limited_to(1, state={"lazy_load_members": True})
    since = (await bob.sync(filter=lazy))["next_batch"]
    await bob.leave(room_id)
    await carol.leave(room_id)
    await bob.join(room_id)

    state = joined(await bob.sync(since, filter=lazy), room_id)["state"]["events"]

    members = {
        event["state_key"]: event["content"]["membership"] for event in state if "membership" in event["content"]
    }
    assert members[carol.user_id] == "leave"


async def test_a_room_without_a_name_has_heroes(alice: Client, bob: Client, server: TestServer) -> None:
    room_id = await alice.create_room(preset="private_chat")
    since = (await alice.sync())["next_batch"]
    await alice.invite(room_id, bob)

    answer = await alice.sync(since, filter=json.dumps({"room": {"state": {"lazy_load_members": True}}}))

    assert joined(answer, room_id)["summary"] == {
        "m.heroes": [bob.user_id],
        "m.joined_member_count": 1,
        "m.invited_member_count": 1,
    }
    await alice.send_state(room_id, "m.room.name", {"name": "Kitchen"})
    assert "m.heroes" not in joined(await alice.sync(answer["next_batch"]), room_id)["summary"]


async def test_ignored_users_are_not_heard_but_change_the_state(alice: Client, bob: Client, server: TestServer) -> None:
    room_id = await new_room(alice, bob)
    await bob.put(f"/v3/user/{bob.user_id}/account_data/m.ignored_user_list", {"ignored_users": {alice.user_id: {}}})
    since = (await bob.sync())["next_batch"]
    await alice.send(room_id, "hello?")
    await alice.send_state(room_id, "m.room.topic", {"topic": "Soup"})
    other_room = await alice.create_room(invite=[bob.user_id])

    answer = await bob.sync(since)

    assert types(joined(answer, room_id)["timeline"]["events"]) == ["m.room.topic"]
    assert other_room not in answer["rooms"].get("invite", {})
    assert joined(answer, room_id)["unread_notifications"]["notification_count"] == 0


async def test_events_carry_what_the_reader_should_know(alice: Client, bob: Client) -> None:
    room_id = await new_room(alice, bob)
    since = (await alice.sync())["next_batch"]
    event_id = await alice.send(room_id, "original", transaction_id="txn")
    await alice.send(room_id, {"m.relates_to": {"rel_type": "m.reference", "event_id": event_id}})

    (original, _) = joined(await alice.sync(since), room_id)["timeline"]["events"]

    assert original["unsigned"]["transaction_id"] == "txn"
    assert len(original["unsigned"]["m.relations"]["m.reference"]["chunk"]) == 1


async def test_a_token_of_another_time_is_refused(alice: Client) -> None:
    for token in ("nonsense", "s1", "s_2", "s99999999_1", "t5"):
        assert await alice.refused("GET", "/v3/sync", since=token) == (400, "M_INVALID_PARAM")


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_messages_goes_on_exactly_where_a_limited_timeline_begins(alice: Client, bob: Client, limit: int) -> None:
    room_id = await new_room(alice, bob)
    since = (await bob.sync())["next_batch"]
    said = [f"message {number}" for number in range(7)]
    for text in said:
        await alice.send(room_id, text)

    timeline = joined(await bob.sync(since, filter=limited_to(limit)), room_id)["timeline"]
    assert timeline["limited"]

    told, token = bodies(timeline["events"]), timeline["prev_batch"]
    while token is not None:
        page = await bob.messages(room_id, **{"from": token, "to": since, "limit": 2})
        told = [*reversed(bodies(page["chunk"])), *told]
        token = page.get("end")
    assert told == said


@pytest.mark.parametrize(("action", "membership"), [("kick", "leave"), ("ban", "ban")])
async def test_being_put_out_is_told_with_who_did_it(alice: Client, bob: Client, action: str, membership: str) -> None:
    room_id = await new_room(alice, bob)
    since = (await bob.sync())["next_batch"]
    await alice.send(room_id, "goodbye")
    await alice.post(f"/v3/rooms/{room_id}/{action}", {"user_id": bob.user_id, "reason": "enough"})
    await alice.send(room_id, "at last")

    answer = await bob.sync(since)

    goodbye, removal = answer["rooms"]["leave"][room_id]["timeline"]["events"]
    assert goodbye["content"]["body"] == "goodbye"
    assert (removal["sender"], removal["content"]) == (alice.user_id, {"membership": membership, "reason": "enough"})
    assert "join" not in answer["rooms"]
    assert "rooms" not in await bob.sync(answer["next_batch"])


async def test_an_old_token_still_serves_after_a_restart(alice: Client, bob: Client, server: TestServer) -> None:
    room_id = await new_room(alice, bob)
    since = (await bob.sync())["next_batch"]
    await alice.send(room_id, "before")
    await server.restart()
    await alice.send(room_id, "after")

    timeline = joined(await bob.sync(since), room_id)["timeline"]

    assert bodies(timeline["events"]) == ["before", "after"]
    assert not timeline["limited"]
