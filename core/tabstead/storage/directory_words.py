"""Words by which users and rooms are found, and which of them are out of date.

A subject is a user id or a room_nid.
"""

from collections.abc import Iterable
from typing import TypeAlias

from tabstead.storage.database import Db

Subject: TypeAlias = str | int

_LAST: str = "\U0010ffff"
"""No word has it, so it ends the words that have a beginning in common."""


def insert_directory_news(db: Db, subject: Subject) -> None:
    """Note that a subject has changed."""
    db.execute("INSERT OR IGNORE INTO directory_news (subject) VALUES (?)", (subject,))


def delete_directory_news(db: Db, subject: Subject) -> None:
    """The subject's row is up to date, or nobody's business any more."""
    db.execute("DELETE FROM directory_news WHERE subject = ?", (subject,))


def update_directory_words(db: Db, subject: Subject, *, before: str, after: str) -> None:
    """Change the words, separated by spaces, by which a subject is found."""
    old, new = set(before.split()), set(after.split())
    db.executemany(
        "DELETE FROM directory_words WHERE word = ? AND subject = ?", [(word, subject) for word in old - new]
    )
    db.executemany("INSERT INTO directory_words (word, subject) VALUES (?, ?)", [(word, subject) for word in new - old])


def is_found_clauses(column: str, beginnings: Iterable[str]) -> tuple[list[str], list[str]]:
    """Conditions on a column of subjects: their words begin with all of these; and the conditions' parameters."""
    bounds = [(beginning, beginning + _LAST) for beginning in beginnings]
    clause = f"{column} IN (SELECT subject FROM directory_words WHERE word >= ? AND word < ?)"
    return [clause] * len(bounds), [bound for pair in bounds for bound in pair]
