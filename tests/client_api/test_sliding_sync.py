"""POST …/org.matrix.simplified_msc3575/sync: rooms by lists and by name, and what is new in them (MSC4186)."""

import asyncio
from typing import Any

import pytest

from helpers.homeserver import Client, Json, TestServer, bodies, quoted

PATH = "/unstable/org.matrix.simplified_msc3575/sync"
LONG = 60_000
"""Milliseconds that no test waits for: it is answered before, or hangs."""

MEMBER = "m.room.member"


def window(first: int = 0, last: int = 99, limit: int = 10, state: Any = (), **filters: Any) -> Json:
    """A list with one window."""
    return {
        "ranges": [[first, last]],
        "timeline_limit": limit,
        "required_state": state if isinstance(state, dict) else list(state),
        "filters": filters,
    }


def subscription(limit: int = 10, state: Any = ()) -> Json:
    return {"timeline_limit": limit, "required_state": state if isinstance(state, dict) else list(state)}


async def sync(client: Client, pos: str | None = None, *, timeout: int = 0, **body: Any) -> Json:  # noqa: ASYNC109
    query: Json = {"timeout": timeout} | ({} if pos is None else {"pos": pos})
    answer: Json = await client.request("POST", PATH, body, **query)
    return answer


def room_ids(answer: Json, name: str = "all") -> list[str]:
    (operation,) = answer["lists"][name]["ops"]
    found: list[str] = operation["room_ids"]
    return found


def state_of(room: Json) -> set[tuple[str, str]]:
    return {(event["type"], event["state_key"]) for event in room.get("required_state", [])}


async def rooms_of(client: Client, count: int, **options: Any) -> list[str]:
    return [await client.create_room(name=f"Room {number}", **options) for number in range(count)]


async def test_a_list_shows_the_most_active_rooms_in_its_window(alice: Client) -> None:
    rooms = await rooms_of(alice, 4)
    await alice.send(rooms[1], "hello")

    answer = await sync(alice, lists={"all": window(0, 1)})

    assert answer["lists"]["all"]["count"] == 4
    assert room_ids(answer) == [rooms[1], rooms[3]]
    assert set(answer["rooms"]) == {rooms[1], rooms[3]}
    shown = answer["rooms"][rooms[1]]
    assert shown["initial"]
    assert (shown["name"], shown["joined_count"], shown["invited_count"]) == ("Room 1", 1, 0)
    assert shown["membership"] == "join"
    assert shown["lists"] == ["all"]
    assert bodies(shown["timeline"]) == ["hello"]
    assert shown["num_live"] == 0
    assert "heroes" not in shown
    assert shown["bump_stamp"] > answer["rooms"][rooms[3]]["bump_stamp"]


async def test_what_is_new_comes_once_and_rooms_move_up(alice: Client) -> None:
    rooms = await rooms_of(alice, 3)
    lists = {"all": window(0, 0, limit=2)}
    first = await sync(alice, lists=lists)

    quiet = await sync(alice, first["pos"], lists=lists)
    assert quiet["rooms"] == {}

    await alice.send(rooms[0], "up")
    moved = await sync(alice, quiet["pos"], lists=lists)
    assert room_ids(moved) == [rooms[0]]
    assert moved["rooms"][rooms[0]]["initial"]
    assert moved["rooms"][rooms[0]]["num_live"] == 1

    for text in ("one", "two", "three"):
        await alice.send(rooms[0], text)
    more = (await sync(alice, moved["pos"], lists=lists))["rooms"][rooms[0]]
    assert "initial" not in more
    assert bodies(more["timeline"]) == ["two", "three"]
    assert more["limited"]
    assert more["num_live"] == 2
    assert "name" not in more and "joined_count" not in more
    page = await alice.messages(rooms[0], **{"from": more["prev_batch"], "to": moved["pos"]})
    assert bodies(page["chunk"]) == ["one"]


