"""Stored events as a user's client sees them: the client format, with the `unsigned` that is the server's to say.

`age`; `transaction_id` for the device that sent it; `redacted_because`; `prev_content` of a state event; the reader's
own `membership` at that time; and the bundled aggregations of what relates to it, in `m.relations`. What an erased user
wrote is withheld from who came later.
(Client-Server API, § Room event format, § Aggregations of child events)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import to_client_event
from tabstead.rooms.aggregations import BUNDLED, select_aggregations
from tabstead.rooms.erasure import Erasure
from tabstead.rooms.history_visibility import HistoryVisibility
from tabstead.storage.current_state import select_replaced
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, select_events, select_transaction_ids
from tabstead.storage.rooms import get_room
from tabstead.storage.state_history import find_state_event


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """For whom events are shown. A device is named where its transaction ids are to be shown."""

    user_id: str
    device_id: str | None = None


def client_events(
    db: Db,
    events: Sequence[PersistedEvent],
    *,
    reader: Reader,
    now_ms: int,
    with_room_id: bool = True,
    in_timeline: bool = True,
) -> list[JsonDict]:
    """The events in the client format, in their order. What the reader may see is the caller's to decide.

    `with_room_id=False` is for places that name the room already, like a sync's timeline. `in_timeline=False` is for
    events that are shown as state: they carry no aggregations and no `membership`, which a large state would pay for.
    """
    bundled = BUNDLED if in_timeline else ()
    rooms = _Visibilities(db, reader.user_id) if in_timeline else None
    return _show(db, events, reader, now_ms, bundled=bundled, rooms=rooms, with_room_id=with_room_id)


class _Visibilities:
    """The history visibility of each room of which an answer has events."""

    def __init__(self, db: Db, user_id: str) -> None:
        self._db = db
        self._user_id = user_id
        self._rooms: dict[int, HistoryVisibility] = {}

    def may_see(self, event: PersistedEvent) -> bool:
        return self._of_room(event).may_see(event)

    def membership_at(self, event: PersistedEvent) -> str:
        """The reader's membership at an event."""
        return self._of_room(event).membership_at(event)

    def _of_room(self, event: PersistedEvent) -> HistoryVisibility:
        if event.room_nid not in self._rooms:
            room = get_room(self._db, event.room_nid)
            self._rooms[event.room_nid] = HistoryVisibility(self._db, room, self._user_id)
        return self._rooms[event.room_nid]


def _show(
    db: Db,
    events: Sequence[PersistedEvent],
    reader: Reader,
    now_ms: int,
    *,
    bundled: Sequence[str],
    rooms: _Visibilities | None,
    with_room_id: bool = True,
) -> list[JsonDict]:
    transaction_ids = _transaction_ids(db, events, reader)
    redactions = select_events(db, {event.redacted_by for event in events if event.redacted_by is not None})
    memberships = {} if rooms is None else {event.event_nid: rooms.membership_at(event) for event in events}
    erasure = Erasure(db, reader.user_id)
    aggregations = {} if rooms is None else _aggregations(db, events, reader, now_ms, bundled=bundled, rooms=rooms)
    previous = _select_previous(db, events)
    shown = []
    for event in events:
        unsigned: JsonDict = {"age": max(0, now_ms - event.event.origin_server_ts)}
        if event.event_nid in memberships:
            unsigned["membership"] = memberships[event.event_nid]
        if event.event_nid in transaction_ids:
            unsigned["transaction_id"] = transaction_ids[event.event_nid]
        if event.redacted_by is not None:
            unsigned["redacted_because"] = to_client_event(redactions[event.redacted_by].event)
        if event.event_nid in previous:
            earlier = erasure.withhold(previous[event.event_nid], memberships.get(event.event_nid, "join"))
            unsigned["prev_content"] = earlier.event.content
        if event.event_nid in aggregations:
            unsigned["m.relations"] = aggregations[event.event_nid]
        served = erasure.withhold(event, memberships.get(event.event_nid, "join"))
        shown.append(to_client_event(served.event, with_room_id=with_room_id, unsigned=unsigned))
    return shown


def _aggregations(
    db: Db,
    events: Sequence[PersistedEvent],
    reader: Reader,
    now_ms: int,
    *,
    bundled: Sequence[str],
    rooms: _Visibilities,
) -> dict[int, JsonDict]:
    show = partial(_show, db, reader=reader, now_ms=now_ms, rooms=rooms)
    return select_aggregations(db, events, bundled, reader_id=reader.user_id, may_see=rooms.may_see, show=show)


def _transaction_ids(db: Db, events: Sequence[PersistedEvent], reader: Reader) -> dict[int, str]:
    own = [event.event_nid for event in events if event.event.sender == reader.user_id]
    if reader.device_id is None or not own:
        return {}
    return select_transaction_ids(db, reader.user_id, reader.device_id, own)


def _select_previous(db: Db, events: Sequence[PersistedEvent]) -> dict[int, PersistedEvent]:
    """The state events that these replaced, by the event_nid of what replaced them."""
    state_events = [event for event in events if event.event.is_state]
    # Cheaper than the state history, where an event became the current state when it came.
    replaced = select_replaced(db, (event.event_nid for event in state_events))
    for event in state_events:
        if event.event_nid not in replaced:
            replaced[event.event_nid] = find_state_event(db, event.state_before, *event.event.state_tuple)
    previous = select_events(db, {event_nid for event_nid in replaced.values() if event_nid is not None})
    return {event_nid: previous[by] for event_nid, by in replaced.items() if by is not None}
