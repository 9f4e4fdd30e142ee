"""Every index costs bytes and time at each write: each is there for a query that uses it."""

import re
import sqlite3
from pathlib import Path

import pytest

from helpers.statements import STATEMENTS
from tabstead.storage.database import Db
from tabstead.storage.migrations import migrate_step

TESTS = Path(__file__).parents[1]


def new_database() -> Db:
    db = sqlite3.connect(":memory:", isolation_level=None)
    while not migrate_step(db):
        pass
    return db


def indexes_used_by(db: Db, sql: str, parameters: int) -> set[str]:
    """Those that SQLite's plan for a statement names; none for a statement that isn't one on this schema."""
    try:
        plan = db.execute(f"EXPLAIN QUERY PLAN {sql}", (None,) * parameters).fetchall()
    except sqlite3.Error:
        return set()
    return {name for *_, detail in plan for name in re.findall(r"USING (?:COVERING )?INDEX (\w+)", detail)}


def unused_indexes(db: Db, statements: dict[str, int]) -> set[str]:
    created = db.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
    used = (indexes_used_by(db, sql, parameters) for sql, parameters in statements.items())
    return {name for (name,) in created}.difference(*used)


@pytest.mark.after_all_others
def test_every_index_is_used_by_a_statement_that_the_tests_run(request: pytest.FixtureRequest) -> None:
    folders = {Path(str(item.path)).relative_to(TESTS).parts[0] for item in request.session.items}
    if not {"client_api", "conformance", "rooms", "storage", "sync"} <= folders:
        pytest.skip("of some tests only")
    assert unused_indexes(new_database(), dict(STATEMENTS)) == set()


def test_an_index_that_no_query_uses_is_noticed() -> None:
    db = new_database()
    db.execute("CREATE INDEX events_by_depth ON events (depth)")
    statements = {"SELECT 1 FROM events WHERE depth = ?": 1, "SELECT 1 FROM events WHERE id_key = ?": 1, "not SQL": 0}
    assert "events_by_depth" not in unused_indexes(db, statements)
    del statements["SELECT 1 FROM events WHERE depth = ?"]
    unused = unused_indexes(db, statements)
    assert "events_by_depth" in unused
    assert "events_by_id" not in unused
