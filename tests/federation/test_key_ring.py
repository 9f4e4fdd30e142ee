"""Other servers' keys: fetched, believed, kept, fetched anew; and notaries where a server can't be asked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tabstead.configuration import Federation
from tabstead.errors import OutboundFailed, PeerMisbehaved
from tabstead.federation.client import FederationClient
from tabstead.federation.key_ring import KeyRing
from tabstead.federation.server_key_responses import read_server_keys
from tabstead.federation.transport import FederationRequest, FederationResponse
from tabstead.http import json_response
from tabstead.protocol.identifiers import ServerName
from tabstead.protocol.room_versions import ROOM_VERSIONS
from tabstead.protocol.signatures import MissingKeys, SigningKey, check_event_signatures, sign_event, sign_json
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Database
from tabstead.storage.retired_signing_keys import insert_retired_key

Json = dict[str, Any]

HOUR = 60 * 60 * 1000
DAY = 24 * HOUR
FAR = ServerName("far.test")
NOTARY = ServerName("notary.test")


def make_key(number: int) -> SigningKey:
    return SigningKey(key_id=f"ed25519:{number}", seed=bytes([number]) * 32)


@dataclass
class Servers:
    """Every other server: which keys it has in use and had, and whether it answers."""

    now_ms: int = 1_700_000_000_000
    in_use: dict[str, list[SigningKey]] = field(default_factory=dict)
    old: dict[str, dict[SigningKey, int]] = field(default_factory=dict)
    validity_ms: int = DAY
    away: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    notary_knows: dict[str, Json] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    """Until it opens, nobody is answered."""
    knocked: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, name: str, **changes: Any) -> Json:
        response: Json = {
            "server_name": name,
            "valid_until_ts": self.now_ms + self.validity_ms,
            "verify_keys": {key.key_id: {"key": key.verify_key.encode()} for key in self.in_use[name]},
            "old_verify_keys": {
                key.key_id: {"key": key.verify_key.encode(), "expired_ts": expired_ts}
                for key, expired_ts in self.old.get(name, {}).items()
            },
            **changes,
        }
        for key in self.in_use[name]:
            response = sign_json(response, name, key)
        return response

    async def send(self, request: FederationRequest) -> FederationResponse:
        self.asked.append(request.destination)
        self.knocked.set()
        if self.gate is not None:
            await self.gate.wait()
        if request.destination in self.away:
            raise OutboundFailed("away")
        if request.target == "/_matrix/key/v2/query":
            responses = [sign_json(each, NOTARY, make_key(9)) for each in self.notary_knows.values()]
            body: Json = {"server_keys": responses}
        else:
            body = self.publish(request.destination)
        return FederationResponse(status=200, body=json_response(body).body)

    async def close(self) -> None:
        pass


@dataclass
class World:
    servers: Servers
    ring: KeyRing
    database: Database

    async def find(self, key: SigningKey, server_name: str = FAR) -> bool:
        """Whether the key signs the server's requests."""
        found = await self.ring.find_request_key(ServerName(server_name), key.key_id)
        assert found is None or found.key == key.verify_key.key
        return found is not None

    async def check_event(self, key: SigningKey, origin_server_ts: int, room_version: str = "10") -> bool:
        """Whether an event of that time by this key is believed; keys are fetched once if that may help."""
        version = ROOM_VERSIONS[room_version]
        event = {
            "type": "m.room.message",
            "sender": f"@a:{FAR}",
            "room_id": f"!r:{FAR}",
            "content": {},
            "origin_server_ts": origin_server_ts,
            "event_id": f"$1:{FAR}",
        }
        event = sign_event(event, version, FAR, key)
        for _ in range(2):
            verdict = await self.database.read(
                lambda db: check_event_signatures(event, version, self.ring.known_keys(db))
            )
            if not isinstance(verdict, MissingKeys):
                break
            await self.ring.fetch_keys(FAR)
        return verdict is None


Open = Callable[..., World]


@pytest.fixture
async def open_world(tmp_path: Path) -> AsyncIterator[Open]:
    servers = Servers(in_use={FAR: [make_key(1)], NOTARY: [make_key(9)]})
    server = LocalServer(name="near.test", signing_key=make_key(5), now_ms=lambda: servers.now_ms)
    database = await Database.open(tmp_path / "keys.sqlite")
    rings: list[KeyRing] = []

    def open_with(*key_servers: str) -> World:
        options = Federation(key_servers=key_servers)
        rings.append(KeyRing(server, database, FederationClient(server, servers, options), options))
        return World(servers, rings[-1], database)

    yield open_with
    for ring in rings:
        await ring.close()
    await database.close()


@pytest.fixture
def world(open_world: Open) -> World:
    return open_world()


