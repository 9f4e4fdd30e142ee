"""What can't be imported, or came over wrongly, is told before any server opens it."""

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from helpers.dendrite import Roomserver, move
from tabstead.errors import ImportRefused, ServerNameMismatch
from tabstead.native.dendrite_import import Sources, import_dendrite
from tabstead.native.dendrite_import.rooms import RoomImport
from tabstead.native.dendrite_import.states import SourceState, StateReader
from tabstead.storage.database import Db

ALICE, BOB = "@alice:tab.test", "@bob:tab.test"


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
    assert "give both" in await refusal(source, media=source)
    assert "is not there" in await refusal(source, media=source, media_files=tmp_path / "nowhere")
    assert "database of Dendrite's media" in await refusal(source, media=source, media_files=tmp_path)
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
            room.send(ALICE, "m.room.topic", {"topic": f"topic {number}"}, "")
            room.send(ALICE, "m.room.message", {"body": "a message"})
    changes = StateReader.changes
    calls = iter(range(1000))

    def forget_one(self: StateReader, db: Db, old: SourceState, new: SourceState) -> dict[int, int | None]:
        found = changes(self, db, old, new)
        return {} if next(calls) == 6 else found

    monkeypatch.setattr(StateReader, "changes", forget_one)
    assert "The import is wrong: state snapshot" in await refusal(source)
