"""Which events relate to which (`m.relates_to` with a `rel_type`). Redacted, soft-failed and rejected ones don't."""

import json
from collections.abc import Iterable

from tabstead.storage.database import Db


def insert_relation(db: Db, event_nid: int, relates_to: str, relation_type: str, aggregation_key: str | None) -> None:
    db.execute(
        "INSERT INTO event_relations (event_nid, relates_to, relation_type, aggregation_key) VALUES (?, ?, ?, ?)",
        (event_nid, relates_to, relation_type, aggregation_key),
    )


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
        " WHERE (?2 IS NULL OR r.relation_type = ?2) AND (?3 IS NULL OR e.type = ?3)"
        " AND e.room_nid = ?4 AND e.stream_position > ?5 AND e.stream_position <= ?6"
        f" ORDER BY e.stream_position {'ASC' if forwards else 'DESC'} LIMIT ?7",
        (_json(parents), relation_type, event_type, room_nid, after, up_to, limit),
    )
    return [event_nid for (event_nid,) in rows]


def select_related_ids(db: Db, room_nid: int, parents: Iterable[str]) -> list[str]:
    """The event ids of what relates to any of these events of the room."""
    rows = db.execute(
        "SELECT e.event_id FROM json_each(?) j CROSS JOIN event_relations r ON r.relates_to = j.value"
        " JOIN events e USING (event_nid) WHERE e.room_nid = ?",
        (_json(parents), room_nid),
    )
    return [event_id for (event_id,) in rows]


def select_relations_to(db: Db, event_ids: Iterable[str], relation_types: Iterable[str]) -> list[tuple[str, str, int]]:
    """(related event id, relation type, event_nid) of what relates to these events, in the order of the stream."""
    rows = db.execute(
        "SELECT r.relates_to, r.relation_type, r.event_nid FROM json_each(?) j"
        " CROSS JOIN event_relations r ON r.relates_to = j.value JOIN events e USING (event_nid)"
        " WHERE r.relation_type IN (SELECT value FROM json_each(?)) ORDER BY e.stream_position",
        (_json(event_ids), _json(relation_types)),
    )
    return rows.fetchall()


def is_related_to(db: Db, event_id: str, relation_types: Iterable[str] | None, senders: Iterable[str] | None) -> bool:
    """Whether an event relates to this one, in one of these ways and from one of these users, where given."""
    row = db.execute(
        "SELECT 1 FROM event_relations r JOIN events e USING (event_nid) WHERE r.relates_to = ?1"
        " AND (?2 IS NULL OR r.relation_type IN (SELECT value FROM json_each(?2)))"
        " AND (?3 IS NULL OR e.sender IN (SELECT value FROM json_each(?3))) LIMIT 1",
        (event_id, _json(relation_types), _json(senders)),
    ).fetchone()
    return row is not None


def has_annotation(db: Db, relates_to: str, event_type: str, key: str, sender: str) -> bool:
    """Whether a user's event of this type annotates the event with this key."""
    row = db.execute(
        "SELECT 1 FROM event_relations r JOIN events e USING (event_nid) WHERE r.relates_to = ?"
        " AND r.relation_type = 'm.annotation' AND r.aggregation_key = ? AND e.type = ? AND e.sender = ? LIMIT 1",
        (relates_to, key, event_type, sender),
    ).fetchone()
    return row is not None


def has_taken_part(db: Db, thread_root: str, user_id: str) -> bool:
    """Whether the user has an event in a thread."""
    row = db.execute(
        "SELECT 1 FROM event_relations r JOIN events e USING (event_nid)"
        " WHERE r.relates_to = ? AND r.relation_type = 'm.thread' AND e.sender = ? LIMIT 1",
        (thread_root, user_id),
    ).fetchone()
    return row is not None


def select_thread_roots(db: Db, room_nid: int, *, up_to: int) -> list[tuple[str, int]]:
    """The roots of the room's threads whose newest event is not after `up_to`, with that event's position.

    The thread with the newest event comes first.
    """
    rows = db.execute(
        "SELECT r.relates_to, MAX(e.stream_position) AS newest FROM event_relations r JOIN events e USING (event_nid)"
        " WHERE e.room_nid = ? AND r.relation_type = 'm.thread' GROUP BY r.relates_to"
        " HAVING newest <= ? ORDER BY newest DESC",
        (room_nid, up_to),
    )
    return rows.fetchall()


def find_relation(db: Db, event_id: str) -> tuple[str, str] | None:
    """(related event id, relation type) of an event, if it relates to another."""
    row = db.execute(
        "SELECT r.relates_to, r.relation_type FROM events e JOIN event_relations r USING (event_nid)"
        " WHERE e.event_id = ?",
        (event_id,),
    ).fetchone()
    return None if row is None else (row[0], row[1])


def _json(values: Iterable[str] | None) -> str | None:
    return None if values is None else json.dumps(list(values))
