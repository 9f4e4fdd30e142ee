"""A model of Conduit's layout, in SQLite.

A state is a set of 16-byte entries (state key, event), each a layer's difference to the layer beneath: added and
removed ones. There are at most four layers; one that has become too big for the one beneath is folded into it, by a
rule that compares their sizes. A table of hashes finds equal states. There a hash is made of all entries at each
write; here it is as long and made of the changes, which takes less time than Conduit does.
"""

import sqlite3
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Final, TypeAlias

from state_layouts.layout import Addition, Layout, StateTuple

Entries: TypeAlias = frozenset[tuple[int, int]]

MOST_LAYERS: Final = 4
FORK_ALLOWANCE: Final = 2
"""How many sibling states of the same size a layer is expected to have."""
RECENT: Final = 8
"""Snapshots whose layers a write finds in memory."""
SEPARATOR: Final = bytes(8)


@dataclass(frozen=True, slots=True)
class Layer:
    snapshot: int
    added: Entries
    removed: Entries

    @property
    def size(self) -> int:
        return len(self.added) + len(self.removed)


class Conduit(Layout):
    tables: ClassVar = ("shortstatehash_statediff", "statehash_shortstatehash")

    def __init__(self, db: sqlite3.Connection, tuples: Sequence[StateTuple]) -> None:
        super().__init__(db, tuples)
        db.execute("CREATE TABLE shortstatehash_statediff (shortstatehash INTEGER PRIMARY KEY, diff BLOB NOT NULL)")
        db.execute(
            "CREATE TABLE statehash_shortstatehash (hash BLOB PRIMARY KEY, shortstatehash INTEGER NOT NULL)"
            " WITHOUT ROWID"
        )
        self._count = 0
        self._sums = {0: 0}
        self._recent: dict[int, list[Layer]] = {}

    def add(self, addition: Addition) -> int:
        before = {(number, addition.before[number]) for number in addition.changes if number in addition.before}
        after = {(number, addition.after[number]) for number in addition.changes if number in addition.after}
        total = self._sums[addition.base or 0] + sum(map(_hash, after)) - sum(map(_hash, before))
        key = (total % 2**256).to_bytes(32, "big")
        equal = self.db.execute("SELECT shortstatehash FROM statehash_shortstatehash WHERE hash = ?", (key,)).fetchone()
        if equal is not None:
            return int(equal[0])
        self._count += 1
        self._sums[self._count] = total
        self.db.execute("INSERT INTO statehash_shortstatehash VALUES (?, ?)", (key, self._count))
        layers = self._recent.get(addition.base or 0) or self._layers_of(addition.base or 0)
        self._recent[self._count] = self._save(
            frozenset(after - before), frozenset(before - after), FORK_ALLOWANCE, layers
        )
        self._recent.pop(self._count - RECENT, None)
        return self._count

    def read(self, snapshot: int) -> dict[int, int]:
        entries: set[tuple[int, int]] = set()
        for layer in self._layers_of(snapshot):
            entries |= layer.added
            entries -= layer.removed
        return dict(entries)

    def _save(self, added: Entries, removed: Entries, siblings: int, layers: list[Layer]) -> list[Layer]:
        """Write the newest snapshot, made of the layers and this difference; its layers."""
        size = len(added) + len(removed)
        if layers and (len(layers) >= MOST_LAYERS or size * size >= 2 * siblings * layers[-1].size):
            below = layers[-1]
            folded_added = (below.added - removed) | (added - below.removed)
            folded_removed = (below.removed - added) | (removed - below.added)
            return self._save(folded_added, folded_removed, size, layers[:-1])
        parent = layers[-1].snapshot if layers else 0
        encoded = parent.to_bytes(8, "big") + _encode(added)
        if removed:
            encoded += SEPARATOR + _encode(removed)
        self.db.execute("INSERT INTO shortstatehash_statediff VALUES (?, ?)", (self._count, encoded))
        return [*layers, Layer(self._count, added, removed)]

    def _layers_of(self, snapshot: int) -> list[Layer]:
        """The undermost first."""
        layers: list[Layer] = []
        while snapshot:
            (encoded,) = self.db.execute(
                "SELECT diff FROM shortstatehash_statediff WHERE shortstatehash = ?", (snapshot,)
            ).fetchone()
            parent, *numbers = struct.unpack(f">{len(encoded) // 8}Q", encoded)
            # An entry is two numbers; where a single zero comes instead, the removed ones begin.
            states = numbers[::2]
            split = states.index(0) * 2 if 0 in states else len(numbers)
            layers.append(Layer(snapshot, _pairs(numbers[:split]), _pairs(numbers[split + 1 :])))
            snapshot = parent
        return layers[::-1]


def _encode(entries: Iterable[tuple[int, int]]) -> bytes:
    numbers = [number for entry in sorted(entries) for number in entry]
    return struct.pack(f">{len(numbers)}Q", *numbers)


def _hash(entry: tuple[int, int]) -> int:
    return int.from_bytes(sha256(b"%d %d" % entry).digest(), "big")


def _pairs(numbers: list[int]) -> Entries:
    return frozenset(zip(numbers[::2], numbers[1::2], strict=True))
