"""A server that moves here from Dendrite has all its rooms and people as they were, and goes on."""

import json
import sqlite3
from binascii import b2a_base64
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from helpers.dendrite import KEY, Room, Roomserver, read_state, write_people
from helpers.homeserver import Client, TestServer
from tabstead.errors import ImportRefused, ServerNameMismatch
from tabstead.native.dendrite_import import Sources, import_dendrite
from tabstead.native.dendrite_import.rooms import RoomImport
from tabstead.native.dendrite_import.states import SourceState, StateReader
from tabstead.protocol.identifiers import StateTuple
from tabstead.storage.database import Database, Db
from tabstead.storage.events import PersistedEvent, Standing, find_event, get_event
from tabstead.storage.rooms import find_room, select_forward_extremities
from tabstead.storage.state_history import read_state as read_our_state

ALICE, BOB, EVE = "@alice:tab.test", "@bob:tab.test", "@eve:elsewhere.test"
MESSAGE, TOPIC = "m.room.message", "m.room.topic"


def say(room: Room, sender: str, text: str, **more: Any) -> str:
    return room.send(sender, MESSAGE, {"msgtype": "m.text", "body": text}, **more)


def set_topic(room: Room, sender: str, topic: str, **more: Any) -> str:
    return room.send(sender, TOPIC, {"topic": topic}, "", **more)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "roomserver.db"


async def move(source: Path, **others: Path) -> Counter[str]:
    """Import into where a test server has its database."""
    target = source.parent / "tab.test.sqlite"
    return await import_dendrite(Sources(roomserver=source, **others), target, "tab.test", lambda line: None)


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
        redaction = one.send(BOB, "m.room.redaction", {}, redacts=regretted)
        unknown = one.send(BOB, "m.room.redaction", {}, redacts="$of_what_never_came:tab.test")
        say(one.fork(), ALICE, "one end")
        say(one.fork(), BOB, "another end")
    counts = await move(source)
    assert await check_all_states(source) == counts["events"]
    assert counts["rejected"] == counts["soft_failed"] == 1

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


async def test_history_that_was_fetched_later_comes_before_what_it_came_before(source: Path, tmp_path: Path) -> None:
    """A room of another server, joined late: state told when joining, then backfill, and a depth that lies."""
    with Roomserver(tmp_path / "elsewhere.db", "elsewhere.test") as elsewhere, Roomserver(source) as dendrite:
        theirs = elsewhere.create_room(EVE)
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


