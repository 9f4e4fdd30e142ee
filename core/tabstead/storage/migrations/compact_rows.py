"""Version 2, after its scripts: the rows of the first version's tables are moved into the compact ones, in slices.

A slice takes the first rows of an old table, writes them in the new form, reads them back, compares them with what
they were, and deletes the old ones: so nothing old goes that isn't there again, a slice that was killed has not
happened, and how far it got is what is left in the old tables. Their pages are used again for the new rows. An old
table that has become empty is dropped, and at last the file is cut, in slices too.

All SQL here is that of version 2 and stays as it is; of the rest of `storage`, only what encodes and decodes bytes is
used, whose formats are numbered and stay readable.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tabstead.protocol.canonical_json import JsonDict
from tabstead.storage.compaction.free_pages import shorten
from tabstead.storage.event_codec import (
    decode_content,
    decode_event,
    decode_proof,
    decode_references,
    encode_event,
    signing_keys,
)
from tabstead.storage.event_ids import decode_event_id, encode_event_id

Row: TypeAlias = tuple[Any, ...]

_ROWS: Final = 400
"""So many rows are moved in a slice: of events, less than a megabyte that is read and written."""
_PAGES: Final = 512
"""So many pages are cut off the file in a slice."""


class RowsDiffer(Exception):
    """What was written is not what was there before. A bug; the old rows are kept."""


def compact_rows(db: sqlite3.Connection) -> bool:
    """Do a slice. True when nothing is left to do."""
    left = _ROWS
    for table, move in _MOVES.items():
        if _is_there(db, table):
            left -= move(db, left)
            if left <= 0:
                return False
            db.execute(f"DROP TABLE {table}")
    return _give_back_space(db)


def count_left(db: sqlite3.Connection) -> int:
    """About how many events are still to be moved; the other rows are few. Looks at the ends of the table only."""
    table = "old_events" if _is_there(db, "names") else "events"
    if not _is_there(db, table):
        return 0
    first, last = db.execute(
        f"SELECT (SELECT MIN(event_nid) FROM {table}), (SELECT MAX(event_nid) FROM {table})"
    ).fetchone()
    return 0 if first is None else int(last - first + 1)


def _is_there(db: sqlite3.Connection, table: str) -> bool:
    return db.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchone() is not None


def _give_back_space(db: sqlite3.Connection) -> bool:
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    shorten(db, min(free, _PAGES))
    (still_free,) = db.execute("PRAGMA freelist_count").fetchone()
    return bool(still_free in (0, free))  # a file that can't be cut stays as long as it is


def _check(written: Sequence[Row], old: Sequence[Row], table: str) -> None:
    if written != old:
        raise RowsDiffer(f"Of {table}, {len(old)} rows from {old[:1]!r:.200} on were written otherwise.")


_EVENT_COLUMNS: Final = (
    "e.event_nid, e.room_nid, e.stream_position, e.depth, e.origin_server_ts, e.standing, e.state_before,"
    " e.redacted_by, e.device_id, e.transaction_id, e.tuple_nid"
)


def _move_events(db: sqlite3.Connection, limit: int) -> int:
    rows = db.execute(
        f"SELECT {_EVENT_COLUMNS}, e.event_id, e.type, e.sender, e.pdu FROM old_events e ORDER BY e.event_nid LIMIT ?",
        (limit,),
    ).fetchall()
    old = [(*row[:-1], _sorted(json.loads(row[-1]))) for row in rows]
    pdus: list[JsonDict] = [json.loads(row[-1]) for row in rows]
    event_nids = _known(db, pdus) | {row[-4]: row[0] for row in rows}
    for row, pdu in zip(rows, pdus, strict=True):
        _insert_event(db, row, pdu, event_nids)
    if rows:
        _check(_read_events(db, rows[0][0], rows[-1][0]), old, "events")
        db.execute("DELETE FROM old_events WHERE event_nid <= ?", (rows[-1][0],))
    return len(rows)


def _insert_event(db: sqlite3.Connection, row: Row, pdu: JsonDict, event_nids: dict[str, int]) -> None:
    *columns, event_id, event_type, sender, _ = row
    names = {name: _intern_name(db, name) for name in (event_type, *(signing_keys(pdu) or ()))}
    values = (
        *columns,
        names[event_type],
        _intern_user(db, sender),
        "url" in pdu["content"],
        *encode_event_id(event_id),
        *encode_event(pdu, event_nids, names),
    )
    db.execute(
        "INSERT INTO events (event_nid, room_nid, stream_position, depth, origin_server_ts, standing, state_before,"
        " redacted_by, device_id, transaction_id, tuple_nid, type, sender, has_url, id_key, id_rest, content, proof)"
        f" VALUES ({', '.join('?' * len(values))})",
        values,
    )


def _read_events(db: sqlite3.Connection, first: int, last: int) -> list[Row]:
    """New rows in the form of the old ones."""
    rows = db.execute(
        f"SELECT {_EVENT_COLUMNS}, r.room_id, t.state_key, n.name, s.state_key, e.id_key, e.id_rest, e.content, e.proof"
        " FROM events e CROSS JOIN rooms r USING (room_nid) CROSS JOIN names n ON n.name_nid = e.type"
        " CROSS JOIN state_tuples s ON s.tuple_nid = e.sender LEFT JOIN state_tuples t ON t.tuple_nid = e.tuple_nid"
        " WHERE e.event_nid BETWEEN ? AND ? ORDER BY e.event_nid",
        (first, last),
    ).fetchall()
    proofs = [decode_proof(row[-1]) for row in rows]
    event_ids = _event_ids(db, {event_nid for row in rows for event_nid in decode_references(row[-1])})
    names = dict(db.execute("SELECT name_nid, name FROM names").fetchall())
    found = []
    for row, proof in zip(rows, proofs, strict=True):
        *columns, room_id, state_key, event_type, sender, id_key, id_rest, packed, _ = row
        content, extras = decode_content(packed)
        fields = {
            "content": content,
            "depth": columns[3],
            "origin_server_ts": columns[4],
            "room_id": room_id,
            "sender": sender,
            "type": event_type,
            **({} if state_key is None else {"state_key": state_key}),
        }
        pdu = decode_event(fields, extras, proof, event_ids, names)
        found.append((*columns, decode_event_id(id_key, id_rest), event_type, sender, _sorted(pdu)))
    return found


def _known(db: sqlite3.Connection, pdus: Iterable[JsonDict]) -> dict[str, int]:
    """The numbers of events that these refer to and that are in the new table."""
    references = {each for pdu in pdus for each in (*pdu["prev_events"], *pdu["auth_events"]) if isinstance(each, str)}
    rows = db.execute(
        "SELECT e.event_nid, e.id_key, e.id_rest FROM json_each(?) j CROSS JOIN events e ON e.id_key = j.value",
        (json.dumps([encode_event_id(event_id)[0] for event_id in references]),),
    )
    return {decode_event_id(id_key, id_rest): event_nid for event_nid, id_key, id_rest in rows}


def _event_ids(db: sqlite3.Connection, event_nids: Iterable[int]) -> dict[int, str]:
    rows = db.execute(
        "SELECT e.event_nid, e.id_key, e.id_rest FROM json_each(?) j CROSS JOIN events e ON e.event_nid = j.value",
        (json.dumps(list(event_nids)),),
    )
    return {event_nid: decode_event_id(id_key, id_rest) for event_nid, id_key, id_rest in rows}


def _sorted(pdu: JsonDict) -> str:
    return json.dumps(pdu, sort_keys=True)


def _intern_name(db: sqlite3.Connection, name: str) -> int:
    row = db.execute("SELECT name_nid FROM names WHERE name = ?", (name,)).fetchone()
    if row is None:
        row = db.execute("INSERT INTO names (name) VALUES (?) RETURNING name_nid", (name,)).fetchone()
    return int(row[0])


def _intern_user(db: sqlite3.Connection, user_id: str) -> int:
    of_user = ("m.room.member", user_id)
    row = db.execute("SELECT tuple_nid FROM state_tuples WHERE type = ? AND state_key = ?", of_user).fetchone()
    if row is None:
        row = db.execute(
            "INSERT INTO state_tuples (type, state_key) VALUES (?, ?) RETURNING tuple_nid", of_user
        ).fetchone()
    return int(row[0])


def _move_relations(db: sqlite3.Connection, limit: int) -> int:
    old = db.execute(
        "SELECT event_nid, relates_to, relation_type, aggregation_key FROM old_event_relations"
        " ORDER BY event_nid LIMIT ?",
        (limit,),
    ).fetchall()
    pdus: list[JsonDict] = [{"prev_events": [row[1] for row in old], "auth_events": []}]
    event_nids = _known(db, pdus)
    for event_nid, relates_to, relation_type, aggregation_key in old:
        db.execute(
            "INSERT INTO event_relations (event_nid, relates_to, relation_type, aggregation_key) VALUES (?, ?, ?, ?)",
            (event_nid, event_nids.get(relates_to, relates_to), _intern_name(db, relation_type), aggregation_key),
        )
    if old:
        _check(_read_relations(db, old[0][0], old[-1][0]), old, "event_relations")
        db.execute("DELETE FROM old_event_relations WHERE event_nid <= ?", (old[-1][0],))
    return len(old)


def _read_relations(db: sqlite3.Connection, first: int, last: int) -> list[Row]:
    rows = db.execute(
        "SELECT r.event_nid, r.relates_to, n.name, r.aggregation_key, e.id_key, e.id_rest FROM event_relations r"
        " CROSS JOIN names n ON n.name_nid = r.relation_type LEFT JOIN events e ON e.event_nid = r.relates_to"
        " WHERE r.event_nid BETWEEN ? AND ? ORDER BY r.event_nid",
        (first, last),
    )
    return [
        (event_nid, target if isinstance(target, str) else decode_event_id(id_key, id_rest), name, key)
        for event_nid, target, name, key, id_key, id_rest in rows
    ]


_USER: Final = "(SELECT tuple_nid FROM state_tuples WHERE type = 'm.room.member' AND state_key = {})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _UserRows:
    """A table whose rows have a `user_id`, and then the number of the user."""

    old: str
    """The old rows, from the first one on; the key stands in the first columns."""
    key: tuple[str, ...]
    insert: str
    """A new row from the columns of an old one."""
    new: str
    """A new row, by the key, in the form of the old one."""

    def move(self, db: sqlite3.Connection, limit: int) -> int:
        old = db.execute(self.old, (limit,)).fetchall()
        db.create_function("event_id", 2, decode_event_id, deterministic=True)
        user = next(at for at, (name, *_) in enumerate(db.execute(self.old, (0,)).description) if name == "user_id")
        for row in old:
            _intern_user(db, row[user])
            db.execute(self.insert, row)
        keys = [row[: len(self.key)] for row in old]
        _check([db.execute(self.new, key).fetchone() for key in keys], old, self.table)
        db.executemany(f"DELETE FROM old_{self.table} WHERE {' AND '.join(f'{name} = ?' for name in self.key)}", keys)
        return len(old)

    @property
    def table(self) -> str:
        """The new one's name."""
        return self.insert.split()[2]


