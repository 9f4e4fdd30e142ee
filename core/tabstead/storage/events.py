"""Events: each stored once, in columns, and so that its signed JSON comes back as it was (`event_codec`).

An event with a `stream_position` is in its room's timeline; one without is an *outlier*, known but not placed. What
readers call the timeline are the accepted events among those with a position, in the order of their positions.
A redacted event keeps its row: its JSON is redacted in place, `redacted_by` names the redaction. No row is deleted,
ever: others have its `event_nid` in place of its id.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event, load_event
from tabstead.protocol.identifiers import EventID, RoomID, UserID
from tabstead.protocol.room_versions import get_room_version
from tabstead.storage.client_transactions import ClientTransaction
from tabstead.storage.database import Db
from tabstead.storage.event_codec import Packed, encode_event, signing_keys
from tabstead.storage.event_ids import decode_event_id, encode_event_id
from tabstead.storage.names import USER_NID, intern_name, intern_user
from tabstead.storage.out_of_band import is_out_of_band, select_out_of_band
from tabstead.storage.relations import update_relations_to
from tabstead.storage.rooms import Room
from tabstead.storage.state_tuples import intern_state_tuple
from tabstead.storage.stored_event import EventColumns, Selection, StoredEvent


class Standing(IntEnum):
    """What the checks on receipt said of an event."""

    ACCEPTED = 0
    SOFT_FAILED = 1
    REJECTED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistedEvent:
    """An event with its place in the database."""

    event: Event
    event_nid: int
    room_nid: int
    stream_position: int | None
    """None: an outlier."""
    standing: Standing
    state_before: int
    """The snapshot of the room's state before the event."""
    redacted_by: int | None
    """The event_nid of the redaction that was applied to it."""

    @property
    def event_id(self) -> EventID:
        return self.event.event_id

    @property
    def position(self) -> int:
        """The stream position of an event that is in the timeline."""
        assert self.stream_position is not None, "an outlier has no position"
        return self.stream_position


EMPTY_STATE: Final = 0
"""The snapshot of the state before the first event."""

_COLUMNS: Final = (
    "e.event_nid, e.id_key, e.id_rest, e.room_nid, e.stream_position, e.standing, e.state_before, e.redacted_by,"
    " r.room_id, r.room_version, n.name, s.state_key, t.state_key, e.depth, e.origin_server_ts, e.content, e.proof"
)
_JOINS: Final = (
    " CROSS JOIN rooms r ON r.room_nid = e.room_nid CROSS JOIN names n ON n.name_nid = e.type"
    " CROSS JOIN state_tuples s ON s.tuple_nid = e.sender LEFT JOIN state_tuples t ON t.tuple_nid = e.tuple_nid"
)
"""What numbers of an event stand for, each looked up once the event is found."""

_SELECT_EVENT: Final = f"SELECT {_COLUMNS} FROM events e{_JOINS}"
_SELECT_LISTED: Final = f"SELECT {_COLUMNS} FROM json_each(?) j CROSS JOIN events e ON"


def insert_event(
    db: Db,
    room: Room,
    event: Event,
    *,
    stream_position: int | None,
    standing: Standing,
    state_before: int,
    transaction: ClientTransaction | None = None,
) -> PersistedEvent:
    """Store an event that is not stored yet, with the transaction in which a local device sent it."""
    content, proof, type_nid = _encode(db, event.pdu)
    row = db.execute(
        "INSERT INTO events (id_key, id_rest, room_nid, stream_position, depth, type, tuple_nid, sender,"
        " origin_server_ts, standing, state_before, device_id, transaction_id, has_url, content, proof)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING event_nid",
        (
            *encode_event_id(event.event_id),
            room.room_nid,
            stream_position,
            event.depth,
            type_nid,
            None if event.state_key is None else intern_state_tuple(db, event.state_tuple),
            intern_user(db, event.sender),
            event.origin_server_ts,
            int(standing),
            state_before,
            None if transaction is None else transaction.device_id,
            None if transaction is None else transaction.transaction_id,
            "url" in event.content,
            content,
            proof,
        ),
    ).fetchone()
    update_relations_to(db, event.event_id, row[0])
    return PersistedEvent(
        event=event,
        event_nid=row[0],
        room_nid=room.room_nid,
        stream_position=stream_position,
        standing=standing,
        state_before=state_before,
        redacted_by=None,
    )


def update_placed(
    db: Db, outlier: PersistedEvent, *, stream_position: int, standing: Standing, state_before: int
) -> PersistedEvent:
    """Give an outlier its place in the timeline."""
    db.execute(
        "UPDATE events SET stream_position = ?, standing = ?, state_before = ? WHERE event_nid = ?",
        (stream_position, int(standing), state_before, outlier.event_nid),
    )
    return replace(outlier, stream_position=stream_position, standing=standing, state_before=state_before)


