"""Presence and typing for other servers: told as they change by time alone, told again, and never kept for later."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.test_sending import BOB, FAR, shared_room
from helpers.federation_peers import Peers
from helpers.homeserver import Client, TestServer, quoted
from tabstead.federation.outbound_presence import LOOK_EVERY_MS
from tabstead.federation.outbound_presence import TELL_AGAIN_MS as TELL_PRESENCE_AGAIN_MS
from tabstead.federation.outbound_typing import TELL_AGAIN_MS as TELL_TYPING_AGAIN_MS
from tabstead.streams.presence import GONE_MS, IDLE_MS


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


def presences(peers: Peers) -> list[str]:
    return [push["presence"] for content in peers.edus(FAR, "m.presence") for push in content["push"]]


async def set_presence(user: Client, presence: str) -> None:
    await user.put(f"/v3/presence/{quoted(user.user_id)}/status", {"presence": presence})


async def test_who_fades_is_told_and_who_does_not_change_is_not(
    server: TestServer, peers: Peers, alice: Client
) -> None:
    await shared_room(server, peers, alice, BOB)
    await set_presence(alice, "online")
    await peers.settle(server)
    assert presences(peers) == ["online"]
    server.clock.now += LOOK_EVERY_MS
    await peers.settle(server)
    assert presences(peers) == ["online"]
    for lapse, seen in ((IDLE_MS, ["online", "unavailable"]), (GONE_MS, ["online", "unavailable", "offline"])):
        server.clock.now += lapse
        due = await peers.settle(server)
        assert presences(peers) == seen
    server.clock.now = due or 0
    await peers.settle(server)
    assert len(presences(peers)) == 3


async def test_who_stays_is_told_now_and_then(server: TestServer, peers: Peers, alice: Client) -> None:
    await shared_room(server, peers, alice, BOB)
    since = None
    for _ in range(25):
        since = (await alice.sync(since, set_presence="online"))["next_batch"]
        await peers.settle(server)
        server.clock.now += TELL_PRESENCE_AGAIN_MS // 10
    assert presences(peers) == ["online"] * 3


async def test_presence_is_not_kept_for_a_server_that_is_down(server: TestServer, peers: Peers, alice: Client) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    peers.down.add(FAR)
    await set_presence(alice, "online")
    await alice.put(f"/v3/rooms/{room_id}/typing/{quoted(alice.user_id)}", {"typing": True})
    due = await peers.settle(server)
    await set_presence(alice, "unavailable")
    await alice.send(room_id, "kept")
    await peers.settle(server)
    peers.down.clear()
    server.clock.now = due or 0
    await peers.settle(server)
    assert peers.bodies(FAR) == ["kept"]
    assert [transaction.content["edus"] for transaction in peers.transactions] == [[]]


async def test_who_goes_on_typing_is_told_again(server: TestServer, peers: Peers, alice: Client) -> None:
    room_id = await shared_room(server, peers, alice, BOB)
    await alice.put(f"/v3/rooms/{room_id}/typing/{quoted(alice.user_id)}", {"typing": True, "timeout": 100_000})
    for _ in range(3):
        due = await peers.settle(server)
        assert due is not None
        server.clock.now = max(due, server.clock.now)
    await peers.settle(server)
    notices = [content["typing"] for content in peers.edus(FAR, "m.typing")]
    assert notices == [True, True, True, False]
    assert TELL_TYPING_AGAIN_MS * 2 < 100_000
    assert len({transaction.transaction_id for transaction in peers.transactions}) == 4
