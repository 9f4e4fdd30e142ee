"""Dendrite's snapshots as ours.

What Dendrite's own reader gives is taken as the state of a snapshot: its blocks in the order of their NIDs, the later
overriding the earlier. Where Dendrite gave a change an older NID than the whole state that it was to change, because an
equal block had been stored before, that change is lost to Dendrite's reader and to us: it is the state that Dendrite
served, and by which it judged the events that followed. Which one wins is settled here, once; in our history the
changes that lead from one state to another are in order, and no sharing decides.

A snapshot is added as the changes to the one before the event's prev event. States are kept for the next ones to start
from, few enough to bound the memory.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tabstead.storage.database import Db
from tabstead.storage.dendrite_import.progress import (
    find_snapshot_number,
    insert_snapshot_number,
    select_event_numbers,
    select_state_entries,
)
from tabstead.storage.dendrite_import.source import RoomserverSource
from tabstead.storage.state_history import EMPTY, add_snapshot
from tabstead.storage.state_tuples import select_state_tuples

_KEPT_ENTRIES: Final = 500_000
"""Of all states that are kept together, some 50 MB; the last two are kept however big they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """The state of a source's snapshot, in our numbers."""

    blocks: tuple[int, ...]
    entries: Mapping[int, int]
    """event_nid by tuple_nid"""


class UntakenEvents(Exception):
    """A state has events that were not taken yet: take them and ask again."""

    def __init__(self, source_nids: Sequence[int]) -> None:
        super().__init__(source_nids)
        self.source_nids = source_nids


class StateReader:
    """Reads the source's snapshots, each from the longest beginning of its blocks that was read lately."""

    def __init__(self, source: RoomserverSource) -> None:
        self._source = source
        self._kept: OrderedDict[tuple[int, ...], SourceState] = OrderedDict()
        self._kept_entries = 0

    def read(self, db: Db, snapshot: int) -> SourceState:
        """The state of a snapshot; 0 is the empty one. Raises UntakenEvents."""
        blocks = self._source.get_blocks(snapshot) if snapshot else ()
        start = self._find_start(blocks)
        if len(start.blocks) == len(blocks):
            return start
        entries = dict(start.entries)
        for block_nid in blocks[len(start.blocks) :]:
            entries.update(self._decode(db, block_nid))
        return self._keep(SourceState(blocks=blocks, entries=entries))

    def changes(self, db: Db, old: SourceState, new: SourceState) -> dict[int, int | None]:
        """What makes the new state of the old one: event_nid by tuple_nid, None for what is no longer there."""
        if new.blocks[: len(old.blocks)] == old.blocks:
            entries: dict[int, int] = {}
            for block_nid in new.blocks[len(old.blocks) :]:
                entries.update(self._decode(db, block_nid))
            return {nid: event_nid for nid, event_nid in entries.items() if old.entries.get(nid) != event_nid}
        changed: dict[int, int | None] = dict(new.entries.items() - old.entries.items())
        return {**dict.fromkeys(old.entries.keys() - new.entries.keys()), **changed}

    def _find_start(self, blocks: tuple[int, ...]) -> SourceState:
        for length in range(len(blocks), 0, -1):
            found = self._kept.get(blocks[:length])
            if found is not None:
                self._kept.move_to_end(found.blocks)
                return found
        return SourceState(blocks=(), entries={})

    def _keep(self, state: SourceState) -> SourceState:
        self._kept[state.blocks] = state
        self._kept_entries += len(state.entries)
        while self._kept_entries > _KEPT_ENTRIES and len(self._kept) > 2:
            _, dropped = self._kept.popitem(last=False)
            self._kept_entries -= len(dropped.entries)
        return state

    def _decode(self, db: Db, block_nid: int) -> dict[int, int]:
        event_nids = self._source.get_block(block_nid)
        entries = select_state_entries(db, event_nids)
        if len(entries) < len(event_nids):
            _check_all_taken(db, event_nids)
        return dict(entries)


def _check_all_taken(db: Db, event_nids: Sequence[int]) -> None:
    taken = select_event_numbers(db, event_nids)
    untaken = [event_nid for event_nid in event_nids if event_nid not in taken]
    if untaken:
        raise UntakenEvents(untaken)


class StateImport:
    """Adds snapshots to our history as they are needed."""

    def __init__(self, reader: StateReader) -> None:
        self._reader = reader

    def take(self, db: Db, room_nid: int, source_nid: int, near: int) -> int:
        """Our snapshot for one of the source's; `near` is one that likely differs in little, or 0.

        Raises UntakenEvents.
        """
        if source_nid == 0:
            return EMPTY
        known = find_snapshot_number(db, source_nid)
        if known is not None:
            return known
        base = find_snapshot_number(db, near) if near else EMPTY
        if base is None:
            near, base = 0, EMPTY
        old, new = self._reader.read(db, near), self._reader.read(db, source_nid)
        changes = self._reader.changes(db, old, new)
        state_tuples = select_state_tuples(db, changes) if changes else {}
        snapshot = add_snapshot(
            db, room_nid, base, {state_tuples[tuple_nid]: event_nid for tuple_nid, event_nid in changes.items()}
        )
        insert_snapshot_number(db, source_nid, snapshot)
        return snapshot