async def test_a_key_is_fetched_once_and_kept(world: World, open_world: Open) -> None:
    assert await world.find(make_key(1))
    assert await world.find(make_key(1))
    assert await open_world().find(make_key(1)), "another life of the server finds it in storage"
    assert world.servers.asked == [FAR]


async def test_who_asks_at_once_shares_the_answer(world: World) -> None:
    assert await asyncio.gather(*(world.find(make_key(1)) for _ in range(5))) == [True] * 5
    assert world.servers.asked == [FAR]


async def test_halfway_to_its_end_a_key_is_fetched_anew_while_requests_go_on(world: World) -> None:
    await world.find(make_key(1))
    world.servers.now_ms += 12 * HOUR
    await world.find(make_key(1))
    assert world.servers.asked == [FAR]
    world.servers.now_ms += 1
    world.servers.gate = asyncio.Event()
    assert await world.find(make_key(1)), "nobody waits for it"
    await asyncio.sleep(0)
    assert world.servers.asked == [FAR, FAR]
    world.servers.gate.set()
    await world.ring.fetch_keys(FAR)
    world.servers.away.add(FAR)
    world.servers.now_ms += 23 * HOUR
    assert await world.find(make_key(1)), "the new validity holds"


async def test_a_key_that_expired_signs_no_request(world: World) -> None:
    await world.find(make_key(1))
    world.servers.away.add(FAR)
    world.servers.now_ms += DAY
    assert await world.find(make_key(1))
    world.servers.now_ms += 1
    assert not await world.find(make_key(1))


async def test_no_key_is_believed_for_more_than_a_week(world: World) -> None:
    world.servers.validity_ms = 365 * DAY
    await world.find(make_key(1))
    world.servers.away.add(FAR)
    world.servers.now_ms += 7 * DAY
    assert await world.find(make_key(1))
    world.servers.now_ms += 1
    assert not await world.find(make_key(1))


async def test_a_retired_key_signs_events_of_its_time_and_no_requests(world: World) -> None:
    now = world.servers.now_ms
    world.servers.in_use[FAR], world.servers.old[FAR] = [make_key(2)], {make_key(1): now - HOUR}
    assert not await world.find(make_key(1))
    assert await world.find(make_key(2))
    assert await world.check_event(make_key(1), now - HOUR)
    assert not await world.check_event(make_key(1), now - HOUR + 1)
    assert await world.check_event(make_key(1), now, room_version="4"), "v1-v4: for ever"


async def test_an_event_later_than_its_key_is_known_to_hold_has_the_key_fetched(world: World) -> None:
    now = world.servers.now_ms
    assert await world.check_event(make_key(1), now + DAY)
    assert not await world.check_event(make_key(1), now + DAY + 1), "the server vouches for no such time"
    world.servers.now_ms += DAY
    assert await world.check_event(make_key(1), now + DAY + 1)


async def test_a_key_is_not_retired_in_the_future(world: World) -> None:
    now = world.servers.now_ms
    world.servers.old[FAR] = {make_key(2): now + DAY}
    assert await world.check_event(make_key(2), now)
    assert not await world.check_event(make_key(2), now + 1)


async def test_a_server_that_does_not_answer_is_asked_ever_less(world: World) -> None:
    world.servers.away.add(FAR)
    asked = []
    for _ in range(24 * 60):
        await world.find(make_key(1))
        world.servers.now_ms += 60_000
        asked.append(len(world.servers.asked))
    assert asked[4] == 5, "a few times it is asked at once"
    assert asked[-1] - asked[-61] == 12, "in the end, every five minutes"
    with pytest.raises(OutboundFailed, match="a moment ago: away"):
        await world.ring.fetch_keys(FAR)


async def test_nor_is_one_asked_without_end_for_keys_that_it_has_not(world: World) -> None:
    for number in range(50):
        assert not await world.find(make_key(100 + number))
    assert len(world.servers.asked) == 6
    assert await world.find(make_key(1)), "its key is known all the same"


async def test_a_flood_of_strangers_waits_in_a_queue_that_ends_and_holds_up_nobody_known(world: World) -> None:
    await world.find(make_key(1))
    world.servers.gate = asyncio.Event()
    world.servers.away |= {f"{number}.test" for number in range(1000)}
    flood = [asyncio.ensure_future(world.find(make_key(1), f"{number}.test")) for number in range(1000)]
    for refused in islice(asyncio.as_completed(flood), 1000 - 516):
        assert not await refused
    assert sum(finding.done() for finding in flood) == 1000 - 516
    assert len(world.servers.asked) == 1 + 16
    world.servers.in_use[FAR].append(make_key(2))
    world.servers.knocked.clear()
    finding = asyncio.ensure_future(world.find(make_key(2)))
    await world.servers.knocked.wait()
    world.servers.gate.set()
    assert await finding
    assert not any(await asyncio.gather(*flood))


