"""Out-of-band memberships: what this server's users are told of rooms that it is not in.

An invite, a knock, a kick or a leave that reaches this server by itself, without the room's graph. Its event has an
`event_nid` below 0, by which `storage.events` finds it like any other; the graph of the room doesn't know it, and what
comes of the room later is checked without it. A user has one such event in a room, the newest.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import EventID, ServerName
from tabstead.storage.database import Db
from tabstead.storage.memberships import update_membership
from tabstead.storage.names import USER_NID, intern_user
from tabstead.storage.positions import next_position


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfBandEvent:
    """A row, its JSON undecoded."""

    event_nid: int
    room_nid: int
    room_id: str
    room_version: str
    event_id: EventID
    pdu: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What is known of a room from outside."""

    shown_state: list[JsonDict]
    """Stripped state events."""
    servers: list[ServerName]
    """Servers that are likely in the room, the best to ask first."""


def is_out_of_band(event_nid: int) -> bool:
    return event_nid < 0


def insert_out_of_band(
    db: Db, room_nid: int, event: Event, *, shown_state: Sequence[JsonDict], servers: Iterable[str]
) -> int:
    """Keep a membership event, in place of the user's last one, and let the membership follow. Its event_nid."""
    assert event.state_key is not None and event.membership is not None, "it is a membership event"
    position = next_position(db)
    db.execute(
        "INSERT OR REPLACE INTO out_of_band_events"
        " (event_nid, room_nid, user_nid, event_id, pdu, shown_state, servers) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            -position,
            room_nid,
            intern_user(db, event.state_key),
            event.event_id,
            _encode(event.pdu),
            _encode(shown_state),
            _encode(list(servers)),
        ),
    )
    update_membership(
        db, event.state_key, room_nid, membership=event.membership, event_nid=-position, stream_position=position
    )
    return -position


def select_out_of_band(db: Db, event_nids: Iterable[int]) -> list[OutOfBandEvent]:
    """Those of the events that are still there."""
    rows = db.execute(
        "SELECT o.event_nid, o.room_nid, r.room_id, r.room_version, o.event_id, o.pdu FROM json_each(?) j"
        " CROSS JOIN out_of_band_events o ON o.event_nid = j.value JOIN rooms r ON r.room_nid = o.room_nid",
        (json.dumps(list(event_nids)),),
    )
    return [
        OutOfBandEvent(
            event_nid=event_nid,
            room_nid=room_nid,
            room_id=room_id,
            room_version=room_version,
            event_id=EventID(event_id),
            pdu=pdu,
        )
        for event_nid, room_nid, room_id, room_version, event_id, pdu in rows
    ]


def find_preview(db: Db, room_nid: int, user_id: str) -> Preview | None:
    """What the user was told of the room with their last out-of-band event."""
    row = db.execute(
        f"SELECT shown_state, servers FROM out_of_band_events WHERE room_nid = ? AND user_nid = {USER_NID % '?'}",
        (room_nid, user_id),
    ).fetchone()
    if row is None:
        return None
    return Preview(
        shown_state=json.loads(row[0]),
        servers=[ServerName(server) for server in json.loads(row[1])],
    )


def _encode(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