async def test_a_room_that_left_the_window_is_told_later_what_it_missed(alice: Client) -> None:
    first, second = await rooms_of(alice, 2)
    lists = {"all": window(0, 0)}
    answer = await sync(alice, lists=lists)
    assert list(answer["rooms"]) == [second]
    await alice.send(second, "missed")
    await alice.send(first, "on top")

    answer = await sync(alice, answer["pos"], lists=lists)
    assert list(answer["rooms"]) == [first]
    answer = await sync(alice, answer["pos"], lists=lists)
    assert answer["rooms"] == {}

    await alice.send(second, "seen")
    back = (await sync(alice, answer["pos"], lists=lists))["rooms"][second]
    assert "initial" not in back
    assert bodies(back["timeline"]) == ["missed", "seen"]
    assert back["num_live"] == 1
    assert not back["limited"]


async def test_growing_windows_tell_each_room_once(alice: Client) -> None:
    rooms = await rooms_of(alice, 5)
    answer = await sync(alice, lists={"all": window(0, 1)})
    told = set(answer["rooms"])
    answer = await sync(alice, answer["pos"], lists={"all": window(0, 3)})
    assert told.isdisjoint(answer["rooms"])
    told |= set(answer["rooms"])
    answer = await sync(alice, answer["pos"], lists={"all": {**window(), "ranges": [[0, 0], [4, 4]]}})
    assert set(answer["rooms"]) == set(rooms) - told
    everything = await sync(alice, lists={"all": {"timeline_limit": 1, "required_state": []}})
    assert set(everything["rooms"]) == set(rooms)


async def test_a_subscription_shows_a_room_by_its_name_if_one_may_see_it(alice: Client, bob: Client) -> None:
    (room_id,) = await rooms_of(alice, 1, preset="public_chat")
    named = {room_id: subscription(1, [["m.room.name", ""]])}

    assert (await sync(bob, room_subscriptions=named))["rooms"] == {}
    assert (await sync(bob, room_subscriptions={"!nowhere:tab.test": subscription()}))["rooms"] == {}

    await bob.join(room_id)
    shown = (await sync(bob, room_subscriptions=named))["rooms"][room_id]
    assert state_of(shown) == {("m.room.name", "")}
    assert len(shown["timeline"]) == 1
    assert "lists" not in shown


async def test_a_pos_may_come_twice_and_outlives_the_server(alice: Client, server: TestServer) -> None:
    first, second = await rooms_of(alice, 2)
    lists = {"all": window(0, 0)}
    answer = await sync(alice, lists=lists)
    await alice.send(first, "news")

    lost = await sync(alice, answer["pos"], lists=lists)
    again = await sync(alice, answer["pos"], lists=lists)
    for told in (lost, again):
        assert told["rooms"][first]["initial"]
        assert bodies(told["rooms"][first]["timeline"]) == ["news"]

    await server.restart()
    third = await sync(alice, answer["pos"], lists=lists)
    assert third["rooms"][first]["initial"]
    await server.restart()
    assert (await sync(alice, third["pos"], lists=lists))["rooms"] == {}
    await alice.send(second, "more")
    assert "initial" not in (await sync(alice, third["pos"], lists=lists))["rooms"][second]


async def test_an_answer_that_was_superseded_can_not_be_gone_on_with(alice: Client) -> None:
    first, _ = await rooms_of(alice, 2)
    lists = {"all": window(0, 0)}
    answer = await sync(alice, lists=lists)
    await alice.send(first, "one")
    lost = await sync(alice, answer["pos"], lists=lists)
    taken = await sync(alice, answer["pos"], lists=lists)

    assert await refused(alice, lost["pos"], lists) == (400, "M_UNKNOWN_POS")
    await sync(alice, taken["pos"], lists=lists)
    assert await refused(alice, answer["pos"], lists) == (400, "M_UNKNOWN_POS")


async def refused(client: Client, pos: str, lists: Json, **body: Any) -> tuple[int, str]:
    return await client.refused("POST", PATH, {"lists": lists, **body}, pos=pos)


