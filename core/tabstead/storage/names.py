"""Strings that many rows repeat, interned as numbers: event types, relation types, signing keys.

Users are interned, too, each by the number of the state tuple that their memberships have: `intern_user`.
"""

import json
from collections.abc import Iterable
from typing import Final

from tabstead.storage.database import Db
from tabstead.storage.state_tuples import find_state_tuple, intern_state_tuple, select_state_tuples

MEMBER: Final = "m.room.member"

USER_NID: Final = f"(SELECT tuple_nid FROM state_tuples WHERE type = '{MEMBER}' AND state_key = %s)"
"""In SQL, with a parameter's name in place of %s: the number of a user; NULL for one that has none."""


def intern_name(db: Db, name: str) -> int:
    """The number of a name, given at its first use."""
    row = db.execute("SELECT name_nid FROM names WHERE name = ?", (name,)).fetchone()
    if row is None:
        row = db.execute("INSERT INTO names (name) VALUES (?) RETURNING name_nid", (name,)).fetchone()
    return int(row[0])


def select_names(db: Db, name_nids: Iterable[int]) -> dict[int, str]:
    rows = db.execute(
        "SELECT n.name_nid, n.name FROM json_each(?) j CROSS JOIN names n ON n.name_nid = j.value",
        (json.dumps(list(name_nids)),),
    )
    return dict(rows.fetchall())


def intern_user(db: Db, user_id: str) -> int:
    """The number of a user, given at the first use."""
    return intern_state_tuple(db, (MEMBER, user_id))


def find_user(db: Db, user_id: str) -> int | None:
    """The number of a user; None for one that no event and no mark is of."""
    return find_state_tuple(db, (MEMBER, user_id))


def select_users(db: Db, user_nids: Iterable[int]) -> dict[int, str]:
    """The users of these numbers."""
    return {user_nid: user_id for user_nid, (_, user_id) in select_state_tuples(db, user_nids).items()}
