"""What a layout of the state history can do. States are maps of tuple numbers to event numbers, both from 1."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

StateTuple: TypeAlias = tuple[str, str]
State: TypeAlias = Mapping[int, int]
Difference: TypeAlias = dict[int, tuple[int, int]]
"""By tuple number: the event before and after, 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A snapshot to be kept: what some changes (event 0: removed) make of an earlier one."""

    base: int | None
    """As the layout numbered it; None is the empty state."""
    changes: State
    before: State
    after: State
    resolved: bool = False
    """Whether it is the outcome of state resolution, not the state after one event."""


class Layout(ABC):
    """One room's state history in a database of its own."""

    tables: ClassVar[tuple[str, ...]]
    """What counts as the state history. Names of tuples and events are elsewhere, as every server has them anyway."""

    def __init__(self, db: sqlite3.Connection, tuples: Sequence[StateTuple]) -> None:
        """On an empty database; the first of the tuples has the number 1."""
        self.db = db
        self.tuples = tuples

    @abstractmethod
    def add(self, addition: Addition) -> int:
        """Keep a snapshot; the number by which it is found again."""

    @abstractmethod
    def read(self, snapshot: int) -> dict[int, int]:
        """The whole state."""

    def find(self, snapshot: int, tuple_number: int) -> int | None:
        """One entry. Most layouts can't but read the whole state."""
        return self.read(snapshot).get(tuple_number)

    def diff(self, old: int, new: int) -> Difference:
        """What differs. Most layouts can't but read both states."""
        return difference(self.read(old), self.read(new))


def difference(before: State, after: State) -> Difference:
    pairs = {number: (before.get(number, 0), after.get(number, 0)) for number in before.keys() | after.keys()}
    return {number: pair for number, pair in pairs.items() if pair[0] != pair[1]}