async def test_a_pos_is_its_device_s_and_its_connection_s(alice: Client, bob: Client, server: TestServer) -> None:
    await rooms_of(alice, 1)
    lists = {"all": window()}
    answer = await sync(alice, lists=lists, conn_id="main")

    assert await refused(bob, answer["pos"], lists, conn_id="main") == (400, "M_UNKNOWN_POS")
    assert await refused(alice, answer["pos"], lists, conn_id="other") == (400, "M_UNKNOWN_POS")
    for nonsense in ("p1", "s5_5", "p99.0.~s1_1", "p1.0.~s99999999_1"):
        assert await refused(alice, nonsense, lists, conn_id="main") == (400, "M_UNKNOWN_POS")
    await sync(alice, lists=lists, conn_id="second")
    await sync(alice, answer["pos"], lists=lists, conn_id="main")
    await sync(alice, lists=lists, conn_id="main")
    assert await refused(alice, answer["pos"], lists, conn_id="main") == (400, "M_UNKNOWN_POS")


async def test_a_device_has_so_many_connections_and_old_ones_are_forgotten(alice: Client, server: TestServer) -> None:
    lists = {"all": window()}
    answers = [await sync(alice, lists=lists, conn_id=f"c{number}") for number in range(11)]

    assert await refused(alice, answers[0]["pos"], lists, conn_id="c0") == (400, "M_UNKNOWN_POS")
    await sync(alice, answers[1]["pos"], lists=lists, conn_id="c1")
    server.clock.now += 8 * 24 * 60 * 60 * 1000
    await sync(alice, lists=lists, conn_id="new")
    assert await refused(alice, answers[10]["pos"], lists, conn_id="c10") == (400, "M_UNKNOWN_POS")

    def count(db: Any) -> int:
        return int(db.execute("SELECT COUNT(*) FROM sliding_connections").fetchone()[0])

    assert await server.read(count) == 1
    await alice.post("/v3/logout")
    assert await server.read(count) == 0


async def test_a_quiet_client_and_one_that_hears_everything_write_nothing(alice: Client, server: TestServer) -> None:
    (room_id,) = await rooms_of(alice, 1)
    lists = {"all": window()}
    answer = await sync(alice, lists=lists)
    answer = await sync(alice, answer["pos"], lists=lists)
    commits = (await server.homeserver.context.database.statistics()).figures["commits"]
    for number in range(3):
        await alice.send(room_id, f"message {number}")
        answer = await sync(alice, answer["pos"], lists=lists)
        assert room_id in answer["rooms"]
        answer = await sync(alice, answer["pos"], lists=lists)
    after = (await server.homeserver.context.database.statistics()).figures["commits"]
    assert after - commits == 3, "the sends alone"


async def test_waiting_ends_with_news_and_not_with_others_business(alice: Client, bob: Client) -> None:
    (room_id,) = await rooms_of(alice, 1)
    lists = {"all": window()}
    answer = await sync(alice, lists=lists)
    waiting = asyncio.create_task(sync(alice, answer["pos"], timeout=LONG, lists=lists))
    await asyncio.sleep(0.02)
    await rooms_of(bob, 1)
    await asyncio.sleep(0.02)
    assert not waiting.done()

    await alice.send(room_id, "hello")
    assert bodies((await waiting)["rooms"][room_id]["timeline"]) == ["hello"]


async def test_a_later_request_of_a_connection_takes_over(alice: Client) -> None:
    (room_id,) = await rooms_of(alice, 1)
    lists = {"all": window()}
    pos = (await sync(alice, lists=lists))["pos"]
    waiting = asyncio.create_task(alice.refused("POST", PATH, {"lists": lists}, pos=pos, timeout=LONG))
    await asyncio.sleep(0.02)
    later = await sync(alice, pos, lists={**lists, "more": window()})
    await alice.send(room_id, "hello")

    assert await waiting == (400, "M_UNKNOWN_POS")
    assert bodies((await sync(alice, later["pos"], lists=lists))["rooms"][room_id]["timeline"]) == ["hello"]


