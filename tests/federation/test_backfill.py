"""History from before a server's time in a room: it is fetched when somebody reads that far."""

import pytest

from helpers.federation import Network
from helpers.homeserver import Client, Json, TestServer
from helpers.shared_rooms import SharedRoom
from tabstead.protocol.room_versions import ROOM_VERSIONS
from tabstead.storage.compaction.slices import START, Circumstances
from tabstead.storage.compaction.state import note_references
from tabstead.storage.state_segments import SNAPSHOTS

SAID = [f"{number}" for number in range(70)]


async def read_back(reader: Client, room_id: str, **query: str) -> list[str]:
    """All that a client finds, the newest first, from what its sync gave."""
    synced = await reader.get("/v3/sync")
    timeline = synced["rooms"]["join"][room_id]["timeline"]
    assert timeline["limited"]
    found, token = [], timeline["prev_batch"]
    while token is not None:
        page = await reader.get(f"/v3/rooms/{room_id}/messages", dir="b", limit="25", **{"from": token}, **query)
        found += [event["content"].get("body", event["type"]) for event in page["chunk"]]
        token = page.get("end")
    return found


@pytest.fixture
async def servers(network: Network, tmp_path_factory: pytest.TempPathFactory) -> tuple[TestServer, TestServer]:
    folder = tmp_path_factory.mktemp("servers")
    return await network.open(folder, "left.test"), await network.open(folder, "right.test")


@pytest.fixture
async def shared(network: Network, servers: tuple[TestServer, TestServer]) -> SharedRoom:
    return await SharedRoom.open(network, *servers, before=SAID)


@pytest.mark.parametrize("version", ROOM_VERSIONS)
async def test_who_joined_reads_what_was_before(
    network: Network, servers: tuple[TestServer, TestServer], version: str
) -> None:
    room = await SharedRoom.open(network, *servers, before=SAID[:5], room_version=version)
    found = await read_back(room.bob, room.room_id)
    assert found[:5] == SAID[4::-1]
    assert found[-1] == "m.room.create"
    assert await room.gaps() == []


async def test_history_is_fetched_page_by_page_and_once(network: Network, shared: SharedRoom) -> None:
    joined = (await shared.bob.get("/v3/sync"))["rooms"]["join"][shared.room_id]["timeline"]["prev_batch"]
    found = await read_back(shared.bob, shared.room_id)
    assert [body for body in found if not body.startswith("m.")] == SAID[::-1]
    asked = len(network.requests)
    page = await shared.bob.get(f"/v3/rooms/{shared.room_id}/messages", dir="b", limit="1000", **{"from": joined})
    assert [event["content"].get("body", event["type"]) for event in page["chunk"]] == found
    assert len(network.requests) == asked


async def test_history_changes_nothing_and_wakes_nobody(shared: SharedRoom) -> None:
    before = await shared.bob.get("/v3/sync")
    tips, state = await shared.tips(shared.right), await shared.state(shared.right)
    await read_back(shared.bob, shared.room_id)
    assert await shared.tips(shared.right) == tips
    assert await shared.state(shared.right) == state
    after = await shared.bob.get("/v3/sync", since=before["next_batch"], timeout="0")
    assert "rooms" not in after


async def test_where_nobody_can_be_asked_a_reader_comes_to_the_end(network: Network, shared: SharedRoom) -> None:
    network.cut("left.test", "right.test")
    assert await read_back(shared.bob, shared.room_id) == []
    network.mend("left.test", "right.test")
    assert len(await read_back(shared.bob, shared.room_id)) > len(SAID)


async def test_reactions_and_redactions_of_history_are_seen(
    network: Network, servers: tuple[TestServer, TestServer]
) -> None:
    alice = await servers[0].register("ann")
    room_id = await alice.create_room(preset="public_chat")
    liked, gone = await alice.send(room_id, "liked"), await alice.send(room_id, "gone")
    relation = {"m.relates_to": {"rel_type": "m.thread", "event_id": liked}, "body": "in the thread"}
    await alice.put(f"/v3/rooms/{room_id}/send/m.room.message/1", relation)
    await alice.put(f"/v3/rooms/{room_id}/redact/{gone}/2", {})
    bob = await servers[1].register("ben")
    await bob.post(f"/v3/join/{room_id}", {}, server_name="left.test")
    await read_back(bob, room_id)
    shown = await bob.get(f"/v3/rooms/{room_id}/event/{liked}")
    assert shown["unsigned"]["m.relations"]["m.thread"]["count"] == 1
    assert (await bob.get(f"/v3/rooms/{room_id}/event/{gone}"))["content"] == {}
    body: Json = {"search_categories": {"room_events": {"search_term": "liked"}}}
    assert (await bob.post("/v3/search", body))["search_categories"]["room_events"]["count"] == 1


async def test_the_states_of_history_are_kept_by_the_compaction(shared: SharedRoom) -> None:
    circumstances = Circumstances(now_ms=0, is_short=False)
    await shared.right.write(lambda db: note_references(db, START, 10_000, circumstances))
    await read_back(shared.bob, shared.room_id)
    unnoted = (
        "SELECT COUNT(*) FROM events e WHERE e.state_before <> 0 AND e.stream_position IS NOT NULL AND NOT EXISTS"
        f" (SELECT 1 FROM state_references r WHERE r.segment = e.state_before / {SNAPSHOTS}"
        f" AND r.referred >> (e.state_before % {SNAPSHOTS}) & 1)"
    )
    assert await shared.right.read(lambda db: db.execute(unnoted).fetchone()) == (0,)


async def test_the_context_of_the_first_event_is_what_was_before_it(shared: SharedRoom) -> None:
    joined = (await shared.bob.get("/v3/sync"))["rooms"]["join"][shared.room_id]["timeline"]["events"][0]
    context = await shared.bob.get(f"/v3/rooms/{shared.room_id}/context/{joined['event_id']}", limit="10")
    assert [event["content"]["body"] for event in context["events_before"]] == SAID[:-6:-1]


async def test_a_date_of_long_ago_is_found_in_what_is_missing(shared: SharedRoom) -> None:
    wanted = (await shared.alice.get(f"/v3/rooms/{shared.room_id}/messages", dir="f", limit="40"))["chunk"][-1]
    path = f"/v1/rooms/{shared.room_id}/timestamp_to_event"
    for direction in "bf":
        found = await shared.bob.get(path, ts=str(wanted["origin_server_ts"]), dir=direction)
        assert found["event_id"] == wanted["event_id"]
    context = await shared.bob.get(f"/v3/rooms/{shared.room_id}/context/{wanted['event_id']}", limit="4")
    body = int(wanted["content"]["body"])
    assert [event["content"]["body"] for event in context["events_before"]] == [f"{body - 1}", f"{body - 2}"]
    # What is above it in the gap is filled as before, and ends at it.
    assert [each for each in await read_back(shared.bob, shared.room_id) if each.isdigit()] == SAID[::-1]
    assert await shared.gaps() == []


async def test_who_comes_back_reads_what_was_said_meanwhile_and_before(shared: SharedRoom) -> None:
    await shared.bob.post(f"/v3/rooms/{shared.room_id}/leave", {})
    for body in ("a", "b", "c"):
        await shared.alice.send(shared.room_id, body)
    await shared.bob.post(f"/v3/join/{shared.room_id}", {}, server_name="left.test")
    found = [body for body in await read_back(shared.bob, shared.room_id) if not body.startswith("m.")]
    assert found == ["c", "b", "a", *SAID[::-1]]
    assert await shared.gaps() == []
