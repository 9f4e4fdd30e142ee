"""Tabstead's own: `tabstead.storage.state_history`."""

import sqlite3
from collections.abc import Sequence
from typing import ClassVar

from state_layouts.layout import Addition, Difference, Layout, StateTuple
from tabstead.protocol.identifiers import RoomID
from tabstead.protocol.room_versions import get_room_version
from tabstead.storage.migrations import migrate_step
from tabstead.storage.rooms import insert_room
from tabstead.storage.state_history import EMPTY, add_snapshot, diff_entries, find_state_event, read_entries
from tabstead.storage.state_tuples import intern_state_tuple


class Tabstead(Layout):
    tables: ClassVar = ("state_epochs", "state_segments", "state_chunks")

    def __init__(self, db: sqlite3.Connection, tuples: Sequence[StateTuple]) -> None:
        super().__init__(db, tuples)
        while not migrate_step(db):
            pass
        self._room_nid = insert_room(db, RoomID("!room:example.org"), get_room_version("11")).room_nid
        for number, state_tuple in enumerate(tuples, 1):
            assert intern_state_tuple(db, state_tuple) == number

    def add(self, addition: Addition) -> int:
        changes = {self.tuples[number - 1]: event or None for number, event in addition.changes.items()}
        return add_snapshot(self.db, self._room_nid, addition.base or EMPTY, changes)

    def read(self, snapshot: int) -> dict[int, int]:
        return read_entries(self.db, snapshot)

    def find(self, snapshot: int, tuple_number: int) -> int | None:
        return find_state_event(self.db, snapshot, *self.tuples[tuple_number - 1])

    def diff(self, old: int, new: int) -> Difference:
        return diff_entries(self.db, old, new)