async def test_a_notary_is_asked_where_a_server_cannot_be(open_world: Open) -> None:
    world = open_world("silent.test", NOTARY)
    world.servers.notary_knows[FAR] = world.servers.publish(FAR)
    world.servers.away |= {FAR, "silent.test"}
    assert await world.find(make_key(1))
    assert world.servers.asked == [FAR, "silent.test", NOTARY, NOTARY], "the query, and the notary's own key"


async def test_a_notary_is_asked_once_for_many(open_world: Open) -> None:
    world = open_world(NOTARY)
    names = [f"{number}.test" for number in range(20)]
    for name in names:
        world.servers.in_use[name] = [make_key(1)]
        world.servers.notary_knows[name] = world.servers.publish(name)
    world.servers.away |= set(names)
    assert await asyncio.gather(*(world.find(make_key(1), name) for name in names)) == [True] * 20
    assert world.servers.asked.count(NOTARY) == 2


async def test_a_notary_is_believed_only_what_it_and_the_server_signed(open_world: Open) -> None:
    world = open_world(NOTARY)
    world.servers.away.add(FAR)
    world.servers.notary_knows[FAR] = {**world.servers.publish(FAR), "valid_until_ts": world.servers.now_ms + 2 * DAY}
    assert not await world.find(make_key(1)), "the server signed something else"
    world.servers.notary_knows[FAR] = world.servers.publish(FAR)
    assert await world.find(make_key(1))


async def test_nor_what_somebody_else_signed_in_its_name(open_world: Open) -> None:
    world = open_world(NOTARY)
    world.servers.away.add(FAR)
    world.servers.notary_knows[FAR] = world.servers.publish(FAR)
    world.servers.in_use[NOTARY] = [make_key(8)]
    assert not await world.find(make_key(1))


async def test_what_a_notary_tells_is_no_step_back(open_world: Open) -> None:
    world = open_world(NOTARY)
    stale = world.servers.publish(FAR)
    world.servers.now_ms += HOUR
    await world.find(make_key(1))
    world.servers.notary_knows[FAR] = stale
    world.servers.away.add(FAR)
    await world.ring.fetch_keys(FAR)
    world.servers.now_ms += DAY
    assert await world.find(make_key(1)), "it holds for as long as the server itself said last"


async def test_this_servers_own_keys_are_known_and_so_are_its_retired_ones(world: World) -> None:
    await world.database.write(lambda db: insert_retired_key(db, make_key(6).verify_key, 1000))
    own = await world.database.read(
        lambda db: world.ring.known_keys(db)(ServerName("near.test"), ["ed25519:5", "ed25519:6", "ed25519:7"])
    )
    assert {key_id: key.valid_until_ts for key_id, key in own.items()} == {"ed25519:5": None, "ed25519:6": 1000}


async def test_only_so_many_keys_of_a_server_are_kept(world: World) -> None:
    for number in range(10, 110):
        world.servers.in_use[FAR] = [make_key(number)]
        world.servers.now_ms += HOUR
        await world.ring.fetch_keys(FAR)
    counts = await world.database.read(
        lambda db: [
            db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("server_keys", "server_key_responses")
        ]
    )
    assert counts == [64, 64]
    assert await world.find(make_key(109))


@pytest.mark.parametrize(
    "changes",
    [
        {"server_name": "other.test"},
        {"valid_until_ts": None},
        {"valid_until_ts": -1},
        {"valid_until_ts": True},
        {"verify_keys": {}},
        {"verify_keys": []},
        {"verify_keys": {"ed25519:1": {"key": "short"}}},
        {"verify_keys": {f"ed25519:{number}": {"key": make_key(1).verify_key.encode()} for number in range(9)}},
        {"verify_keys": {"ed25519:2": {"key": make_key(2).verify_key.encode()}}},
    ],
)
def test_keys_that_are_not_a_servers_own_are_not_believed(changes: Json) -> None:
    servers = Servers(in_use={FAR: [make_key(1)]})
    with pytest.raises(PeerMisbehaved):
        read_server_keys(servers.publish(FAR, **changes), FAR, servers.now_ms)


def test_what_is_no_key_is_left_out() -> None:
    servers = Servers(in_use={FAR: [make_key(1)]})
    old = {
        "rsa:1": {"key": "AAAA", "expired_ts": 1},
        "ed25519:x": {"key": make_key(2).verify_key.encode()},
        "ed25519:" + "y" * 300: {"key": make_key(2).verify_key.encode(), "expired_ts": 1},
        "ed25519:z": 3,
    }
    told = read_server_keys(servers.publish(FAR, old_verify_keys=old), FAR, servers.now_ms)
    assert [key.verify_key.key_id for key in told.keys] == ["ed25519:1"]
