"""What several snapshots do not agree on is found in what changed since they parted, and is what the wholes say."""

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from tabstead.protocol.identifiers import EventID, RoomID, StateTuple
from tabstead.protocol.room_versions import get_room_version
from tabstead.protocol.state_resolution import find_conflict as find_conflict_of_wholes
from tabstead.storage.migrations import migrate_step
from tabstead.storage.rooms import insert_room
from tabstead.storage.state_history import EMPTY, add_snapshot, diff, find_conflict, read_state

CHANGES = st.dictionaries(
    st.tuples(st.just("type"), st.sampled_from("abcdefgh")), st.one_of(st.none(), st.integers(1, 4)), max_size=3
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), CHANGES), min_size=2, max_size=20), st.data())
def test_a_conflict_and_a_difference_are_those_of_the_whole_states(
    steps: list[tuple[int, dict[StateTuple, int | None]]], data: st.DataObject
) -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    while not migrate_step(db):
        pass
    room = insert_room(db, RoomID("!room"), get_room_version("12"))
    snapshots = [EMPTY]
    for back, changes in steps:
        snapshots.append(add_snapshot(db, room.room_nid, snapshots[-1 - back % len(snapshots)], changes))

    chosen = data.draw(st.lists(st.sampled_from(snapshots), min_size=2, max_size=4))
    wholes = [read_state(db, snapshot) for snapshot in chosen]
    named = [{key: EventID(str(event_nid)) for key, event_nid in whole.items()} for whole in wholes]
    expected = find_conflict_of_wholes(named).conflicted
    found = find_conflict(db, chosen)
    assert [{key: str(event_nid) for key, event_nid in state.items()} for state in found] == expected

    before, after = wholes[:2]
    assert diff(db, *chosen[:2]) == {
        key: (before.get(key), after.get(key)) for key in {**before, **after} if before.get(key) != after.get(key)
    }
    db.close()
