"""What other servers are told of rooms: everything that concerns them, once, in order, whatever happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helpers.federation_peers import Peers, sending_of
from helpers.homeserver import Client, TestServer
from tabstead.federation.outbound_transactions import MAX_PDUS
from tabstead.federation.sending import EVENTS_AFTER_LONG_OUTAGE, LONG_OUTAGE_MS
from tabstead.storage.destinations import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, select_retries
from tabstead.storage.outbound_news import insert_relay, select_owed_servers
from tabstead.storage.positions import select_position

FAR, NEAR = "far.test", "near.test:8448"
BOB, CAROL = f"@bob:{FAR}", f"@carol:{NEAR}"


@pytest.fixture
def peers() -> Peers:
    return Peers()


@pytest.fixture
async def server(tmp_path: Path, peers: Peers) -> AsyncIterator[TestServer]:
    server = await TestServer.open(tmp_path, "tab.test", transport=peers)
    yield server
    await server.close()


@pytest.fixture
async def alice(server: TestServer) -> Client:
    return await server.register("alice")


async def shared_room(server: TestServer, peers: Peers, alice: Client, *others: str) -> str:
    """A room of alice's that these users have joined, whose servers know all of it."""
    room_id = await alice.create_room(preset="public_chat")
    await peers.join(server, room_id, *others)
    await peers.settle(server)
    peers.transactions.clear()
    peers.attempts.clear()
    return room_id


async def test_a_server_is_told_what_local_users_do_in_a_room_it_is_in(
    server: TestServer, peers: Peers, alice: Client
) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    lonely = await alice.create_room()
    sent = [await alice.send(room_id, "hello"), await alice.send_state(room_id, "m.room.topic", {"topic": "t"})]
    await alice.send(lonely, "nobody hears")
    await peers.say(server, room_id, BOB, "his own")
    await peers.settle(server)
    assert peers.pdus(FAR) == sent
    (transaction,) = peers.transactions
    assert transaction.content["origin"] == "tab.test"
    assert transaction.content["edus"] == []
    assert await server.read(select_owed_servers) == set()


