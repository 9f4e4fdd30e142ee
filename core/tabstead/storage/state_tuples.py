"""The keys of room state, (event type, state key), interned as numbers."""

import json
from collections.abc import Iterable

from tabstead.protocol.identifiers import StateTuple
from tabstead.storage.database import Db


def intern_state_tuple(db: Db, state_tuple: StateTuple) -> int:
    """The number of a state tuple, given at its first use."""
    found = find_state_tuple(db, state_tuple)
    if found is not None:
        return found
    row = db.execute(
        "INSERT INTO state_tuples (type, state_key) VALUES (?, ?) RETURNING tuple_nid", state_tuple
    ).fetchone()
    return int(row[0])


def find_state_tuple(db: Db, state_tuple: StateTuple) -> int | None:
    row = db.execute("SELECT tuple_nid FROM state_tuples WHERE type = ? AND state_key = ?", state_tuple).fetchone()
    return None if row is None else int(row[0])


def select_state_tuples(db: Db, tuple_nids: Iterable[int], types: Iterable[str] | None = None) -> dict[int, StateTuple]:
    """The state tuples of these numbers; only those of the types, if types are given."""
    sql = (
        "SELECT t.tuple_nid, t.type, t.state_key FROM json_each(?) j CROSS JOIN state_tuples t ON t.tuple_nid = j.value"
    )
    parameters = [json.dumps(list(tuple_nids))]
    if types is not None:
        sql += " WHERE t.type IN (SELECT value FROM json_each(?))"
        parameters.append(json.dumps(list(types)))
    return {tuple_nid: (event_type, state_key) for tuple_nid, event_type, state_key in db.execute(sql, parameters)}
