"""The state history against a plain dictionary per snapshot."""

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabstead.protocol.identifiers import RoomID, StateTuple
from tabstead.protocol.room_versions import get_room_version
from tabstead.storage.migrations import migrate_step
from tabstead.storage.rooms import insert_room
from tabstead.storage.state_history import (
    EMPTY,
    add_snapshot,
    diff,
    find_state_event,
    find_state_events,
    read_state,
)

NAME: StateTuple = ("m.room.name", "")
TOPIC: StateTuple = ("m.room.topic", "")


def open_database() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    while not migrate_step(db):
        pass
    return db


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = open_database()
    yield db
    db.close()


@pytest.fixture
def room_nid(db: sqlite3.Connection) -> int:
    return insert_room(db, RoomID("!a:b"), get_room_version("12")).room_nid


def member(number: int) -> StateTuple:
    return "m.room.member", f"@user{number}:tab.test"


def test_a_snapshot_is_its_base_with_the_changes(db: sqlite3.Connection, room_nid: int) -> None:
    first = add_snapshot(db, room_nid, EMPTY, {NAME: 1, TOPIC: 2})
    second = add_snapshot(db, room_nid, first, {NAME: 3, member(1): 4})
    third = add_snapshot(db, room_nid, second, {TOPIC: None})

    assert read_state(db, EMPTY) == {}
    assert read_state(db, first) == {NAME: 1, TOPIC: 2}
    assert read_state(db, second) == {NAME: 3, TOPIC: 2, member(1): 4}
    assert read_state(db, third) == {NAME: 3, member(1): 4}
    assert read_state(db, second, ["m.room.member"]) == {member(1): 4}
    assert find_state_event(db, third, *TOPIC) is None
    assert find_state_event(db, third, "m.never", "seen") is None
    assert find_state_events(db, second, [NAME, TOPIC, member(2)]) == {NAME: 3, TOPIC: 2}


def test_what_changes_nothing_is_the_same_snapshot(db: sqlite3.Connection, room_nid: int) -> None:
    first = add_snapshot(db, room_nid, EMPTY, {NAME: 1})

    assert add_snapshot(db, room_nid, first, {}) == first
    assert add_snapshot(db, room_nid, first, {NAME: 1, TOPIC: None}) == first
    assert add_snapshot(db, room_nid, first, {NAME: None}) == EMPTY


def test_equal_states_share_a_snapshot_whatever_path_led_there(db: sqlite3.Connection, room_nid: int) -> None:
    by_name = add_snapshot(db, room_nid, add_snapshot(db, room_nid, EMPTY, {NAME: 1}), {TOPIC: 2})
    by_topic = add_snapshot(db, room_nid, add_snapshot(db, room_nid, EMPTY, {TOPIC: 2}), {NAME: 1})
    there_and_back = add_snapshot(db, room_nid, add_snapshot(db, room_nid, by_name, {NAME: 9}), {NAME: 1})

    assert by_name == by_topic == there_and_back


def test_sharing_never_decides_which_event_wins(db: sqlite3.Connection, room_nid: int) -> None:
    """A later change back to an older event must not lose against the newer one in between."""
    snapshot = add_snapshot(db, room_nid, EMPTY, {NAME: 5, member(1): 1})
    for event_nid in (7, 6, 8, 5):
        snapshot = add_snapshot(db, room_nid, snapshot, {NAME: event_nid, member(event_nid): event_nid})
        assert read_state(db, snapshot)[NAME] == event_nid


def test_rooms_do_not_share(db: sqlite3.Connection, room_nid: int) -> None:
    other = insert_room(db, RoomID("!c:d"), get_room_version("12")).room_nid

    assert add_snapshot(db, room_nid, EMPTY, {NAME: 1}) != add_snapshot(db, other, EMPTY, {NAME: 1})


