"""A database of the first schema version becomes compact: killed at any moment, it goes on, and loses nothing."""

import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from public_room import PublicRoom

from tabstead.protocol.events import Event
from tabstead.protocol.room_versions import ROOM_VERSIONS
from tabstead.rooms.persist import relation_of
from tabstead.storage.database import Database, Db
from tabstead.storage.engine import run_transaction
from tabstead.storage.events import get_event, select_events
from tabstead.storage.migrations import MIGRATIONS, compact_rows, migrate_step
from tabstead.storage.receipts import select_receipts
from tabstead.storage.relations import find_relation

EVENTS = 1500
VERSIONS = ("1", "3", "10", "12")
"""What differs in how events are kept: hashes beside references, standard base64, URL-safe base64, no room_id."""


def open_file(path: Path) -> Db:
    return sqlite3.connect(path, isolation_level=None)


def write_old_database(path: Path, version: str, count: int) -> list[Event]:
    """A database as the first version of the schema had it; its events, which have the event_nids 1, 2, …"""
    db = open_file(path)
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("BEGIN")
    MIGRATIONS[0](db)
    db.execute("PRAGMA application_id = 0x54616273")
    db.execute("PRAGMA user_version = 1")
    events = [event for _, event in PublicRoom(version=ROOM_VERSIONS[version]).events(count)]
    db.execute("INSERT INTO rooms (room_id, room_version) VALUES (?, ?)", (events[0].room_id, version))
    for position, event in enumerate(events, 1):
        insert_old_event(db, event, position)
        insert_old_marks(db, event, position)
    db.execute("COMMIT")
    db.close()
    return events


def insert_old_event(db: Db, event: Event, position: int) -> None:
    if event.is_state:
        db.execute("INSERT OR IGNORE INTO state_tuples (type, state_key) VALUES (?, ?)", event.state_tuple)
        found = db.execute("SELECT tuple_nid FROM state_tuples WHERE type = ? AND state_key = ?", event.state_tuple)
    tuple_nid = found.fetchone()[0] if event.is_state else None
    db.execute(
        "INSERT INTO events (event_id, room_nid, stream_position, depth, type, tuple_nid, sender, origin_server_ts,"
        " state_before, transaction_id, pdu) VALUES (?, 1, ?, ?, ?, ?, ?, ?, 64, ?, ?)",
        (
            event.event_id,
            position,
            event.depth,
            event.type,
            tuple_nid,
            event.sender,
            event.origin_server_ts,
            f"m{position}",
            json.dumps(event.pdu, ensure_ascii=False, separators=(",", ":")),
        ),
    )
    relation = relation_of(event)
    if relation is not None:
        db.execute("INSERT INTO event_relations VALUES (?, ?, ?, ?)", (position, *relation))


def insert_old_marks(db: Db, event: Event, position: int) -> None:
    """What follows from the event: a membership, a private and a public receipt of its sender's, a notification."""
    if event.type == "m.room.member":
        row = (event.state_key, event.membership, position, position)
        db.execute("INSERT OR REPLACE INTO memberships VALUES (?, 1, ?, ?, ?, 7, 0)", row)
    elif position % 3 == 0:
        receipt = (position, event.sender, "m.read", "", event.event_id, position)
        db.execute("INSERT OR REPLACE INTO receipts VALUES (?, 1, ?, ?, ?, ?, ?, 99)", receipt)
        db.execute("INSERT INTO push_actions VALUES (?, 1, ?, 'main', 1, 0, '0')", (event.sender, position))
    elif position % 3 == 1:
        receipt = (position, event.sender, "m.read.private", "main", event.event_id, position)
        db.execute("INSERT OR REPLACE INTO receipts VALUES (?, 1, ?, ?, ?, ?, ?, 99)", receipt)


def bytes_of_events(path: Path) -> int:
    db = open_file(path)
    (found,) = db.execute(
        "SELECT SUM(d.pgsize) FROM dbstat d JOIN sqlite_schema s USING (name)"
        " WHERE s.tbl_name IN ('events', 'event_relations')"
    ).fetchone()
    db.close()
    return int(found)