def update_redacted(db: Db, event_nid: int, redacted_pdu: JsonDict, redacted_by: int) -> None:
    """Replace an event's JSON by its redacted form."""
    content, proof, _ = _encode(db, redacted_pdu)
    db.execute(
        "UPDATE events SET content = ?, proof = ?, has_url = ?, redacted_by = ? WHERE event_nid = ?",
        (content, proof, "url" in redacted_pdu["content"], redacted_by, event_nid),
    )


def insert_pending_redaction(db: Db, redacts: str, redaction_nid: int) -> None:
    """Keep a redaction for the event that it redacts, which is not here yet."""
    db.execute("INSERT INTO pending_redactions (redacts, redaction_nid) VALUES (?, ?)", (redacts, redaction_nid))


def take_pending_redactions(db: Db, event_id: str) -> list[int]:
    """The event_nids of the redactions that waited for this event."""
    rows = db.execute(
        "SELECT redaction_nid FROM pending_redactions WHERE redacts = ? ORDER BY redaction_nid", (event_id,)
    ).fetchall()
    if rows:
        db.execute("DELETE FROM pending_redactions WHERE redacts = ?", (event_id,))
    return [redaction_nid for (redaction_nid,) in rows]


def find_event(db: Db, event_id: str) -> PersistedEvent | None:
    return next(iter(select_events_by_id(db, [event_id]).values()), None)


def get_event(db: Db, event_nid: int) -> PersistedEvent:
    """The event of a numeric id, which some row has."""
    if is_out_of_band(event_nid):
        return _select_out_of_band(db, [event_nid])[event_nid]
    return _persisted(db, db.execute(f"{_SELECT_EVENT} WHERE e.event_nid = ?", (event_nid,)))[0]


def select_events(db: Db, event_nids: Iterable[int]) -> dict[int, PersistedEvent]:
    """The events of these numeric ids, by numeric id, in the order given."""
    wanted = list(event_nids)
    rows = db.execute(f"{_SELECT_LISTED} e.event_nid = j.value{_JOINS}", (json.dumps(wanted),))
    found = {event.event_nid: event for event in _persisted(db, rows)}
    if any(map(is_out_of_band, wanted)):
        found |= _select_out_of_band(db, filter(is_out_of_band, wanted))
    return {event_nid: found[event_nid] for event_nid in wanted if event_nid in found}


def select_events_by_id(db: Db, event_ids: Iterable[str]) -> dict[EventID, PersistedEvent]:
    """Those of the events that are known here."""
    wanted = set(event_ids)
    rows = db.execute(f"{_SELECT_LISTED} e.id_key = j.value{_JOINS}", (_keys(wanted),))
    return {event.event_id: event for event in _persisted(db, rows) if event.event_id in wanted}


def select_event_ids(db: Db, event_nids: Iterable[int]) -> dict[int, EventID]:
    """The event ids of these numeric ids."""
    rows = db.execute(
        "SELECT e.event_nid, e.id_key, e.id_rest FROM json_each(?) j CROSS JOIN events e ON e.event_nid = j.value",
        (json.dumps(list(event_nids)),),
    )
    return {event_nid: decode_event_id(id_key, id_rest) for event_nid, id_key, id_rest in rows}


def select_event_nids(db: Db, event_ids: Iterable[str]) -> dict[EventID, int]:
    """The numeric ids of those of the events that are known here."""
    return {event_id: event_nid for event_nid, event_id, _ in _find_rows(db, event_ids)}


def select_placed(db: Db, event_ids: Iterable[str]) -> set[EventID]:
    """Those of the events that have a place in a timeline."""
    wanted = {encode_event_id(event_id): EventID(event_id) for event_id in event_ids}
    rows = db.execute(
        "SELECT e.id_key, e.id_rest FROM json_each(?) j CROSS JOIN events e ON e.id_key = j.value"
        " WHERE e.stream_position IS NOT NULL",
        (json.dumps([id_key for id_key, _ in wanted]),),
    )
    return {wanted[id_key, id_rest] for id_key, id_rest in rows if (id_key, id_rest) in wanted}


def select_standings(db: Db, event_ids: Iterable[str]) -> dict[int, tuple[EventID, Standing]]:
    """Id and standing of those of the events that are known here, by numeric id."""
    rows = _find_rows(db, event_ids)
    return {event_nid: (event_id, Standing(standing)) for event_nid, event_id, standing in rows}


def _find_rows(db: Db, event_ids: Iterable[str]) -> list[tuple[int, EventID, int]]:
    """(event_nid, event id, standing) of those of the events that are known here."""
    wanted = {encode_event_id(event_id): EventID(event_id) for event_id in event_ids}
    rows = db.execute(
        "SELECT e.event_nid, e.id_key, e.id_rest, e.standing FROM json_each(?) j"
        " CROSS JOIN events e ON e.id_key = j.value",
        (json.dumps([id_key for id_key, _ in wanted]),),
    )
    return [
        (event_nid, wanted[id_key, id_rest], standing)
        for event_nid, id_key, id_rest, standing in rows
        if (id_key, id_rest) in wanted
    ]


