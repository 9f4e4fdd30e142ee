"""From a server's name to where it is, in the steps of the specification."""

import asyncio
import json
from dataclasses import dataclass, field

import pytest

from tabstead.errors import OutboundFailed
from tabstead.federation.server_discovery import Route, ServerDiscovery, Target, WellKnownAnswer, split_server_name

MINUTE = 60 * 1000
HOUR = 60 * MINUTE


@dataclass
class World:
    """Well-known files by host, SRV records by name, and who asked for what."""

    files: dict[str, WellKnownAnswer] = field(default_factory=dict)
    records: dict[str, list[Target]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now_ms: int = 1_700_000_000_000

    def __post_init__(self) -> None:
        self.discovery = ServerDiscovery(lambda: self.now_ms, self.fetch, self.look_up)

    async def fetch(self, host: str) -> WellKnownAnswer:
        self.asked.append(host)
        await asyncio.sleep(0)
        if host not in self.files:
            raise OutboundFailed(f"{host} can't be asked.")
        return self.files[host]

    async def look_up(self, name: str) -> list[Target]:
        self.asked.append(name)
        return self.records.get(name, [])

    def lay(self, host: str, delegated: object, status: int = 200, **headers: str) -> None:
        body = delegated if isinstance(delegated, bytes) else json.dumps({"m.server": delegated}).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self.files[host] = WellKnownAnswer(status=status, headers=given, body=body)

    async def find(self, server_name: str) -> tuple[str, str, list[tuple[str, int]]]:
        route = await self.discovery.find_route(server_name)
        return route.certificate_name, route.host_header, [(target.host, target.port) for target in route.targets]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("server_name", "certificate_name", "target"),
    [
        ("1.2.3.4", "1.2.3.4", ("1.2.3.4", 8448)),
        ("1.2.3.4:80", "1.2.3.4", ("1.2.3.4", 80)),
        ("[2001:db8::1]", "2001:db8::1", ("2001:db8::1", 8448)),
        ("[2001:db8::1]:80", "2001:db8::1", ("2001:db8::1", 80)),
        ("a.test:80", "a.test", ("a.test", 80)),
    ],
)
async def test_an_address_or_a_port_settles_it(
    world: World, server_name: str, certificate_name: str, target: tuple[str, int]
) -> None:
    assert await world.find(server_name) == (certificate_name, server_name, [target])
    assert world.asked == []


@pytest.mark.parametrize(
    ("delegated", "certificate_name", "target"),
    [
        ("1.2.3.4", "1.2.3.4", ("1.2.3.4", 8448)),
        ("[2001:db8::1]:80", "2001:db8::1", ("2001:db8::1", 80)),
        ("b.test:443", "b.test", ("b.test", 443)),
        ("b.test", "b.test", ("b.test", 8448)),
    ],
)
async def test_a_well_known_file_delegates(
    world: World, delegated: str, certificate_name: str, target: tuple[str, int]
) -> None:
    world.lay("a.test", delegated)
    assert await world.find("a.test") == (certificate_name, delegated, [target])


async def test_srv_records_say_where_but_not_who(world: World) -> None:
    world.records["_matrix._tcp.a.test"] = [Target(host="old.test", port=1)]
    assert await world.find("a.test") == ("a.test", "a.test", [("old.test", 1)])
    world.records["_matrix-fed._tcp.a.test"] = [Target(host="c.test", port=2), Target(host="d.test", port=3)]
    assert await world.find("a.test") == ("a.test", "a.test", [("c.test", 2), ("d.test", 3)])
    world.lay("e.test", "a.test")
    assert await world.find("e.test") == ("a.test", "a.test", [("c.test", 2), ("d.test", 3)])


async def test_a_file_with_a_port_needs_no_srv_record(world: World) -> None:
    world.lay("a.test", "b.test:443")
    await world.find("a.test")
    assert world.asked == ["a.test"]


async def test_without_anything_it_is_the_host_itself(world: World) -> None:
    assert await world.find("a.test") == ("a.test", "a.test", [("a.test", 8448)])
    assert world.asked == ["a.test", "_matrix-fed._tcp.a.test", "_matrix._tcp.a.test"]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"m.server": 3}', b'{"m.server": "no name"}', b'{"m.server": "a:99999"}', b"[" * 10_000],
)
async def test_a_file_that_says_nothing_is_none(world: World, body: bytes) -> None:
    world.lay("a.test", body)
    assert await world.find("a.test") == ("a.test", "a.test", [("a.test", 8448)])


async def test_only_a_success_is_a_file(world: World) -> None:
    world.lay("a.test", "b.test:1", status=404)
    assert await world.find("a.test") == ("a.test", "a.test", [("a.test", 8448)])


@pytest.mark.parametrize(
    ("headers", "kept_ms"),
    [
        ({}, 24 * HOUR),
        ({"cache_control": "public, max-age=7200"}, 2 * HOUR),
        ({"cache_control": "max-age=99999999"}, 48 * HOUR),
        ({"cache_control": "no-store"}, 5 * MINUTE),
        ({"cache_control": "max-age=1"}, 5 * MINUTE),
        ({"cache_control": "s-maxage=1"}, 24 * HOUR),
        ({"expires": "Tue, 14 Nov 2023 23:13:20 GMT"}, HOUR),
        ({"expires": "0"}, 5 * MINUTE),
        ({"cache_control": "max-age=7200", "expires": "0"}, 2 * HOUR),
    ],
)
async def test_a_file_is_kept_as_http_allows_within_bounds(world: World, headers: dict[str, str], kept_ms: int) -> None:
    world.lay("a.test", "b.test:1", **headers)
    await world.find("a.test")
    world.now_ms += kept_ms - 1
    await world.find("a.test")
    assert world.asked == ["a.test"]
    world.now_ms += 1
    await world.find("a.test")
    assert world.asked == ["a.test", "a.test"]


async def test_that_there_is_no_file_is_remembered_longer_each_time_up_to_an_hour(world: World) -> None:
    waits = []
    await world.find("a.test")
    for fetches in range(1, 9):
        start = world.now_ms
        while world.asked.count("a.test") == fetches:
            world.now_ms += MINUTE
            await world.find("a.test")
        waits.append((world.now_ms - start) // MINUTE)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_file_that_cannot_be_fetched_again_holds_on_for_two_days(world: World) -> None:
    world.lay("a.test", "b.test:1")
    await world.find("a.test")
    world.lay("a.test", b"", status=503)
    world.now_ms += 47 * HOUR
    assert (await world.find("a.test"))[1] == "b.test:1"
    world.now_ms += HOUR
    assert (await world.find("a.test"))[1] == "a.test"


async def test_a_file_that_is_gone_does_not(world: World) -> None:
    world.lay("a.test", "b.test:1")
    await world.find("a.test")
    world.lay("a.test", b"", status=404)
    world.now_ms += 25 * HOUR
    assert (await world.find("a.test"))[1] == "a.test"


async def test_who_asks_at_once_shares_the_answer(world: World) -> None:
    world.lay("a.test", "b.test:1")
    routes: list[Route] = await asyncio.gather(*(world.discovery.find_route("a.test") for _ in range(5)))
    assert {route.host_header for route in routes} == {"b.test:1"}
    assert world.asked == ["a.test"]


@pytest.mark.parametrize("name", ["", "a b", "a:0", "a:99999", "[::g]", "[1.2]", "a/b", "a@b"])
def test_what_is_no_server_name_has_no_host(name: str) -> None:
    with pytest.raises(OutboundFailed):
        split_server_name(name)