def marks(db: Db, users: str) -> list[list[object]]:
    """All memberships, receipts and push actions, the old ones or, with the right `users`, the new ones."""
    tables = (
        f"SELECT {users}, room_nid, membership, event_nid, stream_position, joined_until FROM memberships x",
        f"SELECT {users}, stream_position, thread_id, event_position, ts FROM receipts x",
        f"SELECT {users}, room_nid, event_position, thread_id, unread, actions FROM push_actions x",
    )
    return [sorted(db.execute(sql).fetchall()) for sql in tables]


def kill_after(db: Db, steps: int) -> None:
    """Let SQLite stop after so many thousand steps of its machine."""
    left = iter(range(steps))
    db.set_progress_handler(lambda: next(left, None) is None, 1000)


def migrate(path: Path, deaths: Iterator[int]) -> int:
    """Migrate, with a new connection after each death; how many slices it took."""
    slices = 0
    while True:
        db = open_file(path)
        steps = next(deaths, None)
        if steps is not None:
            kill_after(db, steps)
        try:
            while not run_transaction(db, "BEGIN IMMEDIATE", migrate_step):
                slices += 1
            return slices
        except sqlite3.OperationalError as error:
            assert "interrupt" in str(error)
        finally:
            db.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_lost_however_often_it_is_killed(version: str, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    events = write_old_database(path, version, EVENTS)
    before = path.stat().st_size, bytes_of_events(path)
    db = open_file(path)
    old_marks = marks(db, "user_id")
    db.close()
    chance = random.Random(version)

    slices = migrate(path, iter([chance.randrange(400) for _ in range(20)]))

    assert slices >= 3
    db = open_file(path)
    stored = select_events(db, range(1, EVENTS + 1))
    assert [each.event for each in stored.values()] == events
    assert [each.stream_position for each in stored.values()] == list(range(1, EVENTS + 1))
    for event in events:
        relation = relation_of(event)
        assert find_relation(db, event.event_id) == (None if relation is None else relation[:2])
    assert [row[0] for row in db.execute("SELECT transaction_id FROM events")] == [f"m{n}" for n in stored]
    assert marks(db, "(SELECT state_key FROM state_tuples WHERE tuple_nid = x.user_nid)") == old_marks
    receipts = [
        receipt for user_id in {event.sender for event in events} for receipt in select_receipts(db, 1, user_id)
    ]
    assert {receipt.receipt_type for receipt in receipts} == {"m.read", "m.read.private"}
    assert all(receipt.event_id == events[receipt.event_position - 1].event_id for receipt in receipts)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'old%'").fetchall() == []
    assert db.execute("PRAGMA freelist_count").fetchone() == (0,)
    db.close()
    assert path.stat().st_size < before[0]
    assert bytes_of_events(path) < before[1] * (0.7 if version == "1" else 0.4)


def test_old_rows_stay_where_the_new_ones_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = write_old_database(tmp_path / "old.db", "12", 40)
    monkeypatch.setattr(compact_rows, "decode_event_id", lambda id_key, id_rest: "$wrong")
    db = open_file(tmp_path / "old.db")
    with pytest.raises(compact_rows.RowsDiffer):
        run_transaction(db, "BEGIN IMMEDIATE", migrate_step)
    assert db.execute("SELECT COUNT(*) FROM events").fetchone() == (40,)
    monkeypatch.undo()
    run_transaction(db, "BEGIN IMMEDIATE", migrate_step)
    assert get_event(db, 40).event == events[-1]
    db.close()


async def test_whoever_opens_it_is_told_how_far_it_is(tmp_path: Path) -> None:
    write_old_database(tmp_path / "old.db", "12", EVENTS)
    shares: list[float] = []
    database = await Database.open(tmp_path / "old.db", progress=shares.append)
    await database.close()
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert shares[-1] == 1


async def test_a_current_database_has_no_progress_to_tell(tmp_path: Path) -> None:
    for told in ([], []):
        database = await Database.open(tmp_path / "new.db", progress=told.append)
        await database.close()
        assert told == []