def find_event_at(db: Db, room_nid: int, position: int) -> PersistedEvent | None:
    """The event at exactly this position of the room."""
    rows = db.execute(f"{_SELECT_EVENT} WHERE e.room_nid = ? AND e.stream_position = ?", (room_nid, position))
    found = next(iter(_persisted(db, rows)), None)
    return found or _select_out_of_band(db, [-position]).get(-position)


def select_transaction_ids(db: Db, user_id: str, device_id: str, event_nids: Iterable[int]) -> dict[int, str]:
    """The transaction ids under which this device sent events, by event_nid."""
    rows = db.execute(
        "SELECT e.event_nid, e.transaction_id FROM json_each(?) j CROSS JOIN events e ON e.event_nid = j.value"
        f" WHERE e.sender = {USER_NID % '?'} AND e.device_id = ?",
        (json.dumps(list(event_nids)), user_id, device_id),
    )
    return dict(rows.fetchall())


def select_timeline(
    db: Db, room_nid: int, *, after: int, up_to: int, limit: int, forwards: bool = False
) -> list[PersistedEvent]:
    """At most `limit` events of the timeline with after < position <= up_to: the newest first, or the oldest first."""
    rows = db.execute(
        f"{_SELECT_EVENT} WHERE e.room_nid = ? AND e.stream_position > ? AND e.stream_position <= ? AND e.standing = 0"
        f" ORDER BY e.stream_position {'ASC' if forwards else 'DESC'} LIMIT ?",
        (room_nid, after, up_to, limit),
    )
    return _persisted(db, rows)


def select_states_before(db: Db, *, after: int, limit: int) -> list[tuple[int, int]]:
    """(position, snapshot of the state before) of the first `limit` events after a position, of every standing."""
    rows = db.execute(
        "SELECT stream_position, state_before FROM events WHERE stream_position > ? ORDER BY stream_position LIMIT ?",
        (after, limit),
    )
    return rows.fetchall()


def count_events(db: Db) -> int:
    """The number of events stored: events are never deleted, so their last numeric id says it without a scan."""
    (last,) = db.execute("SELECT max(event_nid) FROM events").fetchone()
    return last or 0


def _encode(db: Db, pdu: JsonDict) -> tuple[Packed, bytes, int]:
    """The `content`, the `proof` and the `type` of an event."""
    references = [*pdu["prev_events"], *pdu["auth_events"]]
    event_nids = select_event_nids(db, (event_id for event_id in references if isinstance(event_id, str)))
    name_nids = {name: intern_name(db, name) for name in (pdu["type"], *(signing_keys(pdu) or ()))}
    return *encode_event(pdu, event_nids, name_nids), name_nids[pdu["type"]]


def _keys(event_ids: Iterable[str]) -> str:
    """JSON of the `id_key` of each."""
    return json.dumps([encode_event_id(event_id)[0] for event_id in event_ids])


def _select_out_of_band(db: Db, event_nids: Iterable[int]) -> dict[int, PersistedEvent]:
    """Events of rooms that this server is not in, as if they were in their timelines."""
    return {
        row.event_nid: PersistedEvent(
            event=load_event(
                json.loads(row.pdu), event_id=row.event_id, room_version=get_room_version(row.room_version)
            ),
            event_nid=row.event_nid,
            room_nid=row.room_nid,
            stream_position=-row.event_nid,
            standing=Standing.ACCEPTED,
            state_before=EMPTY_STATE,
            redacted_by=None,
        )
        for row in select_out_of_band(db, event_nids)
    }


def _persisted(db: Db, rows: Iterable[tuple[Any, ...]]) -> list[PersistedEvent]:
    """The events of rows with _COLUMNS, in their order."""
    selection = Selection(db, select_event_ids)
    return [_persisted_event(row, selection) for row in rows]


def _persisted_event(row: tuple[Any, ...], selection: Selection) -> PersistedEvent:
    event_nid, id_key, id_rest, room_nid, stream_position, standing, state_before, redacted_by, *columns = row
    room_id, room_version, event_type, sender, state_key, depth, origin_server_ts, content, proof = columns
    known = EventColumns(
        event_id=decode_event_id(id_key, id_rest),
        room_id=RoomID(room_id),
        room_version=get_room_version(room_version),
        type=event_type,
        sender=UserID(sender),
        state_key=state_key,
        depth=depth,
        origin_server_ts=origin_server_ts,
        content=content,
        proof=proof,
    )
    return PersistedEvent(
        event=StoredEvent(known, selection),
        event_nid=event_nid,
        room_nid=room_nid,
        stream_position=stream_position,
        standing=Standing(standing),
        state_before=state_before,
        redacted_by=redacted_by,
    )
