"""The user directory: whose name has which words.

Triggers note in `directory_news` whose name is new; their words come in when somebody searches next.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryUser:
    user_id: str
    displayname: str | None
    avatar_url: str | None


def select_directory_news(db: Db, limit: int) -> list[tuple[str, str | None]]:
    """(user id, display name) of users whose words are not in the directory."""
    rows = db.execute(
        "SELECT n.user_id, p.value FROM directory_news n"
        " LEFT JOIN profile_fields p ON p.user_id = n.user_id AND p.name = 'displayname' LIMIT ?",
        (limit,),
    )
    return [(user_id, _parse(name)) for user_id, name in rows]


def update_words(db: Db, user_id: str, words: Iterable[str]) -> None:
    """Let the user be found by these words; they are no news any more."""
    text = " ".join(dict.fromkeys(words))
    db.execute("DELETE FROM directory_news WHERE user_id = ?", (user_id,))
    known = db.execute("SELECT user_nid, words FROM directory_users WHERE user_id = ?", (user_id,)).fetchone()
    if known is None:
        known = db.execute(
            "INSERT INTO directory_users (user_id, words) VALUES (?, ?) RETURNING user_nid, words", (user_id, text)
        ).fetchone()
    else:
        db.execute("INSERT INTO directory_words (directory_words, rowid, words) VALUES ('delete', ?, ?)", known)
        db.execute("UPDATE directory_users SET words = ? WHERE user_nid = ?", (text, known[0]))
    db.execute("INSERT INTO directory_words (rowid, words) VALUES (?, ?)", (known[0], text))


def walk_directory(db: Db, beginnings: Iterable[str]) -> Iterator[DirectoryUser]:
    """The users in whose names words begin with all of these, one by one."""
    expression = " AND ".join(f'"{beginning}"*' for beginning in beginnings)
    rows = db.execute(
        "SELECT u.user_id, name.value, picture.value FROM directory_words w"
        " CROSS JOIN directory_users u ON u.user_nid = w.rowid"
        " LEFT JOIN profile_fields name ON name.user_id = u.user_id AND name.name = 'displayname'"
        " LEFT JOIN profile_fields picture ON picture.user_id = u.user_id AND picture.name = 'avatar_url'"
        " WHERE directory_words MATCH ?",
        (expression,),
    )
    for user_id, name, picture in rows:
        yield DirectoryUser(user_id=user_id, displayname=_parse(name), avatar_url=_parse(picture))


def _parse(value: str | None) -> str | None:
    found = None if value is None else json.loads(value)
    return found if isinstance(found, str) else None
