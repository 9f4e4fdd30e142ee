"""A room that moves here from Dendrite has all its events, and the state at each, as they were."""

import json
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from helpers.dendrite import Room, Roomserver, move, read_state
from tabstead.native.dendrite_import.importer import _Import
from tabstead.protocol.identifiers import StateTuple
from tabstead.storage.database import Database, Db
from tabstead.storage.dendrite_import.progress import Progress
from tabstead.storage.events import PersistedEvent, Standing, find_event, get_event
from tabstead.storage.rooms import find_room, select_forward_extremities
from tabstead.storage.state_history import read_state as read_our_state

ALICE, BOB, EVE = "@alice:tab.test", "@bob:tab.test", "@eve:elsewhere.test"
MESSAGE, TOPIC = "m.room.message", "m.room.topic"


def say(room: Room, sender: str, text: str, **more: Any) -> str:
    return room.send(sender, MESSAGE, {"msgtype": "m.text", "body": text}, **more)


def set_topic(room: Room, sender: str, topic: str, **more: Any) -> str:
    return room.send(sender, TOPIC, {"topic": topic}, "", **more)


async def read_moved(source: Path, fn: Any) -> Any:
    database = await Database.open(source.parent / "tab.test.sqlite")
    try:
        return await database.read(fn)
    finally:
        await database.close()


def find(db: Db, event_id: str) -> PersistedEvent:
    stored = find_event(db, event_id)
    assert stored is not None
    return stored


def our_states(db: Db, event_ids: list[str]) -> list[dict[StateTuple, str]]:
    """The state before each event, by event ID."""
    return [
        {key: get_event(db, nid).event_id for key, nid in read_our_state(db, find(db, event_id).state_before).items()}
        for event_id in event_ids
    ]


async def check_all_states(source: Path) -> int:
    """The state before every event is what Dendrite reads there, and so is each room's current one. How many events."""
    with sqlite3.connect(source) as dendrite:
        ids = dict(dendrite.execute("SELECT event_nid, event_id FROM roomserver_events"))
        placed = dendrite.execute(
            "SELECT event_id, state_snapshot_nid FROM roomserver_events WHERE state_snapshot_nid <> 0"
        ).fetchall()
        wanted = [{key: ids[nid] for key, nid in read_state(dendrite, snapshot).items()} for _, snapshot in placed]
        rooms = dendrite.execute(
            "SELECT room_id, state_snapshot_nid, latest_event_nids FROM roomserver_rooms WHERE state_snapshot_nid <> 0"
        ).fetchall()
        now = [
            (
                {key: ids[nid] for key, nid in read_state(dendrite, snapshot).items()},
                {ids[nid] for nid in json.loads(latest)},
            )
            for _, snapshot, latest in rooms
        ]
    assert await read_moved(source, lambda db: our_states(db, [event_id for event_id, _ in placed])) == wanted

    def read_rooms(db: Db) -> list[Any]:
        found = [find_room(db, room_id) for room_id, _, _ in rooms]
        return [
            (
                {key: get_event(db, nid).event_id for key, nid in read_our_state(db, room.state_snapshot).items()},
                {get_event(db, nid).event_id for nid in select_forward_extremities(db, room.room_nid)},
            )
            for room in found
            if room is not None
        ]

    assert await read_moved(source, read_rooms) == now
    return len(placed)


@pytest.mark.parametrize("version", ["1", "6", "9"])
async def test_forks_merges_redactions_and_what_was_refused_come_over_as_they_were(source: Path, version: str) -> None:
    with Roomserver(source) as dendrite:
        room = dendrite.create_room(ALICE, version, events={TOPIC: 0})
        for number in range(80):  # more state events than Dendrite has blocks to a snapshot
            room.join(f"@member{number}:tab.test")
        room.join(BOB)
        room.join(EVE)
        regretted = say(room, BOB, "what I regret")
        one, other = room.fork(), room.fork()
        set_topic(one, ALICE, "one")
        set_topic(other, BOB, "other")
        say(other, BOB, "meanwhile")
        one.merge(other)
        say(one, ALICE, "together again")
        rejected = say(one, "@stranger:elsewhere.test", "let me in")
        soft_failed = say(one, EVE, "too late", is_soft_failed=True)
        chain = one.fork()
        chain.heads = [dendrite.nids[soft_failed]]
        say(chain, EVE, "too late again", is_soft_failed=True)
        redaction = one.send(BOB, "m.room.redaction", {}, redacts=regretted)
        unknown = one.send(BOB, "m.room.redaction", {}, redacts="$of_what_never_came:tab.test")
        say(one.fork(), ALICE, "one end")
        say(one.fork(), BOB, "another end")
    counts = await move(source)
    assert await check_all_states(source) == counts["events"]
    assert (counts["rejected"], counts["soft_failed"]) == (1, 2)

    def look(db: Db) -> None:
        assert find(db, rejected).standing is Standing.REJECTED
        assert find(db, soft_failed).standing is Standing.SOFT_FAILED
        redacted = find(db, regretted)
        assert redacted.event.content == {}
        assert redacted.redacted_by == find(db, redaction).event_nid
        assert find(db, unknown).standing is Standing.ACCEPTED

    await read_moved(source, look)