async def test_what_was_before_a_server_came_is_not_told_to_it(server: TestServer, peers: Peers, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await alice.send(room_id, "before")
    await peers.join(server, room_id, BOB)
    after = await alice.send(room_id, "after")
    await peers.settle(server)
    assert peers.pdus(FAR) == [after]


async def test_a_server_that_is_kicked_hears_of_it_and_of_what_was_before(
    server: TestServer, peers: Peers, alice: Client
) -> None:
    room_id = await shared_room(server, peers, alice, BOB, CAROL)
    await alice.send(room_id, "before")
    await alice.post(f"/v3/rooms/{room_id}/kick", {"user_id": BOB})
    await alice.send(room_id, "after")
    await peers.settle(server)
    assert peers.bodies(FAR) == ["before"]
    assert len(peers.pdus(FAR)) == 2, "the kick too"
    assert peers.bodies(NEAR) == ["before", "after"]


async def test_a_server_hears_that_its_users_knock_was_turned_down(
    server: TestServer, peers: Peers, alice: Client
) -> None:
    room_id = await shared_room(server, peers, alice, CAROL)
    await alice.send_state(room_id, "m.room.join_rules", {"join_rule": "knock"})
    await peers.set_member(server, room_id, BOB, "knock")
    await alice.send(room_id, "not for those who only knock")
    await peers.settle(server)
    assert peers.pdus(FAR) == []
    ended = await alice.send_state(room_id, "m.room.member", {"membership": "leave"}, BOB)
    await peers.settle(server)
    assert peers.pdus(FAR) == [ended]


async def test_the_last_to_leave_is_heard_and_nothing_after(server: TestServer, peers: Peers, alice: Client) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    await alice.leave(room_id)
    await peers.say(server, room_id, BOB, "alone")
    await peers.settle(server)
    assert len(peers.pdus(FAR)) == 1


async def test_an_event_that_this_server_let_in_is_passed_on_to_the_others(
    server: TestServer, peers: Peers, alice: Client
) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    event_id = await peers.set_member(server, room_id, CAROL, "join")
    await server.write(lambda db: insert_relay(db, select_position(db), NEAR))
    await peers.settle(server)
    assert peers.pdus(FAR) == [event_id]
    assert peers.pdus(NEAR) == []


async def test_transactions_are_full_and_one_follows_the_other(server: TestServer, peers: Peers, alice: Client) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    sent = [await alice.send(room_id, str(number)) for number in range(2 * MAX_PDUS + 7)]
    await peers.settle(server)
    assert [len(each.content["pdus"]) for each in peers.transactions] == [MAX_PDUS, MAX_PDUS, 7]
    assert peers.pdus(FAR) == sent


async def test_several_rooms_are_told_in_order(server: TestServer, peers: Peers, alice: Client) -> None:
    one, two = [await shared_room(server, peers, alice, BOB) for _ in range(2)]
    sent = [await alice.send(one if number % 2 else two, str(number)) for number in range(30)]
    await peers.settle(server)
    assert peers.pdus(FAR) == sent


async def test_a_slow_server_delays_no_other_and_gets_one_transaction_at_a_time(
    server: TestServer, peers: Peers, alice: Client
) -> None:
    room_id = await shared_room(server, peers, alice, BOB, CAROL)
    await alice.send(room_id, "first")
    peers.held = asyncio.Event()
    await sending_of(server).work()
    await peers.until_attempts(2)
    await alice.send(room_id, "second")
    await sending_of(server).work()
    for _ in range(20):
        await asyncio.sleep(0)
    assert sorted(each.destination for each in peers.attempts) == [FAR, NEAR]
    peers.held.set()
    await peers.settle(server)
    assert peers.bodies(FAR) == peers.bodies(NEAR) == ["first", "second"]


async def test_a_server_that_is_down_gets_everything_later(server: TestServer, peers: Peers, alice: Client) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    peers.down.add(FAR)
    sent = [await alice.send(room_id, "one")]
    due = await peers.settle(server)
    assert due is not None
    sent.append(await alice.send(room_id, "two"))
    await peers.settle(server)
    assert len(peers.attempts) == 1, "it is left alone for a while"
    peers.down.clear()
    server.clock.now = due
    assert await peers.settle(server) is None
    assert peers.pdus(FAR) == sent
    assert await server.read(select_retries) == {}


async def test_the_pause_doubles_up_to_a_day(server: TestServer, peers: Peers, alice: Client) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    peers.down.add(FAR)
    await alice.send(room_id, "one")
    pauses = []
    for _ in range(16):
        due = await peers.settle(server)
        assert due is not None
        pauses.append(due - server.clock.now)
        server.clock.now = due
    near = [FIRST_PAUSE_MS * 2**number for number in range(16)]
    assert all(abs(pause - min(wanted, LONGEST_PAUSE_MS)) < 100 for pause, wanted in zip(pauses, near, strict=True))
    assert len(peers.attempts) == 16


async def test_a_server_that_is_heard_from_is_tried_again_at_once(
    server: TestServer, peers: Peers, alice: Client
) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    peers.down.add(FAR)
    sent = await alice.send(room_id, "one")
    for _ in range(4):
        server.clock.now = await peers.settle(server) or 0
    await peers.settle(server)
    tried = len(peers.attempts)
    peers.down.clear()
    server.clock.now += FIRST_PAUSE_MS
    sending_of(server).hear(FAR)  # type: ignore[arg-type]
    await sending_of(server).finish()
    assert len(peers.attempts) == tried + 1
    assert peers.pdus(FAR) == [sent]


async def test_after_a_long_outage_a_room_with_much_in_it_is_told_by_its_last_event(
    server: TestServer, peers: Peers, alice: Client
) -> None:
    busy, quiet = [await shared_room(server, peers, alice, BOB) for _ in range(2)]
    peers.down.add(FAR)
    await alice.send(quiet, "in the quiet room")
    due = await peers.settle(server)
    for number in range(EVENTS_AFTER_LONG_OUTAGE + 1):
        await alice.send(busy, f"{number}")
    server.clock.now = (due or 0) + LONG_OUTAGE_MS
    due = await peers.settle(server)
    peers.down.clear()
    server.clock.now = due or 0
    await peers.settle(server)
    assert peers.bodies(FAR) == ["in the quiet room", str(EVENTS_AFTER_LONG_OUTAGE)]


async def test_nothing_is_lost_by_a_kill_before_anybody_looked(server: TestServer, peers: Peers, alice: Client) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    sent = [await alice.send(room_id, "one"), await alice.send(room_id, "two")]
    await server.restart()
    await peers.settle(server)
    assert peers.pdus(FAR) == sent


async def test_a_transaction_that_is_repeated_after_a_kill_is_the_same_one(
    server: TestServer, peers: Peers, alice: Client
) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    sent = await alice.send(room_id, "one")
    peers.held = asyncio.Event()
    await sending_of(server).work()
    await peers.until_attempts(1)
    await server.restart()
    peers.held = None
    await peers.settle(server)
    first, second = peers.attempts
    assert first == second
    assert peers.pdus(FAR) == [sent]
    await server.restart()
    await peers.settle(server)
    assert len(peers.attempts) == 2


async def test_the_same_words_twice_are_two_transactions(server: TestServer, peers: Peers, alice: Client) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    for _ in range(2):
        await alice.send(room_id, "same")
        await peers.settle(server)
    assert len({each.transaction_id for each in peers.transactions}) == 2


async def test_a_transaction_that_a_server_will_never_take_does_not_block_the_next(
    server: TestServer, peers: Peers, alice: Client
) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    await alice.send(room_id, "bad")
    peers.answer = lambda _: (400, {"errcode": "M_BAD_JSON", "error": "No."})
    await peers.settle(server)
    peers.answer = lambda _: (200, {"pdus": {}})
    await alice.send(room_id, "good")
    await peers.settle(server)
    assert peers.bodies(FAR) == ["bad", "good"]


async def test_what_a_server_says_of_single_events_is_logged(
    server: TestServer, peers: Peers, alice: Client, caplog: pytest.LogCaptureFixture
) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    event_id = await alice.send(room_id, "hello")
    peers.answer = lambda _: (200, {"pdus": {event_id: {"error": "not for me"}}})
    await peers.settle(server)
    assert any(event_id in record.getMessage() and "not for me" in record.getMessage() for record in caplog.records)
    assert await server.read(select_owed_servers) == set()
