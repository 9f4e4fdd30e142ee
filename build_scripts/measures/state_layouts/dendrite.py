"""A model of Dendrite's layout since 0.4.0.

A block is a sorted list of event numbers, a snapshot a sorted list of block numbers, both as JSON under a unique hash
of it. A state event adds a block of one event to the blocks before it, up to 64; then, and after state resolution, the
whole state is written as one block. To read, the later block overrides the earlier one, by number: that is why a block
which equals an older one loses against a whole state written since. What an event is about, the table of events tells.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import ClassVar, Final

from state_layouts.layout import Addition, Layout, StateTuple

MOST_BLOCKS: Final = 64
MOST_VARIABLES: Final = 999


class Dendrite(Layout):
    tables: ClassVar = ("roomserver_state_block", "roomserver_state_snapshots")

    def __init__(self, db: sqlite3.Connection, tuples: Sequence[StateTuple]) -> None:
        super().__init__(db, tuples)
        db.execute(
            "CREATE TEMP TABLE roomserver_events (event_nid INTEGER PRIMARY KEY, event_type_nid INTEGER NOT NULL,"
            " event_state_key_nid INTEGER NOT NULL)"
        )
        db.execute(
            "CREATE TABLE roomserver_state_block (state_block_nid INTEGER PRIMARY KEY AUTOINCREMENT,"
            " state_block_hash BLOB UNIQUE, event_nids TEXT NOT NULL DEFAULT '[]')"
        )
        db.execute(
            "CREATE TABLE roomserver_state_snapshots (state_snapshot_nid INTEGER PRIMARY KEY AUTOINCREMENT,"
            " state_snapshot_hash BLOB UNIQUE, room_nid INTEGER NOT NULL, state_block_nids TEXT NOT NULL DEFAULT '[]')"
        )

    def add(self, addition: Addition) -> int:
        self.db.executemany(
            "INSERT OR IGNORE INTO roomserver_events VALUES (?, 1, ?)",
            [(event, number) for number, event in addition.changes.items() if event],
        )
        blocks = [] if addition.base is None else self._blocks_of(addition.base)
        if addition.resolved or len(blocks) >= MOST_BLOCKS or 0 in addition.changes.values():
            blocks = [self._add_block(addition.after.values())]
        else:
            blocks.append(self._add_block(addition.changes.values()))
        encoded, key = _encode(blocks)
        return self._add_unique(
            "INSERT INTO roomserver_state_snapshots (state_snapshot_hash, state_block_nids, room_nid) VALUES (?, ?, 1)"
            " ON CONFLICT (state_snapshot_hash) DO UPDATE SET room_nid = 1 RETURNING state_snapshot_nid",
            (key, encoded),
        )

    def read(self, snapshot: int) -> dict[int, int]:
        blocks = json.dumps(self._blocks_of(snapshot))
        rows = self.db.execute(
            "SELECT event_nids FROM roomserver_state_block WHERE state_block_nid IN (SELECT value FROM json_each(?))"
            " ORDER BY state_block_nid",
            (blocks,),
        )
        state: dict[int, int] = {}
        for (events,) in rows.fetchall():
            state.update(self._entries_of(json.loads(events)))
        return state

    def _entries_of(self, events: list[int]) -> Iterator[tuple[int, int]]:
        for some in _in_pieces(events):
            variables = ",".join("?" * len(some))
            yield from self.db.execute(
                f"SELECT event_state_key_nid, event_nid FROM roomserver_events WHERE event_nid IN ({variables})", some
            )

    def _blocks_of(self, snapshot: int) -> list[int]:
        (encoded,) = self.db.execute(
            "SELECT state_block_nids FROM roomserver_state_snapshots WHERE state_snapshot_nid = ?", (snapshot,)
        ).fetchone()
        blocks: list[int] = json.loads(encoded)
        return blocks

    def _add_block(self, events: Iterable[int]) -> int:
        encoded, key = _encode(events)
        return self._add_unique(
            "INSERT INTO roomserver_state_block (state_block_hash, event_nids) VALUES (?, ?)"
            " ON CONFLICT (state_block_hash) DO UPDATE SET event_nids = excluded.event_nids RETURNING state_block_nid",
            (key, encoded),
        )

    def _add_unique(self, sql: str, parameters: tuple[bytes, str]) -> int:
        return int(self.db.execute(sql, parameters).fetchone()[0])


def _in_pieces(events: list[int]) -> Iterator[list[int]]:
    for at in range(0, len(events), MOST_VARIABLES):
        yield events[at : at + MOST_VARIABLES]


def _encode(numbers: Iterable[int]) -> tuple[str, bytes]:
    """A sorted list without repetitions as JSON, and its hash."""
    encoded = json.dumps(sorted(set(numbers)), separators=(",", ":"))
    return encoded, blake2b(encoded.encode(), digest_size=32).digest()
