"""Which events relate to which (`m.relates_to` with a `rel_type`). Redacted, soft-failed and rejected ones don't.

A row has the number of the event that it relates to, or its id, as long as that event is not here.
"""

import json
from collections.abc import Iterable
from typing import Final

from tabstead.storage.database import Db
from tabstead.storage.event_ids import decode_event_id, encode_event_id
from tabstead.storage.names import MEMBER, USER_NID, intern_name

_NAME: Final = "(SELECT name_nid FROM names WHERE name = {})"
_NAMES: Final = "(SELECT n.name_nid FROM json_each({}) j CROSS JOIN names n ON n.name = j.value)"
_USERS: Final = (
    "(SELECT u.tuple_nid FROM json_each({}) j CROSS JOIN state_tuples u"
    f" ON u.type = '{MEMBER}' AND u.state_key = j.value)"
)


def insert_relation(db: Db, event_nid: int, relates_to: str, relation_type: str, aggregation_key: str | None) -> None:
    db.execute(
        "INSERT INTO event_relations (event_nid, relates_to, relation_type, aggregation_key) VALUES (?, ?, ?, ?)",
        (
            event_nid,
            _targets(db, [relates_to]).get(relates_to, relates_to),
            intern_name(db, relation_type),
            aggregation_key,
        ),
    )


def update_relations_to(db: Db, event_id: str, event_nid: int) -> None:
    """The event is here now: what relates to it has its number."""
    db.execute("UPDATE event_relations SET relates_to = ? WHERE relates_to = ?", (event_nid, event_id))


def delete_relation(db: Db, event_nid: int) -> None:
    """The event was redacted: it relates to nothing any more."""
    db.execute("DELETE FROM event_relations WHERE event_nid = ?", (event_nid,))


def select_relating(
    db: Db,
    room_nid: int,
    parents: Iterable[str],
    *,
    relation_type: str | None = None,
    event_type: str | None = None,
    after: int,
    up_to: int,
    limit: int,
    forwards: bool = False,
) -> list[int]:
    """The event_nids of what relates to these events, with after < position <= up_to: newest first, or oldest first."""
    rows = db.execute(
        "SELECT e.event_nid FROM json_each(?1) j CROSS JOIN event_relations r ON r.relates_to = j.value"
        " JOIN events e USING (event_nid)"
        f" WHERE (?2 IS NULL OR r.relation_type = {_NAME.format('?2')})"
        f" AND (?3 IS NULL OR e.type = {_NAME.format('?3')})"
        " AND e.room_nid = ?4 AND e.stream_position > ?5 AND e.stream_position <= ?6"
        f" ORDER BY e.stream_position {'ASC' if forwards else 'DESC'} LIMIT ?7",
        (_numbers(db, parents), relation_type, event_type, room_nid, after, up_to, limit),
    )
    return [event_nid for (event_nid,) in rows]


def select_related_ids(db: Db, room_nid: int, parents: Iterable[str]) -> list[str]:
    """The event ids of what relates to any of these events of the room."""
    rows = db.execute(
        "SELECT e.id_key, e.id_rest FROM json_each(?) j CROSS JOIN event_relations r ON r.relates_to = j.value"
        " JOIN events e USING (event_nid) WHERE e.room_nid = ?",
        (_numbers(db, parents), room_nid),
    )
    return [decode_event_id(id_key, id_rest) for id_key, id_rest in rows]


def select_relations_to(db: Db, event_ids: Iterable[str], relation_types: Iterable[str]) -> list[tuple[str, str, int]]:
    """(related event id, relation type, event_nid) of what relates to these events, in the order of the stream."""
    targets = _targets(db, event_ids)
    rows = db.execute(
        "SELECT r.relates_to, n.name, r.event_nid FROM json_each(?) j"
        " CROSS JOIN event_relations r ON r.relates_to = j.value CROSS JOIN names n ON n.name_nid = r.relation_type"
        " JOIN events e USING (event_nid)"
        " WHERE n.name IN (SELECT value FROM json_each(?)) ORDER BY e.stream_position",
        (json.dumps(list(targets.values())), _json(relation_types)),
    )
    event_ids_by_number = {event_nid: event_id for event_id, event_nid in targets.items()}
    return [(event_ids_by_number[target], relation_type, event_nid) for target, relation_type, event_nid in rows]


