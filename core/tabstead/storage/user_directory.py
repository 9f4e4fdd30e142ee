"""The user directory: whose name has which words.

Triggers note in `directory_news` whose name is new; their words come in when somebody searches next.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tabstead.storage.database import Db
from tabstead.storage.directory_words import delete_directory_news, is_found_clauses, update_directory_words


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryUser:
    user_id: str
    displayname: str | None
    avatar_url: str | None


def select_changed_names(db: Db, limit: int) -> list[tuple[str, str | None]]:
    """(user id, display name) of users whose words are not in the directory."""
    rows = db.execute(
        "SELECT n.subject, p.value FROM directory_news n"
        " LEFT JOIN profile_fields p ON p.user_id = n.subject AND p.name = 'displayname'"
        # Texts come after all numbers.
        " WHERE n.subject >= '' LIMIT ?",
        (limit,),
    )
    return [(user_id, _parse(name)) for user_id, name in rows]


def update_user_words(db: Db, user_id: str, words: Iterable[str]) -> None:
    """Let the user be found by these words; they are no news any more."""
    after = " ".join(dict.fromkeys(words))
    row = db.execute("SELECT words FROM directory_users WHERE user_id = ?", (user_id,)).fetchone()
    update_directory_words(db, user_id, before="" if row is None else row[0], after=after)
    db.execute("INSERT OR REPLACE INTO directory_users (user_id, words) VALUES (?, ?)", (user_id, after))
    delete_directory_news(db, user_id)


def walk_directory(db: Db, beginnings: Iterable[str]) -> Iterator[DirectoryUser]:
    """The users in whose names words begin with all of these, one by one."""
    clauses, parameters = is_found_clauses("u.user_id", beginnings)
    rows = db.execute(
        "SELECT u.user_id, name.value, picture.value FROM directory_users u"
        " LEFT JOIN profile_fields name ON name.user_id = u.user_id AND name.name = 'displayname'"
        " LEFT JOIN profile_fields picture ON picture.user_id = u.user_id AND picture.name = 'avatar_url'"
        f" WHERE {' AND '.join(clauses)}",
        parameters,
    )
    for user_id, name, picture in rows:
        yield DirectoryUser(user_id=user_id, displayname=_parse(name), avatar_url=_parse(picture))


def _parse(value: str | None) -> str | None:
    found = None if value is None else json.loads(value)
    return found if isinstance(found, str) else None
