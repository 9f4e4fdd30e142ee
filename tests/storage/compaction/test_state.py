"""The compaction of the state history beside a dictionary per snapshot: what is in use reads as before."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabstead.protocol.events import load_event
from tabstead.protocol.identifiers import EventID, RoomID, StateTuple
from tabstead.protocol.room_versions import get_room_version
from tabstead.storage import state_chunks, state_history, state_segments
from tabstead.storage.compaction.slices import START, Circumstances, Position
from tabstead.storage.compaction.state import note_references, sweep_epochs
from tabstead.storage.events import Standing, insert_event
from tabstead.storage.migrations import migrate_step
from tabstead.storage.positions import next_position
from tabstead.storage.rooms import Room, insert_room, update_state_snapshot
from tabstead.storage.state_history import EMPTY, add_snapshot, diff, find_state_events, read_state

VERSION = get_room_version("12")
NOW = Circumstances(now_ms=0)

State = dict[StateTuple, int]


def member(number: int) -> StateTuple:
    return "m.room.member", f"@user{number}:tab.test"


def open_database() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    while not migrate_step(db):
        pass
    return db


@dataclass
class History:
    """A room's history, with the state that each snapshot in use must have."""

    db: sqlite3.Connection
    room: Room
    in_use: dict[int, State] = field(default_factory=lambda: {EMPTY: {}})
    position: Position | None = START
    noting: Position | None = START

    @classmethod
    def begin(cls) -> "History":
        db = open_database()
        return cls(db=db, room=insert_room(db, RoomID("!a:b"), VERSION))

    def add(
        self,
        base: int,
        changes: dict[int, int | None],
        *,
        is_used: bool,
        on: dict[StateTuple, int | None] | State | None = None,
    ) -> int:
        """A snapshot that an event refers to, or none does. `on` is the state of a base that isn't in use."""
        named = {member(number): event_nid for number, event_nid in changes.items()}
        snapshot = add_snapshot(self.db, self.room.room_nid, base, named)
        if is_used and snapshot != EMPTY:
            merged = {**(self.in_use[base] if on is None else on), **named}
            state = {key: event_nid for key, event_nid in merged.items() if event_nid is not None}
            assert self.in_use.setdefault(snapshot, state) == state
            self.refer(snapshot)
        return snapshot

    def refer(self, snapshot: int) -> None:
        position = next_position(self.db)
        pdu = {"type": "m", "content": {}, "sender": "@a:b", "origin_server_ts": 1, "depth": 1, "room_id": "!a:b"}
        pdu |= {"prev_events": [], "auth_events": [], "hashes": {}, "signatures": {}}
        event = load_event(pdu, event_id=EventID(f"${position}"), room_version=VERSION)
        insert_event(
            self.db,
            self.room,
            event,
            stream_position=position,
            standing=Standing.ACCEPTED,
            state_before=snapshot,
        )

    def compact(self, limit: int, *, killed: bool = False) -> bool:
        """A slice. Whether the round is over. Killed, it leaves nothing."""
        self.db.execute("BEGIN")
        if self.noting is not None:
            progress = note_references(self.db, self.noting, limit, NOW)
        else:
            progress = sweep_epochs(self.db, self.position or START, limit, NOW)
        assert progress.used > 0 or progress.position is None
        self.db.execute("ROLLBACK" if killed else "COMMIT")
        if killed:
            return False
        if self.noting is not None:
            self.noting = progress.position
            return False
        self.position = progress.position
        return progress.position is None

    def compact_all(self, limit: int) -> None:
        while not self.compact(limit):
            pass

    def check(self) -> None:
        for snapshot, state in self.in_use.items():
            assert read_state(self.db, snapshot) == state
            assert find_state_events(self.db, snapshot, [member(number) for number in range(100)]) == state

    def count(self, table: str) -> int:
        return int(self.db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


@pytest.fixture
def history() -> Iterator[History]:
    history = History.begin()
    yield history
    history.db.close()


def make_all_small(patch: pytest.MonkeyPatch) -> None:
    """A few dozen snapshots have many epochs, forks, and chunks."""
    patch.setattr(state_history, "_SPARE_ENTRIES", 4)
    patch.setattr(state_history, "_NEAR", 2)
    patch.setattr(state_segments, "_CHANGES", 6)
    patch.setattr(state_chunks, "_CHUNK", 4)
    patch.setattr(state_chunks, "_WORTH_DROPPING", 1000)


def test_forks_that_nothing_refers_to_are_deleted(history: History) -> None:
    base = history.add(EMPTY, {number: number + 1 for number in range(30)}, is_used=True)
    tip = base
    for event_nid in range(100, 200):
        tip = history.add(tip, {event_nid % 30: event_nid}, is_used=True)
    for fork in range(20):
        snapshot = base
        for step in range(70):
            snapshot = history.add(snapshot, {step % 30: 1000 * fork + step + 1000}, is_used=False)
    epochs, chunks = history.count("state_epochs"), history.count("state_chunks")

    history.compact_all(limit=5)
    assert epochs == 21
    assert history.count("state_epochs") == 2, "the line, and the youngest epoch"
    assert history.count("state_chunks") <= chunks - 19
    history.check()


def test_what_only_dead_snapshots_see_is_dropped(history: History) -> None:
    """A thousand changes, of which events have seen every hundredth."""
    snapshot = history.add(EMPTY, {number: number + 1 for number in range(100)}, is_used=True)
    state = history.in_use[snapshot]
    random = Random(1)
    for event_nid in range(1000, 6000):
        number = random.randrange(100)
        snapshot = add_snapshot(history.db, history.room.room_nid, snapshot, {member(number): event_nid})
        state = {**state, member(number): event_nid}
        if event_nid % 100 == 0:
            history.in_use[snapshot] = state
            history.refer(snapshot)
    update_state_snapshot(history.db, history.room.room_nid, snapshot)
    sizes = "SELECT SUM(LENGTH(entries)) FROM state_chunks"
    (before,) = history.db.execute(sizes).fetchone()

    history.compact_all(limit=3)
    (after,) = history.db.execute(sizes).fetchone()
    assert after < before * 0.75
    update_state_snapshot(history.db, history.room.room_nid, EMPTY)  # it was read from current_state, which is empty
    history.check()


def test_a_round_that_finds_nothing_new_writes_nothing(history: History) -> None:
    snapshot = EMPTY
    for event_nid in range(1, 700):
        snapshot = history.add(snapshot, {event_nid % 20: event_nid}, is_used=True)
    history.compact_all(limit=10)
    changes = history.db.total_changes

    history.noting = history.position = START
    history.compact_all(limit=10)
    assert history.db.total_changes == changes


def test_a_dead_snapshot_that_comes_into_use_again_is_right(history: History) -> None:
    """Equal states are searched for among the dead, too, before, while and after they are swept."""
    base = history.add(EMPTY, {number: number + 1 for number in range(20)}, is_used=True)
    tip = base
    for event_nid in range(100, 900):
        tip = add_snapshot(history.db, history.room.room_nid, tip, {member(event_nid % 20): event_nid})
    last = history.db.execute("SELECT COUNT(*) FROM state_segments").fetchone()[0]
    assert last > 10
    while not history.compact(limit=3):
        history.add(base, {event_nid % 20: event_nid for event_nid in range(100, 120)}, is_used=True)
        history.check()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_is_compacted_between_what_is_in_use_reads_as_before(seed: int) -> None:
    """Runs of changes, on the newest state or on any older one in use; events see some of them, mostly the last."""
    random = Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        make_all_small(patch)
        history = History.begin()
        for run in range(40):
            base = random.choice([*history.in_use][-1:] if random.random() < 0.6 else [*history.in_use])
            changes: dict[StateTuple, int | None] = {}
            snapshot = base
            for _ in range(random.randrange(1, 12)):
                change = {random.randrange(7): random.choice([None, *range(1, 30)])}
                used = random.random() < 0.2
                snapshot = history.add(snapshot, change, on=history.in_use[base] | changes, is_used=used)
                changes |= {member(number): event_nid for number, event_nid in change.items()}
            while random.random() < 0.7:
                if history.compact(random.randint(2, 9), killed=random.random() < 0.2):
                    history.noting = START
            if run % 8 == 0:
                history.check()
        history.compact_all(limit=2)
        history.check()
        snapshots = list(history.in_use)
        for _ in range(10):
            old, new = random.choice(snapshots), random.choice(snapshots)
            before, after = history.in_use[old], history.in_use[new]
            assert diff(history.db, old, new) == {
                key: (before.get(key), after.get(key))
                for key in {**before, **after}
                if before.get(key) != after.get(key)
            }
        distinct = {frozenset(state.items()) for state in history.in_use.values()}
        assert len(distinct) == len(snapshots), "equal states share a snapshot"
        assert history.db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        history.db.close()
