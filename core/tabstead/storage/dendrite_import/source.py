"""Dendrite's roomserver database, in the SQLite layout that it has had since version 0.4.0, read and never written.

Events, rooms, event types and state keys have numeric ids ("NIDs"). An event names the *snapshot* of the state before
it, 0 where it has no place in the room's history. A snapshot is a list of *blocks*, a block a list of state events.
To read a snapshot, its blocks are gone through in the order of their NIDs, and what a later one says about a state
tuple overrides what an earlier one said. (Dendrite, roomserver/storage/sqlite3)

A database that other code has open is read as it was when reading began: one transaction lasts as long as the object.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from tabstead.errors import ImportRefused

EventKey: TypeAlias = tuple[int, int, int]
"""(room NID, depth, event NID): events sorted by it come after what they refer to, if their depths are honest."""

_COLUMNS: Final = {
    "roomserver_events": "event_nid room_nid event_id depth state_snapshot_nid sent_to_output is_rejected",
    "roomserver_event_json": "event_nid event_json",
    "roomserver_event_state_keys": "event_state_key_nid event_state_key",
    "roomserver_rooms": "room_nid room_id latest_event_nids state_snapshot_nid room_version",
    "roomserver_room_aliases": "alias room_id creator_id",
    "roomserver_redactions": "redaction_event_id redacts_event_id validated",
    "roomserver_membership": "room_nid target_nid target_local forgotten",
    "roomserver_invites": "invite_event_id retired",
    "roomserver_published": "room_id published",
    "roomserver_state_block": "state_block_nid event_nids",
    "roomserver_state_snapshots": "state_snapshot_nid state_block_nids",
}
"""What is read of each table: that all of it is there says that this is such a database."""

_SELECT_ROOM: Final = (
    "SELECT room_nid, room_id, room_version, latest_event_nids, state_snapshot_nid FROM roomserver_rooms"
)

_HISTORY: Final = """
    WITH RECURSIVE taken (event_nid) AS (
        SELECT event_nid FROM roomserver_events WHERE sent_to_output
        UNION
        SELECT e.event_nid FROM taken JOIN roomserver_event_json USING (event_nid)
        JOIN json_each(event_json, '$.prev_events') AS prev
        CROSS JOIN roomserver_events e ON e.event_id = iif(prev.type = 'array', prev.value ->> 0, prev.value)
        WHERE e.state_snapshot_nid <> 0 AND NOT e.is_rejected
    )
    SELECT event_nid FROM taken JOIN roomserver_events USING (event_nid) WHERE NOT sent_to_output
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRoom:
    room_nid: int
    room_id: str
    room_version: str
    latest_event_nids: tuple[int, ...]
    """The forward extremities."""
    snapshot: int
    """The current state; 0 for a room that this server only heard of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEvent:
    event_nid: int
    room_nid: int
    event_id: str
    snapshot: int
    """Of the state before it; 0 for an outlier."""
    is_sent: bool
    """Whether it was passed on to clients when it came: soft-failed events and backfilled ones were not."""
    is_rejected: bool
    json: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReference:
    """What one needs to know of an event that another refers to."""

    event_nid: int
    snapshot: int


class RoomserverSource:
    """An open roomserver database."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises ImportRefused if it is not there or not such a database."""
        if not path.is_file():
            raise ImportRefused(f"{path} is not there.")
        self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            self._db.execute("PRAGMA temp_store=FILE")  # sorting must not take the memory
            self._db.execute("BEGIN")
            _check_tables(self._db, path)
        except sqlite3.Error as error:
            self._db.close()
            raise ImportRefused(f"{path} can't be read: {error}.") from error
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    def fingerprint(self) -> str:
        """What changes when anything is added: an import goes on only with the database that it began with."""
        return json.dumps(
            self._db.execute(
                "SELECT (SELECT max(event_nid) FROM roomserver_events),"
                " (SELECT max(state_snapshot_nid) FROM roomserver_state_snapshots),"
                " (SELECT json_group_array(latest_event_nids) FROM roomserver_rooms)"
            ).fetchone()
        )

    def count_events(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM roomserver_events").fetchone()[0])

    def count_pending_invites(self) -> int:
        """Invites into rooms of other servers that nobody has answered."""
        return int(
            self._db.execute(
                "SELECT count(*) FROM roomserver_invites JOIN roomserver_rooms USING (room_nid)"
                " WHERE NOT retired AND roomserver_rooms.state_snapshot_nid = 0"
            ).fetchone()[0]
        )

    def select_rooms(self) -> list[SourceRoom]:
        return [_room(row) for row in self._db.execute(f"{_SELECT_ROOM} ORDER BY room_nid")]

    def find_next_room(self, after: int) -> SourceRoom | None:
        """The room with the next higher NID."""
        row = self._db.execute(f"{_SELECT_ROOM} WHERE room_nid > ? ORDER BY room_nid LIMIT 1", (after,)).fetchone()
        return None if row is None else _room(row)

    def select_local_domains(self) -> set[str]:
        """The server names of the users whom Dendrite takes for its own."""
        rows = self._db.execute(
            "SELECT DISTINCT substr(event_state_key, instr(event_state_key, ':') + 1) FROM roomserver_membership"
            " JOIN roomserver_event_state_keys ON event_state_key_nid = target_nid WHERE target_local"
        )
        return {domain for (domain,) in rows}

    def select_local_users(self, *, after: str, limit: int) -> list[str]:
        """The users whom Dendrite takes for its own, by user ID."""
        rows = self._db.execute(
            "SELECT DISTINCT event_state_key FROM roomserver_membership"
            " JOIN roomserver_event_state_keys ON event_state_key_nid = target_nid"
            " WHERE target_local AND event_state_key > ? ORDER BY event_state_key LIMIT ?",
            (after, limit),
        )
        return [user_id for (user_id,) in rows]

    def select_forgotten(self) -> list[tuple[int, str]]:
        """(room NID, user ID) of the local users who forgot a room."""
        return self._db.execute(
            "SELECT room_nid, event_state_key FROM roomserver_membership"
            " JOIN roomserver_event_state_keys ON event_state_key_nid = target_nid"
            " WHERE target_local AND forgotten ORDER BY room_nid, target_nid"
        ).fetchall()

    def select_aliases(self) -> list[tuple[str, str, str]]:
        """(alias, room ID, user who made it)"""
        return self._db.execute(
            "SELECT alias, room_id, creator_id FROM roomserver_room_aliases ORDER BY alias"
        ).fetchall()

    def select_published(self) -> list[str]:
        """The IDs of the rooms in the directory."""
        rows = self._db.execute("SELECT DISTINCT room_id FROM roomserver_published WHERE published ORDER BY room_id")
        return [room_id for (room_id,) in rows]

    def select_event_keys(self, after: EventKey | None) -> Iterator[EventKey]:
        """The keys of all events, in their order."""
        return self._db.execute(
            "SELECT room_nid, depth, event_nid FROM roomserver_events WHERE (room_nid, depth, event_nid) > (?, ?, ?)"
            " ORDER BY room_nid, depth, event_nid",
            after or (0, 0, 0),
        )

    def select_event_nids(self, *, after: int, limit: int) -> list[int]:
        rows = self._db.execute(
            "SELECT event_nid FROM roomserver_events WHERE event_nid > ? ORDER BY event_nid LIMIT ?", (after, limit)
        )
        return [event_nid for (event_nid,) in rows]

    def select_history(self) -> Iterator[int]:
        """The NIDs of events that were not sent to clients as they came, and that an accepted event refers to.

        They were backfilled. Those nobody accepted refers to were soft-failed: Dendrite notes neither.
        """
        for (event_nid,) in self._db.execute(_HISTORY):
            yield event_nid

    def get_event(self, event_nid: int) -> SourceEvent:
        """Raises ImportRefused where the event's JSON is missing or none."""
        row = self._db.execute(
            "SELECT room_nid, event_id, state_snapshot_nid, sent_to_output, is_rejected, event_json"
            " FROM roomserver_events LEFT JOIN roomserver_event_json USING (event_nid) WHERE event_nid = ?",
            (event_nid,),
        ).fetchone()
        if row is None:
            raise ImportRefused(f"The Dendrite database is damaged: event {event_nid} is missing.")
        room_nid, event_id, snapshot, is_sent, is_rejected, text = row
        parsed = decode_json(text)
        if not isinstance(parsed, dict):
            raise ImportRefused(f"The Dendrite database is damaged: there is no JSON of event {event_id}.")
        return SourceEvent(
            event_nid=event_nid,
            room_nid=room_nid,
            event_id=event_id,
            snapshot=snapshot,
            is_sent=bool(is_sent),
            is_rejected=bool(is_rejected),
            json=parsed,
        )

    def select_references(self, event_ids: Iterable[str]) -> dict[str, SourceReference]:
        """Those of the events that are there."""
        rows = self._db.execute(
            "SELECT e.event_id, e.event_nid, e.state_snapshot_nid FROM json_each(?) j"
            " CROSS JOIN roomserver_events e ON e.event_id = j.value",
            (json.dumps(list(event_ids)),),
        )
        return {
            event_id: SourceReference(event_nid=event_nid, snapshot=snapshot) for event_id, event_nid, snapshot in rows
        }

    def find_redaction(self, redaction_id: str) -> tuple[str, bool] | None:
        """(event that a redaction redacts, whether it was applied), of a redaction that was accepted."""
        row = self._db.execute(
            "SELECT redacts_event_id, validated FROM roomserver_redactions WHERE redaction_event_id = ?",
            (redaction_id,),
        ).fetchone()
        return None if row is None else (row[0], bool(row[1]))

    def get_blocks(self, snapshot: int) -> tuple[int, ...]:
        """The NIDs of a snapshot's blocks, in the order in which they override each other."""
        row = self._db.execute(
            "SELECT state_block_nids FROM roomserver_state_snapshots WHERE state_snapshot_nid = ?", (snapshot,)
        ).fetchone()
        if row is None:
            raise ImportRefused(f"The Dendrite database is damaged: state snapshot {snapshot} is missing.")
        return tuple(sorted(_numbers(row[0])))

    def get_block(self, block_nid: int) -> tuple[int, ...]:
        """The NIDs of a block's events."""
        row = self._db.execute(
            "SELECT event_nids FROM roomserver_state_block WHERE state_block_nid = ?", (block_nid,)
        ).fetchone()
        if row is None:
            raise ImportRefused(f"The Dendrite database is damaged: state block {block_nid} is missing.")
        return tuple(sorted(_numbers(row[0])))


def _room(row: tuple[int, str, str, str, int]) -> SourceRoom:
    room_nid, room_id, room_version, latest_event_nids, snapshot = row
    return SourceRoom(
        room_nid=room_nid,
        room_id=room_id,
        room_version=room_version,
        latest_event_nids=_numbers(latest_event_nids),
        snapshot=snapshot,
    )


def decode_json(text: str | bytes | None) -> Any:
    """The value, None for what is no JSON."""
    try:
        return json.loads(text or "null")
    except (TypeError, ValueError):
        return None


def _check_tables(db: sqlite3.Connection, path: Path) -> None:
    for table, wanted in _COLUMNS.items():
        columns = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        if not columns.issuperset(wanted.split()):
            raise ImportRefused(
                f"{path} is not a roomserver database in the layout of Dendrite 0.4.0 or later: {table} is missing or"
                " other. A database of an older version is brought up to date by running Dendrite 0.4.0 on it once."
            )


def _numbers(encoded: str | bytes) -> tuple[int, ...]:
    """Dendrite writes an empty list as `null`, too."""
    return tuple(json.loads(encoded) or ())