async def test_a_logout_ends_the_wait(alice: Client) -> None:
    pos = (await sync(alice, lists={}))["pos"]
    waiting = asyncio.create_task(alice.refused("POST", PATH, {}, pos=pos, timeout=LONG))
    await asyncio.sleep(0.02)
    await alice.post("/v3/logout")
    assert await waiting == (401, "M_UNKNOWN_TOKEN")


async def test_filters_choose_rooms(alice: Client, bob: Client) -> None:
    plain, secret, direct, liked = await rooms_of(alice, 4)
    await alice.send_state(secret, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    await alice.put(f"/v3/user/{alice.user_id}/account_data/m.direct", {bob.user_id: [direct]})
    await alice.put(f"/v3/user/{alice.user_id}/rooms/{liked}/tags/m.favourite", {"order": 0.5})
    space = await alice.create_room(creation_content={"type": "m.space"}, name="Space")
    await alice.send_state(space, "m.space.child", {"via": ["tab.test"]}, liked)
    await alice.send_state(space, "m.space.child", {}, plain)
    invited = await bob.create_room(name="Bob's")
    await bob.invite(invited, alice)

    async def matching(**filters: Any) -> set[str]:
        answer = await sync(alice, lists={"all": window(**filters)})
        assert answer["lists"]["all"]["count"] == len(room_ids(answer))
        return set(room_ids(answer))

    everything = {plain, secret, direct, liked, space, invited}
    assert await matching() == everything
    assert await matching(is_encrypted=True) == {secret}
    assert await matching(is_encrypted=False) == everything - {secret}
    assert await matching(is_dm=True) == {direct}
    assert await matching(is_dm=False) == everything - {direct}
    assert await matching(is_invite=True) == {invited}
    assert await matching(is_invited=False) == everything - {invited}
    assert await matching(room_types=["m.space"]) == {space}
    assert await matching(room_types=[None]) == everything - {space}
    assert await matching(not_room_types=["m.space"]) == everything - {space}
    assert await matching(room_types=["m.space"], not_room_types=["m.space"]) == set()
    assert await matching(tags=["m.favourite"]) == {liked}
    assert await matching(not_tags=["m.favourite"]) == everything - {liked}
    assert await matching(spaces=[space]) == {liked}
    assert await matching(spaces=["!nowhere:tab.test"]) == set()
    assert await matching(room_name_like="room 1") == {secret}
    assert await matching(is_encrypted=False, is_dm=True) == {direct}

    shown = (await sync(alice, lists={"all": window(is_dm=True)}))["rooms"][direct]
    assert shown["is_dm"]


ALL_BUT_MEMBERS = {
    ("m.room.create", ""),
    ("m.room.power_levels", ""),
    ("m.room.join_rules", ""),
    ("m.room.history_visibility", ""),
    ("m.room.name", ""),
}


async def test_required_state_by_name_by_wildcard_and_by_what_it_leaves_out(alice: Client, bob: Client) -> None:
    (room_id,) = await rooms_of(alice, 1, preset="public_chat")
    await bob.join(room_id)
    me, him = (MEMBER, alice.user_id), (MEMBER, bob.user_id)

    async def told(state: Any, limit: int = 0) -> set[tuple[str, str]]:
        return state_of((await sync(alice, lists={"all": window(state=state, limit=limit)}))["rooms"][room_id])

    assert await told([["m.room.name", ""], ["m.room.topic", ""]]) == {("m.room.name", "")}
    assert await told([[MEMBER, "$ME"]]) == {me}
    assert await told([[MEMBER, "*"]]) == {me, him}
    assert await told([["*", alice.user_id]]) == {me}
    assert ALL_BUT_MEMBERS | {me, him} <= await told([["*", "*"]])
    without = await told([["*", "*"], [MEMBER, "$LAZY"]])
    assert without >= ALL_BUT_MEMBERS and MEMBER not in {event_type for event_type, _ in without}
    assert await told([["*", "*"], [MEMBER, "$ME"]]) == without | {me}
    assert await told([["*", "*"], [MEMBER, "$LAZY"]], limit=1) == without | {him}, "who joined last"
    # The accepted proposal's form.
    assert await told({"include": [{"type": "m.room.name"}]}) == {("m.room.name", "")}
    assert await told({"include": [{}], "exclude": [{"type": MEMBER}]}) == without
    assert await told({"include": [{}], "lazy_members": True}) == without
    assert await told({"include": [{}, {"type": MEMBER, "state_key": "$ME"}], "lazy_members": True}) == without | {me}
    assert await told({}) == set()


async def test_members_are_loaded_as_the_timeline_needs_them_and_once(alice: Client, bob: Client) -> None:
    (room_id,) = await rooms_of(alice, 1, preset="public_chat")
    await bob.join(room_id)
    await alice.send(room_id, "from alice")
    lists = {"all": window(limit=1, state=[[MEMBER, "$LAZY"]])}

    answer = await sync(alice, lists=lists)
    assert state_of(answer["rooms"][room_id]) == {(MEMBER, alice.user_id)}
    await bob.send(room_id, "from bob")
    answer = await sync(alice, answer["pos"], lists=lists)
    assert state_of(answer["rooms"][room_id]) == {(MEMBER, bob.user_id)}
    await bob.send(room_id, "again")
    answer = await sync(alice, answer["pos"], lists=lists)
    assert state_of(answer["rooms"][room_id]) == set()
    await bob.put(f"/v3/profile/{quoted(bob.user_id)}/displayname", {"displayname": "Robert"})
    answer = await sync(alice, answer["pos"], lists=lists)
    assert state_of(answer["rooms"][room_id]) == {(MEMBER, bob.user_id)}


async def test_state_that_changes_is_told_and_wider_wishes_at_once(alice: Client) -> None:
    (room_id,) = await rooms_of(alice, 1)
    narrow = {"all": window(limit=1, state=[["m.room.name", ""]])}
    answer = await sync(alice, lists=narrow)
    await alice.send_state(room_id, "m.room.topic", {"topic": "not asked for"})
    await alice.send_state(room_id, "m.room.name", {"name": "New"})
    answer = await sync(alice, answer["pos"], lists=narrow)
    assert state_of(answer["rooms"][room_id]) == {("m.room.name", "")}
    assert answer["rooms"][room_id]["name"] == "New"

    wide = {"all": window(limit=1, state=[["m.room.name", ""], ["m.room.topic", ""]])}
    answer = await sync(alice, answer["pos"], timeout=LONG, lists=wide)
    assert state_of(answer["rooms"][room_id]) == {("m.room.topic", "")}
    assert answer["rooms"][room_id]["timeline"] == []
    assert (await sync(alice, answer["pos"], lists=wide))["rooms"] == {}

    await alice.send_state(room_id, "m.room.name", {})
    gone = (await sync(alice, answer["pos"], lists=wide))["rooms"][room_id]
    assert gone["name"] is None
    assert gone["heroes"] == []


async def test_a_longer_timeline_is_told_at_once(alice: Client) -> None:
    (room_id,) = await rooms_of(alice, 1)
    for number in range(5):
        await alice.send(room_id, f"message {number}")
    answer = await sync(alice, lists={"all": window(limit=1)})
    assert bodies(answer["rooms"][room_id]["timeline"]) == ["message 4"]

    answer = await sync(
        alice,
        answer["pos"],
        timeout=LONG,
        lists={"all": window(limit=1)},
        room_subscriptions={room_id: subscription(3)},
    )
    more = answer["rooms"][room_id]
    assert bodies(more["timeline"]) == ["message 2", "message 3", "message 4"]
    assert more["expanded_timeline"] and more["limited"] and more["num_live"] == 0

    answer = await sync(alice, answer["pos"], lists={"all": window(limit=1)})
    assert answer["rooms"] == {}
    answer = await sync(
        alice, answer["pos"], lists={"all": window(limit=1)}, room_subscriptions={room_id: subscription(3)}
    )
    assert answer["rooms"] == {}, "it has these three"


async def test_a_timeline_that_is_told_again_takes_the_place_of_the_shorter_one(alice: Client) -> None:
    (room_id,) = await rooms_of(alice, 1)
    answer = await sync(alice, lists={"all": window(limit=1)})
    answer = await sync(alice, answer["pos"], lists={"all": window(limit=100)})
    whole = answer["rooms"][room_id]
    assert whole["timeline"][0]["type"] == "m.room.create"
    assert whole["expanded_timeline"] and whole["limited"]


async def test_a_new_list_and_one_that_loses_a_room_are_told_at_once(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(invite=[bob.user_id])
    lists = {"all": window()}
    answer = await sync(bob, lists=lists)
    lists = {**lists, "invites": window(is_invite=True)}
    answer = await sync(bob, answer["pos"], timeout=LONG, lists=lists)
    assert (answer["lists"]["invites"]["count"], answer["rooms"]) == (1, {})

    only_invites = {"invites": lists["invites"]}
    answer = await sync(bob, answer["pos"], lists=only_invites)
    waiting = asyncio.create_task(sync(bob, answer["pos"], timeout=LONG, lists=only_invites))
    await bob.post(f"/v3/rooms/{quoted(room_id)}/leave", {})
    assert (await waiting)["lists"]["invites"]["count"] == 0


async def test_who_has_read_a_room_is_told_that_nothing_is_unread(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    event_id = await alice.send(room_id, "hello")
    body: Json = {"lists": {"all": window()}, "extensions": {"receipts": {"enabled": True}}}
    answer = await sync(bob, **body)
    assert answer["rooms"][room_id]["notification_count"] == 1

    await alice.post(f"/v3/rooms/{quoted(room_id)}/receipt/m.read/{quoted(event_id)}", {})
    answer = await sync(bob, answer["pos"], **body)
    assert answer["rooms"] == {}, "what others have read changes no count"

    await bob.post(f"/v3/rooms/{quoted(room_id)}/receipt/m.read/{quoted(event_id)}", {})
    answer = await sync(bob, answer["pos"], **body)
    assert answer["rooms"][room_id]["notification_count"] == 0
    assert "timeline" not in answer["rooms"][room_id]


async def test_invites_and_knocks_show_stripped_state(alice: Client, bob: Client, server: TestServer) -> None:
    room_id = await alice.create_room(name="Come in", invite=[bob.user_id])
    lists = {"all": window(state=[["*", "*"]])}
    answer = await sync(bob, lists=lists)

    shown = answer["rooms"][room_id]
    assert shown["membership"] == "invite"
    assert "timeline" not in shown and "required_state" not in shown
    names = [event["content"].get("name") for event in shown["invite_state"] if event["type"] == "m.room.name"]
    assert names == ["Come in"]
    assert shown["stripped_state"] == shown["invite_state"]
    assert (await sync(bob, answer["pos"], lists=lists))["rooms"] == {}

    await bob.join(room_id)
    joined = (await sync(bob, answer["pos"], lists=lists))["rooms"][room_id]
    assert joined["initial"] and joined["membership"] == "join"
    assert joined["joined_count"] == 2

    await bob.put(f"/v3/user/{bob.user_id}/account_data/m.ignored_user_list", {"ignored_users": {alice.user_id: {}}})
    hidden = await alice.create_room(invite=[bob.user_id])
    assert hidden not in room_ids(await sync(bob, lists=lists))


async def test_leaving_is_told_to_who_knew_the_room_and_being_put_out_to_everyone(alice: Client, bob: Client) -> None:
    left, kicked = await rooms_of(alice, 2, preset="public_chat")
    await bob.join(left)
    await bob.join(kicked)
    lists = {"all": window()}
    answer = await sync(bob, lists=lists)
    await alice.send(left, "goodbye")
    await bob.leave(left)
    await alice.send(left, "not for bob")
    await alice.post(f"/v3/rooms/{kicked}/kick", {"user_id": bob.user_id})

    answer = await sync(bob, answer["pos"], lists=lists)
    assert answer["rooms"][left]["membership"] == "leave"
    assert bodies(answer["rooms"][left]["timeline"]) == ["goodbye"]
    assert answer["rooms"][left]["timeline"][-1]["content"]["membership"] == "leave"
    assert answer["rooms"][kicked]["timeline"][-1]["sender"] == alice.user_id
    await alice.send(left, "nor this")
    assert (await sync(bob, answer["pos"], lists=lists))["rooms"] == {}

    fresh = await sync(bob, lists=lists, conn_id="fresh")
    assert room_ids(fresh) == [kicked]
    await bob.join(left)
    back = (await sync(bob, answer["pos"], lists=lists))["rooms"][left]
    assert back["initial"]


async def test_to_device_messages_stay_until_they_are_acknowledged(alice: Client, bob: Client) -> None:
    for number in range(3):
        message = {"messages": {bob.user_id: {bob.device_id: {"number": number}}}}
        await alice.put(f"/v3/sendToDevice/org.example/{number}", message)

    async def numbers(since: str | None, limit: int = 100) -> tuple[list[int], str]:
        wanted = {"enabled": True, "limit": limit} | ({} if since is None else {"since": since})
        told = (await sync(bob, extensions={"to_device": wanted}))["extensions"]["to_device"]
        return [event["content"]["number"] for event in told["events"]], told["next_batch"]

    assert (await numbers(None))[0] == [0, 1, 2]
    first, since = await numbers(None, limit=2)
    assert first == [0, 1]
    assert (await numbers(since))[0] == [2]
    assert (await numbers(None))[0] == [2], "the others were acknowledged"
    wrong = {"to_device": {"enabled": True, "since": "xyz"}}
    assert await bob.refused("POST", PATH, {"extensions": wrong}) == (400, "M_INVALID_PARAM")


async def test_keys_are_counted_and_changed_devices_told(alice: Client, bob: Client, server: TestServer) -> None:
    (room_id,) = await rooms_of(alice, 1, preset="public_chat")
    on = {"e2ee": {"enabled": True}}
    answer = await sync(alice, extensions=on)
    assert answer["extensions"]["e2ee"]["device_one_time_keys_count"] == {"signed_curve25519": 0}
    assert "device_lists" not in answer["extensions"]["e2ee"]

    waiting = asyncio.create_task(sync(alice, answer["pos"], timeout=LONG, extensions=on))
    await asyncio.sleep(0.02)
    await bob.join(room_id)
    answer = await waiting
    assert answer["extensions"]["e2ee"]["device_lists"] == {"changed": [bob.user_id], "left": []}
    await bob.leave(room_id)
    answer = await sync(alice, answer["pos"], extensions=on)
    assert answer["extensions"]["e2ee"]["device_lists"] == {"changed": [], "left": [bob.user_id]}


async def test_account_data_of_the_user_and_of_rooms(alice: Client) -> None:
    seen, unseen = await rooms_of(alice, 2)
    own = f"/v3/user/{alice.user_id}"
    await alice.put(f"{own}/rooms/{seen}/account_data/org.example", {"n": 1})
    await alice.put(f"{own}/account_data/org.example", {"n": 1})
    body: Json = {"room_subscriptions": {seen: subscription()}, "extensions": {"account_data": {"enabled": True}}}

    answer = await sync(alice, **body)
    told = answer["extensions"]["account_data"]
    assert {event["type"] for event in told["global"]} == {"m.push_rules", "org.example"}
    assert told["rooms"] == {seen: [{"type": "org.example", "content": {"n": 1}}]}
    assert "account_data" not in (await sync(alice, answer["pos"], **body))["extensions"]

    waiting = asyncio.create_task(sync(alice, answer["pos"], timeout=LONG, **body))
    await asyncio.sleep(0.02)
    await alice.put(f"{own}/rooms/{unseen}/account_data/org.example", {"n": 3})
    await asyncio.sleep(0.02)
    assert not waiting.done()
    await alice.put(f"{own}/rooms/{seen}/account_data/org.example", {"n": 2})
    answer = await waiting
    assert answer["extensions"]["account_data"] == {
        "global": [],
        "rooms": {seen: [{"type": "org.example", "content": {"n": 2}}]},
    }
    later = await sync(alice, answer["pos"], room_subscriptions={seen: subscription()})
    switched_on = await sync(alice, later["pos"], **body)
    assert {event["type"] for event in switched_on["extensions"]["account_data"]["global"]} >= {"org.example"}


async def test_receipts_and_typing(alice: Client, bob: Client) -> None:
    (room_id,) = await rooms_of(alice, 1, preset="public_chat")
    await bob.join(room_id)
    old = await alice.send(room_id, "old")
    new = await alice.send(room_id, "new")
    await bob.post(f"/v3/rooms/{room_id}/receipt/m.read/{quoted(old)}")
    body: Json = {
        "lists": {"all": window(limit=1)},
        "extensions": {"receipts": {"enabled": True}, "typing": {"enabled": True}},
    }

    answer = await sync(alice, **body)
    assert answer["extensions"] == {}, "the marked event is not told"
    await bob.post(f"/v3/rooms/{room_id}/receipt/m.read/{quoted(new)}")
    answer = await sync(alice, answer["pos"], timeout=LONG, **body)
    receipt = answer["extensions"]["receipts"]["rooms"][room_id]
    assert receipt["type"] == "m.receipt"
    assert list(receipt["content"][new]["m.read"]) == [bob.user_id]
    assert answer["rooms"] == {}
    fresh = await sync(alice, **body)
    assert list(fresh["extensions"]["receipts"]["rooms"][room_id]["content"]) == [new]

    await bob.put(f"/v3/rooms/{room_id}/typing/{quoted(bob.user_id)}", {"typing": True, "timeout": 20_000})
    answer = await sync(alice, fresh["pos"], timeout=LONG, **body)
    assert answer["extensions"]["typing"]["rooms"] == {
        room_id: {"type": "m.typing", "content": {"user_ids": [bob.user_id]}}
    }
    narrowed = {"typing": {"enabled": True, "lists": [], "rooms": []}}
    assert (await sync(alice, lists=body["lists"], extensions=narrowed))["extensions"] == {}


async def test_the_accepted_form_of_the_request_is_understood(alice: Client) -> None:
    _, second = await rooms_of(alice, 2)
    lists = {"all": {"range": [0, 0], "timeline_limit": 1, "required_state": {}}}
    answer = await alice.post(PATH, {"lists": lists, "timeout": 0, "set_presence": "unavailable"})
    assert list(answer["rooms"]) == [second]
    assert (await alice.post(PATH, {"lists": lists, "pos": answer["pos"]}))["rooms"] == {}
    assert (await alice.get(f"/v3/presence/{quoted(alice.user_id)}/status"))["presence"] == "online"


@pytest.mark.parametrize(
    "body",
    [
        {"lists": {"all": {"ranges": [[0]], "timeline_limit": 1, "required_state": []}}},
        {"lists": {"all": {"ranges": [[0, -1]], "timeline_limit": 1, "required_state": []}}},
        {"lists": {"all": {"ranges": [[0, 1]], "required_state": []}}},
        {"lists": {"all": {"ranges": [[0, 1]], "timeline_limit": 1}}},
        {"lists": {"all": {"timeline_limit": 1, "required_state": [["m.room.name"]]}}},
        {"lists": {"all": {"timeline_limit": -1, "required_state": []}}},
        {"lists": {str(number): window() for number in range(101)}},
        {"lists": []},
        {"room_subscriptions": {"!a:b": []}},
        {"room_subscriptions": {f"!{number}:b": subscription() for number in range(101)}},
        {"extensions": {"to_device": {"enabled": "yes"}}},
        {"conn_id": "x" * 65},
        {"set_presence": "asleep"},
    ],
)
async def test_malformed_requests_are_refused(alice: Client, body: Json) -> None:
    status, errcode = await alice.refused("POST", PATH, body)
    assert status == 400
    assert errcode in {"M_BAD_JSON", "M_MISSING_PARAM", "M_INVALID_PARAM"}


async def test_the_versions_name_it(server: TestServer) -> None:
    versions = await server.anonymous().get("/versions")
    assert versions["unstable_features"]["org.matrix.simplified_msc3575"] is True
