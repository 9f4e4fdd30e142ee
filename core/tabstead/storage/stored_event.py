"""An event as its row has it, decoded as far as somebody asks.

Who it is from, its type, depth and time stand in columns. Its content is decompressed when it is looked at; the ids of
the events that it refers to are looked up when they are: for all events that were selected together at once, so that
a walk through the graph takes one more statement for each of its steps, and a timeline takes none. The whole PDU is put
together for other servers alone. What is asked for late is read within the transaction that selected the event.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, Final, NamedTuple

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event, parse_references
from tabstead.protocol.identifiers import EventID, RoomID, UserID
from tabstead.protocol.room_versions import RoomVersion
from tabstead.storage.database import Db
from tabstead.storage.event_codec import (
    Kept,
    Packed,
    decode_content,
    decode_event,
    decode_proof,
    decode_references,
)
from tabstead.storage.names import select_names

_NOTHING: Final[Mapping[str, Any]] = {}


class EventColumns(NamedTuple):
    """What is known of an event without decoding anything."""

    event_id: EventID
    room_id: RoomID
    room_version: RoomVersion
    type: str
    sender: UserID
    state_key: str | None
    depth: int
    origin_server_ts: int
    content: Packed
    proof: bytes


class Selection:
    """Events that were selected together: what one of them refers to is looked up for all."""

    def __init__(self, db: Db, select_event_ids: Callable[[Db, Iterable[int]], dict[int, EventID]]) -> None:
        self._db = db
        self._select_event_ids = select_event_ids
        self._proofs: list[bytes] = []
        self._event_ids: dict[int, EventID] | None = None
        self._key_names: dict[int, str] | None = None

    def add(self, proof: bytes) -> None:
        self._proofs.append(proof)

    def event_ids(self) -> dict[int, EventID]:
        """The ids of all events that these refer to."""
        if self._event_ids is None:
            wanted = {event_nid for proof in self._proofs for event_nid in decode_references(proof)}
            self._event_ids = self._select_event_ids(self._db, wanted)
        return self._event_ids

    def key_names(self) -> dict[int, str]:
        """The names of all keys that signed these."""
        if self._key_names is None:
            wanted = {name_nid for proof in self._proofs for name_nid, _ in decode_proof(proof).signatures}
            self._key_names = select_names(self._db, wanted)
        return self._key_names


class StoredEvent(Event):
    """An Event that is decoded late. It equals any Event with the same fields."""

    __slots__ = ("_columns", "_decoded", "_pdu", "_references", "_selection")

    _columns: EventColumns
    _selection: Selection
    _decoded: tuple[JsonDict, JsonDict] | None
    _references: tuple[tuple[EventID, ...], tuple[EventID, ...]] | None
    _pdu: JsonDict | None

    def __init__(self, columns: EventColumns, selection: Selection) -> None:
        put = object.__setattr__  # an Event is frozen
        put(self, "event_id", columns.event_id)
        put(self, "room_id", columns.room_id)
        put(self, "type", columns.type)
        put(self, "sender", columns.sender)
        put(self, "state_key", columns.state_key)
        put(self, "depth", columns.depth)
        put(self, "origin_server_ts", columns.origin_server_ts)
        put(self, "unsigned", _NOTHING)
        put(self, "_columns", columns)
        put(self, "_selection", selection)
        put(self, "_decoded", None)
        put(self, "_references", None)
        put(self, "_pdu", None)
        selection.add(columns.proof)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return all(getattr(self, field.name) == getattr(other, field.name) for field in fields(Event))

    __hash__ = Event.__hash__

    def __repr__(self) -> str:
        return f"<{self.type} {self.event_id}>"

    @property
    def content(self) -> JsonDict:
        return self._decode()[0]

    @property
    def redacts(self) -> EventID | None:
        content, extras = self._decode() if self.type == "m.room.redaction" else ({}, {})
        redacts = (content if self._columns.room_version.redacts_in_content else extras).get("redacts")
        return EventID(redacts) if isinstance(redacts, str) else None

    @property
    def prev_events(self) -> tuple[EventID, ...]:
        return self._refer()[0]

    @property
    def auth_events(self) -> tuple[EventID, ...]:
        return self._refer()[1]

    @property
    def pdu(self) -> JsonDict:
        if self._pdu is None:
            proof = decode_proof(self._columns.proof)
            content, extras = self._decode()
            columns = {
                "content": content,
                "depth": self.depth,
                "origin_server_ts": self.origin_server_ts,
                "room_id": self.room_id,
                "sender": self.sender,
                "type": self.type,
                **({} if self.state_key is None else {"state_key": self.state_key}),
            }
            event_ids, names = self._selection.event_ids(), self._selection.key_names()
            object.__setattr__(self, "_pdu", decode_event(columns, extras, proof, event_ids, names))
        assert self._pdu is not None
        return self._pdu

    def _decode(self) -> tuple[JsonDict, JsonDict]:
        """The content and the extras."""
        if self._decoded is None:
            object.__setattr__(self, "_decoded", decode_content(self._columns.content))
        assert self._decoded is not None
        return self._decoded

    def _refer(self) -> tuple[tuple[EventID, ...], tuple[EventID, ...]]:
        """The prev events and the auth events."""
        if self._references is None:
            proof = decode_proof(self._columns.proof)
            references = (
                self._look_up("prev_events", bool(proof.kept & Kept.PREV_EVENTS), proof.prev_events),
                self._look_up("auth_events", bool(proof.kept & Kept.AUTH_EVENTS), proof.auth_events),
            )
            object.__setattr__(self, "_references", references)
        assert self._references is not None
        return self._references

    def _look_up(self, field: str, by_number: bool, event_nids: Iterable[int]) -> tuple[EventID, ...]:
        if by_number:
            event_ids = self._selection.event_ids()
            return tuple(event_ids[event_nid] for event_nid in event_nids)
        references = self._decode()[1][field]
        return parse_references(references, self._columns.room_version)
