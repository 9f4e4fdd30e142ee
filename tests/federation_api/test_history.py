"""What a server in a room may read of it, and what it is shown redacted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helpers.federation import Network
from helpers.homeserver import Json
from helpers.shared_rooms import SharedRoom, federation_of
from tabstead.errors import PeerRefused
from tabstead.federation.client import Question, federation_path
from tabstead.protocol.identifiers import ServerName


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    network = Network()
    yield network
    await network.close()


@pytest.fixture
async def shared(network: Network, tmp_path: Path) -> SharedRoom:
    left = await network.open(tmp_path, "left.test")
    right = await network.open(tmp_path, "right.test")
    return await SharedRoom.open(network, left, right, before=["a", "b", "c"])


async def ask(
    shared: SharedRoom, method: str, *path: str, content: Json | None = None, by: str = "", **query: str
) -> Json:
    """Ask the left server."""
    asker = shared.network.servers[by or "right.test"]
    question = Question(method=method, path=federation_path("v1", *path), query=query or None, content=content)
    return await federation_of(asker).client.ask(ServerName("left.test"), question)


async def refused(shared: SharedRoom, method: str, *path: str, **options: object) -> int:
    with pytest.raises(PeerRefused) as refusal:
        await ask(shared, method, *path, **options)  # type: ignore[arg-type]
    return refusal.value.status


def bodies(pdus: list[Json]) -> list[str]:
    return [pdu["content"].get("body", pdu["type"]) for pdu in pdus]


async def test_backfill_goes_back_from_the_newest(shared: SharedRoom) -> None:
    said = await shared.alice.send(shared.room_id, "d")
    answer = await ask(shared, "GET", "backfill", shared.room_id, v=said, limit="4")
    assert bodies(answer["pdus"]) == ["d", "m.room.member", "c", "b"]
    assert answer["origin"] == "left.test"


async def test_missing_events_lie_between_those_named(shared: SharedRoom) -> None:
    said = [await shared.alice.send(shared.room_id, body) for body in "123456"]
    path = ("get_missing_events", shared.room_id)
    named = {"earliest_events": [said[0]], "latest_events": [said[-1]]}
    answer = await ask(shared, "POST", *path, content={**named, "limit": 100})
    assert bodies(answer["events"]) == ["2", "3", "4", "5"]
    answer = await ask(shared, "POST", *path, content={**named, "limit": 2})
    assert bodies(answer["events"]) == ["4", "5"]
    depth = (await shared.pdu(said[3]))["depth"]
    answer = await ask(shared, "POST", *path, content={**named, "limit": 100, "min_depth": depth})
    assert bodies(answer["events"]) == ["4", "5"]


async def test_the_state_is_that_before_an_event(shared: SharedRoom) -> None:
    named = await shared.alice.send_state(shared.room_id, "m.room.name", {"name": "n"})
    said = await shared.alice.send(shared.room_id, "d")
    at_name = await ask(shared, "GET", "state_ids", shared.room_id, event_id=named)
    after = await ask(shared, "GET", "state_ids", shared.room_id, event_id=said)
    assert set(after["pdu_ids"]) - set(at_name["pdu_ids"]) == {named}
    whole = await ask(shared, "GET", "state", shared.room_id, event_id=said)
    assert [await shared.id_of(pdu) for pdu in whole["pdus"]] == after["pdu_ids"]
    assert {await shared.id_of(pdu) for pdu in whole["auth_chain"]} == set(after["auth_chain_ids"])


@pytest.mark.parametrize("version", ["1", "11", "12"])
async def test_the_auth_chain_has_all_that_an_event_goes_by(
    network: Network, tmp_path_factory: pytest.TempPathFactory, version: str
) -> None:
    folder = tmp_path_factory.mktemp("servers")
    left, right = await network.open(folder, "left.test"), await network.open(folder, "right.test")
    room = await SharedRoom.open(network, left, right, room_version=version)
    said = await room.alice.send(room.room_id, "d")
    chain = (await ask(room, "GET", "event_auth", room.room_id, said))["auth_chain"]
    ids = {await room.id_of(pdu): pdu for pdu in chain}
    by_id = [*ids.values(), await room.pdu(said)]
    wanted = {each if isinstance(each, str) else each[0] for pdu in by_id for each in pdu["auth_events"]}
    assert wanted == ids.keys()
    types = [pdu["type"] for pdu in chain]
    assert types.count("m.room.power_levels") == 1 and types.count("m.room.create") == (version != "12")


async def test_an_event_is_found_by_id_and_by_time(shared: SharedRoom) -> None:
    said = await shared.alice.send(shared.room_id, "d")
    pdu = await shared.pdu(said)
    assert (await ask(shared, "GET", "event", said))["pdus"] == [pdu]
    for direction in "bf":
        found = await ask(
            shared, "GET", "timestamp_to_event", shared.room_id, ts=str(pdu["origin_server_ts"]), dir=direction
        )
        assert found == {"event_id": said, "origin_server_ts": pdu["origin_server_ts"]}
    late = {"ts": str(pdu["origin_server_ts"] + 1000), "dir": "f"}
    assert await refused(shared, "GET", "timestamp_to_event", shared.room_id, **late) == 404


async def test_only_servers_in_the_room_read_it(shared: SharedRoom, tmp_path: Path) -> None:
    await shared.network.open(tmp_path, "other.test")
    said = await shared.alice.send(shared.room_id, "d")

    async def statuses(by: str, room_id: str, event_id: str) -> set[int]:
        missing = {"earliest_events": [], "latest_events": [event_id]}
        return {
            await refused(shared, "GET", "backfill", room_id, by=by, v=event_id, limit="1"),
            await refused(shared, "POST", "get_missing_events", room_id, by=by, content=missing),
            await refused(shared, "GET", "state", room_id, by=by, event_id=event_id),
            await refused(shared, "GET", "state_ids", room_id, by=by, event_id=event_id),
            await refused(shared, "GET", "event_auth", room_id, event_id, by=by),
            await refused(shared, "GET", "event", event_id, by=by),
            await refused(shared, "GET", "timestamp_to_event", room_id, by=by, ts="1", dir="b"),
        }

    assert await statuses("other.test", shared.room_id, said) == {403}
    assert await statuses("other.test", "!unknown:left.test", "$unknown") == {404}
    await shared.deliver(said)
    levels = await shared.alice.get(f"/v3/rooms/{shared.room_id}/state/m.room.power_levels")
    assert levels["users_default"] == 0
    acl = {"allow": ["*"], "deny": ["right.test"]}
    await shared.alice.send_state(shared.room_id, "m.room.server_acl", acl)
    assert await statuses("right.test", shared.room_id, said) == {403}


async def test_nobody_reads_an_event_by_way_of_another_room(shared: SharedRoom) -> None:
    secret = await shared.alice.create_room()
    event_id = await shared.alice.send(secret, "secret")
    assert await refused(shared, "GET", "event", event_id) == 403
    assert await refused(shared, "GET", "event_auth", shared.room_id, event_id) == 404
    assert await refused(shared, "GET", "state", shared.room_id, event_id=event_id) == 404
    assert (await ask(shared, "GET", "backfill", shared.room_id, v=event_id, limit="9"))["pdus"] == []
    content = {"earliest_events": [], "latest_events": [event_id]}
    assert (await ask(shared, "POST", "get_missing_events", shared.room_id, content=content))["events"] == []


async def test_what_its_users_may_not_see_a_server_is_shown_redacted(
    network: Network, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("servers")
    left, right = await network.open(folder, "left.test"), await network.open(folder, "right.test")
    hidden = {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}, "state_key": ""}
    room = await SharedRoom.open(network, left, right, before=["secret"], initial_state=[hidden])
    said = await room.alice.send(room.room_id, "public")
    pdus = (await ask(room, "GET", "backfill", room.room_id, v=said, limit="3"))["pdus"]
    assert bodies(pdus) == ["public", "m.room.member", "m.room.message"]
    assert pdus[2]["content"] == {}
    assert (await ask(room, "GET", "event", await room.id_of(pdus[2])))["pdus"] == [pdus[2]]


async def test_limits_are_kept(shared: SharedRoom) -> None:
    for _ in range(120):
        said = await shared.alice.send(shared.room_id, "x")
    assert len((await ask(shared, "GET", "backfill", shared.room_id, v=said, limit="9999"))["pdus"]) == 100
    content = {"earliest_events": [], "latest_events": [said], "limit": 9999}
    missing = await ask(shared, "POST", "get_missing_events", shared.room_id, content=content)
    assert len(missing["events"]) == 100
    many = {"earliest_events": [], "latest_events": [f"${number}" for number in range(60)]}
    assert await refused(shared, "POST", "get_missing_events", shared.room_id, content=many) == 400
    assert await refused(shared, "POST", "get_missing_events", shared.room_id, content={"latest_events": 1}) == 400
    assert await refused(shared, "GET", "backfill", shared.room_id, limit="5") == 400
