"""What /sync asks across table groups. Every query about changes takes time by what changed, or by the user's rooms,
whichever is less; none by what the server holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from tabstead.protocol.filters import EventFilter
from tabstead.storage.current_state import find_current
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, select_events
from tabstead.storage.memberships import SELECT_MEMBERSHIP, Membership, membership_of_row
from tabstead.storage.names import USER_NID

_SHORT_WINDOW: Final = 256
"""So many positions are looked through one by one; in a longer window each room of the user is asked for its last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipChange:
    """One change of a user's membership in a room's current state; None where there was, or is, none."""

    previous: str | None
    membership: str | None


def select_changed_memberships(db: Db, user_id: str, *, after: int, up_to: int) -> list[Membership]:
    """The user's memberships whose member event changed last with after < position <= up_to."""
    rows = db.execute(
        f"{SELECT_MEMBERSHIP} WHERE m.user_nid = {USER_NID % '?'} AND m.stream_position > ? AND m.stream_position <= ?",
        (user_id, after, up_to),
    )
    return list(map(membership_of_row, rows))


def select_joined_rooms_with_news(db: Db, user_id: str, *, after: int, up_to: int) -> set[int]:
    """The room_nids of the rooms that the user is joined to and whose timeline grew with after < position <= up_to."""
    if up_to - after <= _SHORT_WINDOW:
        sql = (
            "SELECT DISTINCT e.room_nid FROM events e CROSS JOIN memberships m"
            f" ON m.user_nid = {USER_NID % '?1'} AND m.room_nid = e.room_nid AND m.membership = 'join'"
            " WHERE e.stream_position > ?2 AND e.stream_position <= ?3 AND e.standing = 0"
        )
    else:
        sql = (
            f"SELECT m.room_nid FROM memberships m WHERE m.user_nid = {USER_NID % '?1'} AND m.membership = 'join'"
            " AND EXISTS (SELECT 1 FROM events e WHERE e.room_nid = m.room_nid"
            " AND e.stream_position > ?2 AND e.stream_position <= ?3)"
        )
    return {room_nid for (room_nid,) in db.execute(sql, (user_id, after, up_to))}


def select_membership_history(db: Db, user_id: str, room_nid: int, *, after: int, up_to: int) -> list[MembershipChange]:
    """How the user's membership changed with after < position <= up_to, the oldest first; profile changes too."""
    rows = db.execute(
        "SELECT c.previous_nid, c.event_nid"
        " FROM state_tuples t JOIN current_state_changes c ON c.tuple_nid = t.tuple_nid"
        " WHERE t.type = 'm.room.member' AND t.state_key = ? AND c.room_nid = ?"
        " AND c.stream_position > ? AND c.stream_position <= ? ORDER BY c.stream_position",
        (user_id, room_nid, after, up_to),
    ).fetchall()
    members = select_events(db, {event_nid for row in rows for event_nid in row if event_nid is not None})
    return [
        MembershipChange(previous=_membership_of(members.get(before)), membership=_membership_of(members.get(now)))
        for before, now in rows
    ]


def select_filtered_timeline(
    db: Db,
    room_nid: int,
    *,
    after: int,
    up_to: int,
    limit: int,
    event_filter: EventFilter,
    ignored_users: Iterable[str] = (),
) -> list[PersistedEvent]:
    """The newest `limit` events of the timeline with after < position <= up_to that pass, the newest first.

    Of ignored users only state events pass.
    """
    clauses, parameters = _filter_clauses(event_filter)
    for user_id in ignored_users:
        clauses.append(f"(NOT {_SENDER} OR tuple_nid IS NOT NULL)")
        parameters.append(user_id)
    rows = db.execute(
        "SELECT event_nid FROM events WHERE room_nid = ? AND stream_position > ? AND stream_position <= ?"
        f" AND standing = 0{''.join(' AND ' + clause for clause in clauses)}"
        " ORDER BY stream_position DESC LIMIT ?",
        (room_nid, after, up_to, *parameters, limit),
    )
    return list(select_events(db, [event_nid for (event_nid,) in rows]).values())


def find_entry_at(db: Db, room_nid: int, event_type: str, state_key: str, position: int) -> int | None:
    """The event_nid of a state event of the room's state as it was at the position."""
    row = db.execute(
        "SELECT c.previous_nid FROM state_tuples t JOIN current_state_changes c USING (tuple_nid)"
        " WHERE t.type = ? AND t.state_key = ? AND c.room_nid = ? AND c.stream_position > ?"
        " ORDER BY c.stream_position LIMIT 1",
        (event_type, state_key, room_nid, position),
    ).fetchone()
    return find_current(db, room_nid, event_type, state_key) if row is None else row[0]


def _membership_of(member: PersistedEvent | None) -> str | None:
    return None if member is None else member.event.membership


def select_heroes(db: Db, room_nid: int, user_id: str, limit: int) -> list[str]:
    """The first members after whom a nameless room is called: joined or invited ones, else those who are gone."""
    for memberships in ("'join', 'invite'", "'leave', 'ban'"):
        rows = db.execute(
            "SELECT u.state_key FROM memberships m CROSS JOIN state_tuples u ON u.tuple_nid = m.user_nid"
            f" WHERE m.room_nid = ? AND m.membership IN ({memberships}) AND u.state_key <> ?"
            " ORDER BY m.stream_position, u.state_key LIMIT ?",
            (room_nid, user_id, limit),
        ).fetchall()
        if rows:
            return [hero for (hero,) in rows]
    return []


def _filter_clauses(event_filter: EventFilter) -> tuple[list[str], list[str]]:
    """Conditions on rows of `events`, and their parameters."""
    conditions = [
        *([] if event_filter.types is None else [_of_types(event_filter.types)]),
        *([_not(_of_types(event_filter.not_types))] if event_filter.not_types else []),
        *([] if event_filter.senders is None else [_of_senders(event_filter.senders)]),
        *([_not(_of_senders(event_filter.not_senders))] if event_filter.not_senders else []),
    ]
    if event_filter.contains_url is not None:
        conditions.append(("has_url" if event_filter.contains_url else "NOT has_url", []))
    clauses = [clause for clause, _ in conditions]
    return clauses, [parameter for _, parameters in conditions for parameter in parameters]


_Condition: TypeAlias = tuple[str, list[str]]
"""A clause, and its parameters."""

_SENDER: Final = f"sender IS {USER_NID % '?'}"
"""Nobody is the sender that isn't known: IS has an answer for NULL, too."""


def _of_types(types: Iterable[str]) -> _Condition:
    patterns = [_escape_glob(pattern) if "*" in pattern else pattern for pattern in types]
    terms = ["name GLOB ?" if "*" in pattern else "name = ?" for pattern in patterns]
    return _any([f"type IN (SELECT name_nid FROM names WHERE {term})" for term in terms], patterns)


def _of_senders(senders: Iterable[str]) -> _Condition:
    values = sorted(senders)
    return _any([_SENDER] * len(values), values)


def _any(terms: list[str], parameters: list[str]) -> _Condition:
    return f"({' OR '.join(terms) or '0'})", parameters


def _not(condition: _Condition) -> _Condition:
    clause, parameters = condition
    return f"NOT {clause}", parameters


def _escape_glob(pattern: str) -> str:
    """A pattern in which `*` alone is special, as SQLite's GLOB has it."""
    return pattern.replace("[", "[[]").replace("?", "[?]")