_MEMBERSHIPS: Final = _UserRows(
    old="SELECT user_id, room_nid, membership, event_nid, stream_position, joined_until, forgotten"
    " FROM old_memberships ORDER BY user_id, room_nid LIMIT ?",
    key=("user_id", "room_nid"),
    insert="INSERT INTO memberships (user_nid, room_nid, membership, event_nid, stream_position, joined_until,"
    f" forgotten) VALUES ({_USER.format('?')}, ?, ?, ?, ?, ?, ?)",
    new="SELECT u.state_key, m.room_nid, m.membership, m.event_nid, m.stream_position, m.joined_until, m.forgotten"
    " FROM memberships m JOIN state_tuples u ON u.tuple_nid = m.user_nid"
    f" WHERE m.user_nid = {_USER.format('?')} AND m.room_nid = ?",
)
_RECEIPTS: Final = _UserRows(
    old="SELECT stream_position, room_nid, user_id, receipt_type, thread_id, event_id, event_position, ts"
    " FROM old_receipts ORDER BY stream_position LIMIT ?",
    key=("stream_position",),
    insert="INSERT INTO receipts (stream_position, room_nid, user_nid, receipt_type, thread_id, event_position, ts)"
    f" VALUES (?1, ?2, {_USER.format('?3')}, ?4 = 'm.read.private', ?5, ?7, ?8)",
    new="SELECT r.stream_position, r.room_nid, u.state_key, iif(r.receipt_type, 'm.read.private', 'm.read'),"
    " r.thread_id, event_id(e.id_key, e.id_rest), r.event_position, r.ts FROM receipts r"
    " JOIN state_tuples u ON u.tuple_nid = r.user_nid JOIN events e ON e.stream_position = r.event_position"
    " WHERE r.stream_position = ?",
)
_PUSH_ACTIONS: Final = _UserRows(
    old="SELECT user_id, room_nid, event_position, thread_id, unread, highlights, actions"
    " FROM old_push_actions ORDER BY user_id, room_nid, event_position LIMIT ?",
    key=("user_id", "room_nid", "event_position"),
    insert="INSERT INTO push_actions (user_nid, room_nid, event_position, thread_id, unread, highlights, actions)"
    f" VALUES ({_USER.format('?')}, ?, ?, ?, ?, ?, ?)",
    new="SELECT u.state_key, p.room_nid, p.event_position, p.thread_id, p.unread, p.highlights, p.actions"
    " FROM push_actions p JOIN state_tuples u ON u.tuple_nid = p.user_nid"
    f" WHERE p.user_nid = {_USER.format('?')} AND p.room_nid = ? AND p.event_position = ?",
)

_MOVES: Final[dict[str, Callable[[sqlite3.Connection, int], int]]] = {
    "old_events": _move_events,
    "old_event_relations": _move_relations,  # what they relate to is there
    "old_memberships": _MEMBERSHIPS.move,
    "old_receipts": _RECEIPTS.move,
    "old_push_actions": _PUSH_ACTIONS.move,
}
"""How the rows of each old table are moved, at most so many; returns how many were. In this order."""
