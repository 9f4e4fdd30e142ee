"""What an import is held to before it counts as finished: all that was in the source is here, and says the same.

- Every event of the source is stored, with its JSON or what redaction left of it, its standing, and a place if it had
  one there.
- Every snapshot has the state that the source's has: each by what differs from the one before it, on both sides, and
  every 64th read whole.
- Every room has the source's forward extremities, and its current state, whole.
"""

from collections import Counter
from typing import Any, Final

from tabstead.errors import ImportRefused
from tabstead.native.dendrite_import.events import read_event
from tabstead.native.dendrite_import.states import SourceState, StateReader
from tabstead.protocol.events import redact_event
from tabstead.storage.current_state import select_entries
from tabstead.storage.database import Db
from tabstead.storage.dendrite_import.progress import select_event_numbers, select_snapshot_numbers
from tabstead.storage.dendrite_import.source import RoomserverSource, SourceEvent
from tabstead.storage.events import PersistedEvent, Standing, select_events
from tabstead.storage.rooms import find_room, get_room, select_forward_extremities
from tabstead.storage.state_history import diff_entries, read_entries

SLICE: Final = 500
"""Events, or snapshots, per transaction."""

_WHOLE_EVERY: Final = 64


class Check:
    """Raises ImportRefused for the first thing that is not as it should be."""

    def __init__(self, source: RoomserverSource, reader: StateReader) -> None:
        self._source = source
        self._reader = reader

    def check_events(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """The position is the last event NID that was checked."""
        source_nids = self._source.select_event_nids(after=position or 0, limit=SLICE)
        numbers = select_event_numbers(db, source_nids)
        stored = select_events(db, (number.event_nid for number in numbers.values()))
        for source_nid in source_nids:
            source = self._source.get_event(source_nid)
            number = numbers.get(source_nid)
            if number is None or number.event_nid not in stored:
                raise ImportRefused(f"The import is wrong: event {source.event_id} is not there.")
            if not self._is_same(db, source, stored[number.event_nid]):
                raise ImportRefused(f"The import is wrong: event {source.event_id} is another than it was.")
        return source_nids[-1] if source_nids else None

    def _is_same(self, db: Db, source: SourceEvent, stored: PersistedEvent) -> bool:
        version = get_room(db, stored.room_nid).version
        pdu = read_event(source, version).pdu
        if stored.redacted_by is not None:
            pdu = redact_event(pdu, version)
        return (
            stored.event_id == source.event_id
            and stored.event.pdu == pdu
            and (stored.stream_position is not None) is (source.snapshot != 0)
            and (stored.standing is Standing.REJECTED) is source.is_rejected
        )

    def check_snapshots(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """The position is the last of the source's snapshots that was checked."""
        last = position or 0
        before: tuple[SourceState, int] | None = None
        for source_nid, snapshot in select_snapshot_numbers(db, after=last, limit=SLICE):
            state = self._reader.read(db, source_nid)
            if before is None or source_nid % _WHOLE_EVERY == 0:
                is_right = read_entries(db, snapshot) == state.entries
            else:
                is_right = diff_entries(db, before[1], snapshot) == self._differences(db, before[0], state)
            if not is_right:
                raise ImportRefused(f"The import is wrong: state snapshot {source_nid} is another than it was.")
            before = state, snapshot
            last = source_nid
        return last if before is not None else None

    def _differences(self, db: Db, old: SourceState, new: SourceState) -> dict[int, tuple[int, int]]:
        """By tuple_nid, the event_nid before and after, 0 where there is none."""
        changes = self._reader.changes(db, old, new)
        return {nid: (old.entries.get(nid, 0), event_nid or 0) for nid, event_nid in changes.items()}

    def check_rooms(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """The position is the last room NID that was checked."""
        source = self._source.find_next_room(position or 0)
        if source is None:
            return None
        room = find_room(db, source.room_id)
        latest = select_event_numbers(db, source.latest_event_nids) if source.snapshot else {}
        extremities = {number.event_nid for number in latest.values()}
        state = self._reader.read(db, source.snapshot)
        if (
            room is None
            or set(select_forward_extremities(db, room.room_nid)) != extremities
            or select_entries(db, room.room_nid) != state.entries
            or read_entries(db, room.state_snapshot) != state.entries
        ):
            raise ImportRefused(f"The import is wrong: {source.room_id} is not as it was.")
        return source.room_nid
