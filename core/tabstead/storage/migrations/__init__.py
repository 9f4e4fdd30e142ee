"""The schema's history: an append-only tuple of migrations.

A database's version is the number of those it has had.

A migration takes the open transaction and returns whether it is finished. A long one does a slice and returns False: it
is called again, each time in a transaction of its own, also after a restart; so it finds in the database itself how far
it got. A migration that was released is never changed.
"""

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, TypeAlias

from tabstead.errors import DatabaseTooNew, StorageUnavailable

Migration: TypeAlias = Callable[[sqlite3.Connection], bool]

APPLICATION_ID: Final = 0x54616273
"""Marks an SQLite file as Tabstead's, so that an import can tell: "Tabs"."""


def _run_scripts(folder: str, db: sqlite3.Connection) -> bool:
    """Every table group's file of a version, in the order of their names."""
    for script in _read_scripts(folder):
        for statement in split_statements(script):
            db.execute(statement)
    return True


def _version_2(db: sqlite3.Connection) -> bool:
    from tabstead.storage.migrations import compact_rows  # a current database needs none of it

    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'names'").fetchone() is None:
        _run_scripts("v2", db)
    return compact_rows.compact_rows(db)


MIGRATIONS: Final[tuple[Migration, ...]] = (partial(_run_scripts, "v1"), _version_2)


def is_current(db: sqlite3.Connection) -> bool:
    """Whether the database has had all migrations.

    Raises DatabaseTooNew when it had more, StorageUnavailable when it isn't one of ours.
    """
    _check_ours(db)
    version = _schema_version(db)
    if version > len(MIGRATIONS):
        raise DatabaseTooNew(
            f"The database has schema version {version}; this Tabstead knows those up to {len(MIGRATIONS)}."
        )
    return version == len(MIGRATIONS)


def migrate_step(db: sqlite3.Connection) -> bool:
    """Do the next slice of the next migration. True when the database is current."""
    if is_current(db):
        return True
    version = _schema_version(db)
    if version == 0:
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    if MIGRATIONS[version](db):
        db.execute(f"PRAGMA user_version = {version + 1}")
    return is_current(db)


def count_left(db: sqlite3.Connection) -> int:
    """About how many events are still to be moved into the current version's tables."""
    if is_current(db):
        return 0
    from tabstead.storage.migrations import compact_rows

    return compact_rows.count_left(db)


def split_statements(script: str) -> Iterator[str]:
    """The statements of a script. (`executescript` would commit the open transaction.)"""
    statement = ""
    *pieces, rest = script.split(";")
    for piece in pieces:
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if _has_code(statement + rest):
        raise ValueError("The script's last statement is not complete.")


def _has_code(text: str) -> bool:
    return any(line.strip() and not line.strip().startswith("--") for line in text.splitlines())


def _read_scripts(folder: str) -> list[str]:
    from importlib.resources import files  # only a new database needs it

    scripts = [entry for entry in (files(__name__) / folder).iterdir() if entry.name.endswith(".sql")]
    return [entry.read_text("utf-8") for entry in sorted(scripts, key=lambda entry: entry.name)]


def _check_ours(db: sqlite3.Connection) -> None:
    """Leave another application's tables alone. Raises StorageUnavailable."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID and db.execute("SELECT EXISTS (SELECT 1 FROM sqlite_schema)").fetchone()[0]:
        raise StorageUnavailable("The database belongs to another application.")


def _schema_version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