def is_related_to(db: Db, event_id: str, relation_types: Iterable[str] | None, senders: Iterable[str] | None) -> bool:
    """Whether an event relates to this one, in one of these ways and from one of these users, where given."""
    row = db.execute(
        "SELECT 1 FROM event_relations r JOIN events e USING (event_nid) WHERE r.relates_to = ?1"
        f" AND (?2 IS NULL OR r.relation_type IN {_NAMES.format('?2')})"
        f" AND (?3 IS NULL OR e.sender IN {_USERS.format('?3')}) LIMIT 1",
        (_target(db, event_id), _json(relation_types), _json(senders)),
    ).fetchone()
    return row is not None


def has_annotation(db: Db, relates_to: str, event_type: str, key: str, sender: str) -> bool:
    """Whether a user's event of this type annotates the event with this key."""
    row = db.execute(
        "SELECT 1 FROM event_relations r JOIN events e USING (event_nid) WHERE r.relates_to = ?1"
        f" AND r.relation_type = {_NAME.format('?5')} AND r.aggregation_key = ?2 AND e.type = {_NAME.format('?3')}"
        f" AND e.sender = {USER_NID % '?4'} LIMIT 1",
        (_target(db, relates_to), key, event_type, sender, "m.annotation"),
    ).fetchone()
    return row is not None


def has_taken_part(db: Db, thread_root: str, user_id: str) -> bool:
    """Whether the user has an event in a thread."""
    row = db.execute(
        "SELECT 1 FROM event_relations r JOIN events e USING (event_nid) WHERE r.relates_to = ?1"
        f" AND r.relation_type = {_NAME.format('?3')} AND e.sender = {USER_NID % '?2'} LIMIT 1",
        (_target(db, thread_root), user_id, "m.thread"),
    ).fetchone()
    return row is not None


def select_thread_roots(db: Db, room_nid: int, *, up_to: int) -> list[tuple[str, int]]:
    """The roots of the room's threads whose newest event is not after `up_to`, with that event's position.

    The thread with the newest event comes first.
    """
    rows = db.execute(
        "SELECT r.relates_to, root.id_key, root.id_rest, MAX(e.stream_position) AS newest"
        " FROM event_relations r JOIN events e USING (event_nid) LEFT JOIN events root ON root.event_nid = r.relates_to"
        f" WHERE e.room_nid = ? AND r.relation_type = {_NAME.format('?')} GROUP BY r.relates_to"
        " HAVING newest <= ? ORDER BY newest DESC",
        (room_nid, "m.thread", up_to),
    )
    return [(_event_id(target, id_key, id_rest), newest) for target, id_key, id_rest, newest in rows]


def find_relation(db: Db, event_id: str) -> tuple[str, str] | None:
    """(related event id, relation type) of an event, if it relates to another."""
    row = db.execute(
        "SELECT r.relates_to, target.id_key, target.id_rest, n.name FROM event_relations r"
        " CROSS JOIN names n ON n.name_nid = r.relation_type LEFT JOIN events target ON target.event_nid = r.relates_to"
        " WHERE r.event_nid = ?",
        (_target(db, event_id),),
    ).fetchone()
    return None if row is None else (_event_id(*row[:3]), row[3])


def _event_id(target: int | str, id_key: int, id_rest: bytes | str) -> str:
    """The id of what a row relates to."""
    return target if isinstance(target, str) else decode_event_id(id_key, id_rest)


def _targets(db: Db, event_ids: Iterable[str]) -> dict[str, int]:
    """The numbers of those of the events that are here."""
    wanted = set(event_ids)
    rows = db.execute(
        "SELECT e.event_nid, e.id_key, e.id_rest FROM json_each(?) j CROSS JOIN events e ON e.id_key = j.value",
        (json.dumps([encode_event_id(event_id)[0] for event_id in wanted]),),
    )
    found = {decode_event_id(id_key, id_rest): event_nid for event_nid, id_key, id_rest in rows}
    return {event_id: event_nid for event_id, event_nid in found.items() if event_id in wanted}


def _target(db: Db, event_id: str) -> int | str:
    """What rows have that relate to the event."""
    return _targets(db, [event_id]).get(event_id, event_id)


def _numbers(db: Db, event_ids: Iterable[str]) -> str:
    return json.dumps(list(_targets(db, event_ids).values()))


def _json(values: Iterable[str] | None) -> str | None:
    return None if values is None else json.dumps(list(values))
