"""A model of Synapse's layout.

A state group's rows are its changes to the group before it, as text; after a chain of 100 such groups, and where an
entry went away, they are the whole state. To read, the chain is walked until a group without a predecessor.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import ClassVar, Final

from state_layouts.layout import Addition, Difference, Layout, StateTuple, difference

MOST_HOPS: Final = 100
ROOM: Final = "!room:example.org"
SCHEMA: Final = (
    "CREATE TABLE state_groups (id BIGINT PRIMARY KEY, room_id TEXT NOT NULL, event_id TEXT NOT NULL)",
    "CREATE INDEX state_groups_room_id_idx ON state_groups (room_id)",
    "CREATE TABLE state_group_edges (state_group BIGINT NOT NULL, prev_state_group BIGINT NOT NULL)",
    "CREATE UNIQUE INDEX state_group_edges_unique_idx ON state_group_edges (state_group, prev_state_group)",
    "CREATE INDEX state_group_edges_prev_idx ON state_group_edges (prev_state_group)",
    "CREATE TABLE state_groups_state (state_group BIGINT NOT NULL, room_id TEXT NOT NULL, type TEXT NOT NULL,"
    " state_key TEXT NOT NULL, event_id TEXT NOT NULL)",
    "CREATE INDEX state_groups_state_type_idx ON state_groups_state (state_group, type, state_key)",
)


class Synapse(Layout):
    tables: ClassVar = ("state_groups", "state_group_edges", "state_groups_state")

    def __init__(self, db: sqlite3.Connection, tuples: Sequence[StateTuple]) -> None:
        super().__init__(db, tuples)
        self._numbers = {state_tuple: number for number, state_tuple in enumerate(tuples, 1)}
        self._events: dict[str, int] = {}
        self._hops: dict[int, int] = {}
        for statement in SCHEMA:
            db.execute(statement)

    def add(self, addition: Addition) -> int:
        group = len(self._hops) + 1
        self._hops[group] = 0 if addition.base is None else self._hops[addition.base] + 1
        rows = addition.changes
        if self._hops[group] > MOST_HOPS or 0 in addition.changes.values():
            self._hops[group], rows = 0, addition.after
        latest = self._event_id(max(addition.changes.values()))
        self.db.execute("INSERT INTO state_groups VALUES (?, ?, ?)", (group, ROOM, latest))
        if self._hops[group]:
            self.db.execute("INSERT INTO state_group_edges VALUES (?, ?)", (group, addition.base))
        self.db.executemany(
            "INSERT INTO state_groups_state VALUES (?, ?, ?, ?, ?)",
            [(group, ROOM, *self.tuples[number - 1], self._event_id(event)) for number, event in rows.items()],
        )
        return group

    def read(self, snapshot: int) -> dict[int, int]:
        state: dict[int, int] = {}
        for group in self._chain(snapshot):
            state = {**self._rows_of(group), **state}
        return state

    def find(self, snapshot: int, tuple_number: int) -> int | None:
        for group in self._chain(snapshot):
            row = self.db.execute(
                "SELECT event_id FROM state_groups_state WHERE state_group = ? AND type = ? AND state_key = ?",
                (group, *self.tuples[tuple_number - 1]),
            ).fetchone()
            if row is not None:
                return self._events[row[0]]
        return None

    def diff(self, old: int, new: int) -> Difference:
        if self._previous(new) != old:
            return super().diff(old, new)
        after = self._rows_of(new)
        before = {number: event for number in after if (event := self.find(old, number)) is not None}
        return difference(before, after)

    def _chain(self, group: int | None) -> Iterator[int]:
        while group is not None:
            yield group
            group = self._previous(group)

    def _previous(self, group: int) -> int | None:
        row = self.db.execute(
            "SELECT prev_state_group FROM state_group_edges WHERE state_group = ?", (group,)
        ).fetchone()
        return None if row is None else int(row[0])

    def _rows_of(self, group: int) -> dict[int, int]:
        rows = self.db.execute(
            "SELECT type, state_key, event_id FROM state_groups_state WHERE state_group = ?", (group,)
        )
        return {
            self._numbers[event_type, state_key]: self._events[event_id] for event_type, state_key, event_id in rows
        }

    def _event_id(self, event: int) -> str:
        event_id = "$" + sha256(b"%d" % event).hexdigest()[:43]
        self._events[event_id] = event
        return event_id