async def test_a_person_goes_on_where_they_were(source: Path) -> None:
    password_hash = "$2a$04$uFx7uc8IvRotd6K2kmG/jeO0GhiZzQWP/FyRSZHSSFauZAhFbR0L2"
    people = write_people(source.parent, ALICE, password_hash=password_hash, access_token="dendrite's token")
    with Roomserver(source) as dendrite:
        room = dendrite.create_room(ALICE)
        room.send(ALICE, "m.room.name", {"name": "Porch"}, "")
        room.join(BOB)
        answered = say(room, BOB, "a question")
        relation = {"event_id": answered, "rel_type": "m.annotation", "key": "+"}
        room.send(ALICE, "m.reaction", {"m.relates_to": relation})
        room.send(BOB, "m.room.member", {"membership": "leave"}, BOB)
        left = dendrite.create_room(BOB)
        left.join(ALICE)
        left.send(ALICE, "m.room.member", {"membership": "leave"}, ALICE)
        dendrite.forgotten.add((left.room_nid, ALICE))
        dendrite.db.execute(
            "INSERT INTO roomserver_room_aliases VALUES (?, ?, ?)", ("#porch:tab.test", room.room_id, ALICE)
        )
        dendrite.db.execute("INSERT INTO roomserver_published VALUES (?, TRUE)", (room.room_id,))
    counts = await move(source, **people)
    assert (counts["accounts"], counts["devices"], counts["aliases"], counts["public rooms"]) == (2, 1, 1, 1)

    server = await TestServer.open(source.parent)
    alice = Client(server=server, user_id=ALICE, device_id="DEVICE", access_token="dendrite's token")
    assert await alice.get("/v3/account/whoami") == {"user_id": ALICE, "device_id": "DEVICE", "is_guest": False}
    synced = await alice.get("/v3/sync")
    assert [*synced["rooms"]["join"]] == [room.room_id]
    assert synced["device_one_time_keys_count"] == {"signed_curve25519": 3}
    assert {event["type"] for event in synced["account_data"]["events"]} == {"m.push_rules", "org.example"}
    timeline = synced["rooms"]["join"][room.room_id]["timeline"]["events"]
    assert timeline[-1]["content"] == {"membership": "leave"}
    assert timeline[-1]["unsigned"]["prev_content"] == {"membership": "join"}
    assert (await alice.get("/v3/publicRooms"))["chunk"][0]["name"] == "Porch"
    assert (await alice.get("/v3/directory/room/%23porch%3Atab.test"))["room_id"] == room.room_id
    keys = await alice.post("/v3/keys/query", {"device_keys": {ALICE: []}})
    assert keys["device_keys"][ALICE]["DEVICE"]["keys"] == {"ed25519:DEVICE": "key"}
    claimed = await alice.post("/v3/keys/claim", {"one_time_keys": {ALICE: {"DEVICE": "signed_curve25519"}}})
    assert [*claimed["one_time_keys"][ALICE]["DEVICE"]] == ["signed_curve25519:AAAA0"]
    assert (await alice.get(f"/v3/profile/{ALICE}"))["displayname"] == "A Name"

    said = await alice.send(room.room_id, "and it goes on")
    assert (await alice.get(f"/v3/rooms/{room.room_id}/event/{said}"))["content"]["body"] == "and it goes on"
    await alice.put(f"/v3/rooms/{room.room_id}/state/m.room.topic", {"topic": "moved"})
    assert (await server.log_in("alice", "correct horse")).user_id == ALICE
    assert (await server.anonymous().refused(*LOG_IN, log_in_body("alice", "wrong")))[0] == 403
    assert (await server.anonymous().refused(*LOG_IN, log_in_body("gone", "")))[0] == 403
    assert await server.homeserver.context.database.integrity_check() == []
    await server.close()


LOG_IN = "POST", "/v3/login"


def log_in_body(localpart: str, password: str) -> Any:
    identifier = {"type": "m.id.user", "user": localpart}
    return {"type": "m.login.password", "identifier": identifier, "password": password}


async def test_the_server_keeps_its_signing_key(source: Path, tmp_path: Path) -> None:
    pem = tmp_path / "matrix_key.pem"
    encoded = b2a_base64(KEY.seed).decode()
    pem.write_text(
        f"-----BEGIN MATRIX PRIVATE KEY-----\nKey-ID: {KEY.key_id}abc\n\n{encoded}-----END MATRIX PRIVATE KEY-----\n"
    )
    with Roomserver(source) as dendrite:
        dendrite.create_room(ALICE)
    await move(source, signing_key=pem)
    server = await TestServer.open(tmp_path)
    signing_key = server.homeserver.context.local_server.signing_key
    assert (signing_key.key_id, signing_key.seed) == (f"{KEY.key_id}abc", KEY.seed)
    await server.close()


async def test_without_a_file_the_server_gets_a_key(source: Path) -> None:
    with Roomserver(source) as dendrite:
        dendrite.create_room(ALICE)
    await move(source)
    server = await TestServer.open(source.parent)
    assert server.homeserver.context.local_server.signing_key.key_id == "ed25519:1"
    await server.close()


async def refusal(source: Path, server_name: str = "tab.test", **others: Path) -> str:
    target = source.parent / "tab.test.sqlite"
    with pytest.raises((ImportRefused, ServerNameMismatch)) as refused:
        await import_dendrite(Sources(roomserver=source, **others), target, server_name, lambda line: None)
    return str(refused.value)