def test_forks_of_forks_are_read_through_all_that_is_beneath(db: sqlite3.Connection, room_nid: int) -> None:
    """Each goes on from far behind the end of the one before, more often than epochs may lie on one another."""
    base = add_snapshot(db, room_nid, EMPTY, {member(number): number for number in range(1, 100)})
    model = read_state(db, base)
    event_nid = 100
    expected = {base: model}
    for fork in range(12):
        snapshot, state = base, model
        for step in range(40):
            event_nid += 1
            gone = member(fork * 2 + 1) if step == 1 else None
            changes: dict[StateTuple, int | None] = {member(event_nid * 7 % 120): event_nid}
            if gone is not None:
                changes[gone] = None
            snapshot = add_snapshot(db, room_nid, snapshot, changes)
            merged = {**state, **changes}
            state = {key: nid for key, nid in merged.items() if nid is not None}
            expected[snapshot] = state
            if step == 5:
                base, model = snapshot, state

    (depth,) = db.execute("SELECT MAX(depth) FROM state_epochs").fetchone()
    assert depth == 8
    for snapshot, state in expected.items():
        assert read_state(db, snapshot) == state
        assert find_state_events(db, snapshot, [member(number) for number in range(120)]) == state


def test_a_long_history_costs_few_bytes_per_snapshot(db: sqlite3.Connection, room_nid: int) -> None:
    snapshot = add_snapshot(db, room_nid, EMPTY, {member(number): number for number in range(1, 501)})
    first = snapshot
    for event_nid in range(501, 5501):
        snapshot = add_snapshot(db, room_nid, snapshot, {member(event_nid * 7919 % 500 + 1): event_nid})

    (segments,) = db.execute("SELECT SUM(40 + LENGTH(hashes) + LENGTH(log)) FROM state_segments").fetchone()
    (chunks,) = db.execute("SELECT SUM(20 + LENGTH(entries)) FROM state_chunks").fetchone()
    assert (segments + chunks) / 5000 < 20
    assert read_state(db, first) == {member(number): number for number in range(1, 501)}


def test_differences(db: sqlite3.Connection, room_nid: int) -> None:
    first = add_snapshot(db, room_nid, EMPTY, {NAME: 1, TOPIC: 2})
    second = add_snapshot(db, room_nid, first, {NAME: 3, TOPIC: None, member(1): 4})

    assert diff(db, first, first) == {}
    assert diff(db, first, second) == {NAME: (1, 3), TOPIC: (2, None), member(1): (None, 4)}
    assert diff(db, second, first) == {NAME: (3, 1), TOPIC: (None, 2), member(1): (4, None)}
    assert diff(db, EMPTY, first) == {NAME: (None, 1), TOPIC: (None, 2)}


Step = tuple[int, dict[int, int | None]]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.dictionaries(st.integers(0, 6), st.one_of(st.none(), st.integers(1, 30)), min_size=1, max_size=4),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_every_snapshot_of_any_history_reads_as_the_dictionary_it_stands_for(steps: list[Step]) -> None:
    """Each step branches off any earlier snapshot."""
    db = open_database()
    room_nid = insert_room(db, RoomID("!a:b"), get_room_version("12")).room_nid
    models: list[tuple[int, dict[StateTuple, int]]] = [(EMPTY, {})]
    for base_index, changes in steps:
        base, model = models[base_index % len(models)]
        named = {member(number): event_nid for number, event_nid in changes.items()}
        merged = {**model, **named}
        after = {key: event_nid for key, event_nid in merged.items() if event_nid is not None}
        models.append((add_snapshot(db, room_nid, base, named), after))

    snapshots: dict[int, dict[StateTuple, int]] = {}
    for snapshot, model in models:
        assert snapshots.setdefault(snapshot, model) == model
        assert read_state(db, snapshot) == model
        for number in range(7):
            assert find_state_event(db, snapshot, *member(number)) == model.get(member(number))
    assert len({frozenset(model.items()) for model in snapshots.values()}) == len(snapshots)
    (old, old_model), (new, new_model) = models[len(models) // 2], models[-1]
    expected = {
        key: (old_model.get(key), new_model.get(key))
        for key in {**old_model, **new_model}
        if old_model.get(key) != new_model.get(key)
    }
    assert diff(db, old, new) == expected
    db.close()