async def test_what_dendrite_reads_is_taken_even_where_an_old_block_loses(source: Path) -> None:
    """The state before an event is asked for again with another state beneath; its own change is an old block then."""
    with Roomserver(source) as dendrite:
        room = dendrite.create_room(ALICE)
        old = set_topic(room, ALICE, "old")
        before = dict(room.state)
        new = set_topic(room, ALICE, "new")
        say(room, ALICE, "the topic is new")
        whole = dendrite.add_state(
            room, (), before.values()
        )  # one block with the old topic, younger than the new one's
        dendrite.db.execute("UPDATE roomserver_events SET state_snapshot_nid = ? WHERE event_id = ?", (whole, new))
        dendrite.snapshots[dendrite.nids[new]] = whole
        late = room.fork()
        late.heads = [dendrite.nids[new]]
        lost = say(late, ALICE, "the topic is old again")
    counts = await move(source)
    assert counts["forgotten changes"] == 1
    await check_all_states(source)

    def look(db: Db) -> None:
        assert our_states(db, [lost])[0][TOPIC, ""] == old

    await read_moved(source, look)


@pytest.mark.parametrize("version", ["1", "6"])
async def test_history_that_was_fetched_later_comes_before_what_it_came_before(
    source: Path, tmp_path: Path, version: str
) -> None:
    """A room of another server, joined late: state told when joining, then backfill, and a depth that lies."""
    with Roomserver(tmp_path / "elsewhere.db", "elsewhere.test") as elsewhere, Roomserver(source) as dendrite:
        theirs = elsewhere.create_room(EVE, version)
        early = [say(theirs, EVE, f"early {number}") for number in range(5)]
        set_topic(theirs, EVE, "before we came")
        liar = say(theirs, EVE, "much deeper than it is", depth=90)
        told = dict(theirs.state)
        theirs.join(ALICE)
        joined = elsewhere.events[theirs.heads[0]]

        ours = Room(
            dendrite=dendrite,
            room_nid=dendrite.insert_room(theirs.room_id, theirs.version),
            room_id=theirs.room_id,
            version=theirs.version,
        )
        dendrite.rooms.append(ours)
        for event_nid in sorted(told.values()):
            dendrite.store(ours, elsewhere.events[event_nid])
        ours.state = {key: dendrite.nids[elsewhere.events[nid].event_id] for key, nid in told.items()}
        snapshot = dendrite.add_state(ours, (), ours.state.values())
        ours.heads = [dendrite.store(ours, joined, snapshot=snapshot, is_sent=True)]
        ours.latest = {*ours.heads}
        ours.state[joined.state_tuple] = ours.heads[0]
        said = say(ours, ALICE, "hello", depth=7)
        for event_id in reversed([*early, liar]):
            event = elsewhere.events[elsewhere.nids[event_id]]
            dendrite.store(ours, event, snapshot=snapshot)
        for event_nid in sorted(told.values()):  # backfilled, too: what was told gets its place
            dendrite.store(ours, elsewhere.events[event_nid], snapshot=snapshot)
    counts = await move(source)
    assert counts["soft_failed"] == 0
    await check_all_states(source)

    def look(db: Db) -> None:
        positions = [find(db, event_id).position for event_id in [*early, liar, joined.event_id, said]]
        assert positions == sorted(positions)

    await read_moved(source, look)


async def test_outliers_stay_outliers(source: Path) -> None:
    with Roomserver(source) as dendrite:
        room = dendrite.create_room(ALICE)
        outlier = room.build(ALICE, TOPIC, {"topic": "never placed"}, "")
        dendrite.store(room, outlier)
    assert (await move(source))["outliers"] == 1
    assert await read_moved(source, lambda db: find(db, outlier.event_id).stream_position) is None


async def test_an_import_that_stops_after_every_slice_goes_on_where_it_was(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Roomserver(source) as dendrite:
        room = dendrite.create_room(ALICE)
        for number in range(10):
            room.join(f"@member{number}:tab.test")
            branch = room.fork()
            set_topic(branch, ALICE, f"topic {number}")
            say(room, ALICE, f"message {number}")
            room.merge(branch)
    do_slice = _Import._do_slice
    slices = 0

    def do_one_slice(self: _Import, db: Db) -> Progress:
        nonlocal slices
        if self in stopped:
            raise InterruptedError
        stopped.append(self)
        slices += 1
        return do_slice(self, db)

    stopped: list[_Import] = []
    monkeypatch.setattr(_Import, "_do_slice", do_one_slice)
    while not (source.parent / "tab.test.sqlite").exists():
        with suppress(InterruptedError):
            await move(source)
    assert slices > 25
    await check_all_states(source)