async def test_what_can_not_be_imported_is_refused_with_the_reason(source: Path, tmp_path: Path) -> None:
    assert "is not there" in await refusal(tmp_path / "nothing.db")
    (tmp_path / "text.db").write_text("no database at all, whatever its name")
    assert "can't be read" in await refusal(tmp_path / "text.db")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (a)").connection.close()
    assert "layout of Dendrite 0.4.0" in await refusal(tmp_path / "other.db")
    with Roomserver(source) as dendrite:
        room = dendrite.create_room(ALICE)
    assert "that of tab.test" in await refusal(source, "another.test")
    assert "together with their keys" in await refusal(source, devices=source)
    assert "account_accounts" in await refusal(source, accounts=source)
    assert "no private key" in await refusal(source, signing_key=write(tmp_path / "no.pem", "nothing"))
    with sqlite3.connect(source) as db:
        db.execute("UPDATE roomserver_rooms SET room_version = 'org.unknown'")
    assert f"{room.room_id} is of a version" in await refusal(source)
    assert not files_of_database(tmp_path)
    write(tmp_path / "tab.test.sqlite", "")
    assert "is there already" in await refusal(source)


def files_of_database(folder: Path) -> list[Path]:
    return list(folder.glob("tab.test*"))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("DELETE FROM roomserver_event_json WHERE event_nid = 3", "no JSON"),
        ("UPDATE roomserver_event_json SET event_json = '[]' WHERE event_nid = 3", "no JSON"),
        ("UPDATE roomserver_event_json SET event_json = '{}' WHERE event_nid = 3", "is no event"),
        ("UPDATE roomserver_events SET event_id = '$other' WHERE event_nid = 3", "not the ID"),
        ("DELETE FROM roomserver_state_block WHERE state_block_nid = 2", "state block 2"),
        ("DELETE FROM roomserver_state_snapshots WHERE state_snapshot_nid = 2", "state snapshot 2"),
        ("UPDATE roomserver_state_block SET event_nids = '[99]' WHERE state_block_nid = 2", "event 99"),
        ("UPDATE roomserver_rooms SET latest_event_nids = '[99]'", "event 99"),
        ("DELETE FROM roomserver_rooms WHERE room_nid = 1", "the room of event"),
    ],
)
async def test_a_damaged_database_is_not_imported(source: Path, damage: str, reason: str) -> None:
    with Roomserver(source) as dendrite:
        dendrite.create_room(ALICE)
        dendrite.create_room(BOB)
    with sqlite3.connect(source) as db:
        db.execute(damage)
    assert reason in await refusal(source)
    assert not (source.parent / "tab.test.sqlite").exists()


async def test_an_import_goes_on_only_with_what_it_began_with(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Roomserver(source) as dendrite:
        room = dendrite.create_room(ALICE)
    with monkeypatch.context() as patched:
        patched.setattr("tabstead.native.dendrite_import.check.Check.check_rooms", interrupt)
        with pytest.raises(InterruptedError):
            await move(source)
    with sqlite3.connect(source) as db:
        db.execute("UPDATE roomserver_rooms SET latest_event_nids = '[1]'")
    assert "not as they were" in await refusal(source)
    assert room.latest


def interrupt(*_: object) -> None:
    raise InterruptedError


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE current_state SET event_nid = event_nid - 1 WHERE tuple_nid = 2",
        "DELETE FROM forward_extremities",
        "UPDATE rooms SET state_snapshot = 0",
    ],
)
async def test_the_check_finds_a_room_that_came_over_wrongly(
    source: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    with Roomserver(source) as dendrite:
        dendrite.create_room(ALICE)
    take = RoomImport.take_directory

    def take_and_spoil(self: RoomImport, db: Db, position: Any, counts: Counter[str]) -> Any:
        db.execute(spoil)
        return take(self, db, position, counts)

    monkeypatch.setattr(RoomImport, "take_directory", take_and_spoil)
    assert "The import is wrong" in await refusal(source)


async def test_the_check_finds_a_state_that_came_over_wrongly(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Roomserver(source) as dendrite:
        room = dendrite.create_room(ALICE)
        for number in range(5):
            set_topic(room, ALICE, f"topic {number}")
            say(room, ALICE, "a message")
    changes = StateReader.changes
    calls = iter(range(1000))

    def forget_one(self: StateReader, db: Db, old: SourceState, new: SourceState) -> dict[int, int | None]:
        found = changes(self, db, old, new)
        return {} if next(calls) == 6 else found

    monkeypatch.setattr(StateReader, "changes", forget_one)
    assert "The import is wrong: state snapshot" in await refusal(source)
