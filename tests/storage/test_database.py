"""The database on CPython: the contract on a file and in memory, and what only a file has."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tabstead.errors import StorageFull, StorageUnavailable
from tabstead.storage import migrations
from tabstead.storage.database import Database, Db

pytest.register_assert_rewrite("database_contract")

from database_contract import (  # noqa: E402
    CONTRACT,
    Storage,
    insert_note,
    open_with_notes,
    select_notes,
)


def on_file(folder: Path) -> Storage:
    return Storage(open=lambda: Database.open(folder / "t.db"), lasting=True)


def in_memory(_: Path) -> Storage:
    return Storage(open=lambda: Database.open(":memory:"), lasting=False)


@pytest.mark.parametrize("place", [on_file, in_memory])
@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
async def test_contract(
    promise: Callable[[Storage], Awaitable[None]], place: Callable[[Path], Storage], tmp_path: Path
) -> None:
    await promise(place(tmp_path))


async def test_writers_of_one_moment_share_one_commit(tmp_path: Path) -> None:
    database = await open_with_notes(on_file(tmp_path))
    before = (await database.statistics()).figures["commits"]
    await asyncio.gather(*(database.write(insert_note(str(n))) for n in range(16)))
    assert (await database.statistics()).figures["commits"] == before + 1
    await database.close()


async def test_a_full_disk_refuses_what_does_not_fit_and_serves_the_rest(tmp_path: Path) -> None:
    database = await open_with_notes(on_file(tmp_path))
    limit = (await database.statistics()).size // 4096 + 20
    await database.read(lambda db: db.execute(f"PRAGMA max_page_count = {limit}").fetchall())

    outcomes = await asyncio.gather(
        database.write(insert_note("small")),
        database.write(insert_note("x" * 1_000_000)),
        database.write(insert_note("small too")),
        return_exceptions=True,
    )

    assert isinstance(outcomes[1], StorageFull)
    assert outcomes[1].status == 507
    assert await database.read(select_notes) == ["small", "small too"]
    assert await database.integrity_check() == []
    await database.close()


async def test_what_was_acknowledged_survives_the_death_of_the_process(tmp_path: Path) -> None:
    database = await open_with_notes(on_file(tmp_path))
    await database.write(insert_note("acknowledged"))
    left_by_a_kill = shutil.copytree(tmp_path, tmp_path / "left")  # the file and its write-ahead log, not closed

    survivor = await Database.open(left_by_a_kill / "t.db")

    assert await survivor.read(select_notes) == ["acknowledged"]
    await survivor.close()
    await database.close()


async def test_a_database_that_another_program_holds_is_unavailable_and_then_works(tmp_path: Path) -> None:
    database = await open_with_notes(on_file(tmp_path))
    other = sqlite3.connect(tmp_path / "t.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable):
        await database.write(insert_note("blocked"))
    other.execute("ROLLBACK")
    other.close()
    await database.write(insert_note("free"))
    assert await database.read(select_notes) == ["free"]
    await database.close()


async def test_a_path_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        await Database.open(tmp_path / "no such folder" / "t.db")


async def test_a_database_of_another_application_is_refused_and_keeps_its_tables(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "t.db") as other:
        other.execute("CREATE TABLE events (id INTEGER)")
    other.close()
    with pytest.raises(StorageUnavailable, match="another application"):
        await Database.open(tmp_path / "t.db")
    with sqlite3.connect(tmp_path / "t.db") as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("events",)]
    other.close()


async def test_a_damaged_page_is_found(tmp_path: Path) -> None:
    database = await open_with_notes(on_file(tmp_path))
    await database.write(
        lambda db: db.executemany("INSERT INTO notes (text) VALUES (?)", [("x" * 900,)] * 100).rowcount
    )
    root = await database.read(
        lambda db: db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'notes'").fetchone()[0]
    )
    await database.close()
    with (tmp_path / "t.db").open("r+b") as file:
        file.seek((root - 1) * 4096 + 12)
        file.write(b"\xff" * 8)

    database = await Database.open(tmp_path / "t.db")

    assert await database.integrity_check() != []
    await database.close()


async def test_a_migration_works_in_slices_and_goes_on_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await open_with_notes(on_file(tmp_path))
    await asyncio.gather(*(database.write(insert_note("old")) for _ in range(5)))
    await database.close()
    deaths = [3]

    def renew_two(db: Db) -> bool:
        changed = db.execute(
            "UPDATE notes SET text = 'new' WHERE id IN (SELECT id FROM notes WHERE text = 'old' LIMIT 2)"
        ).rowcount
        deaths[0] -= 1
        if deaths[0] == 1:
            raise KeyError("killed")
        return changed == 0

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, renew_two))
    with pytest.raises(KeyError):
        await Database.open(tmp_path / "t.db")
    with sqlite3.connect(tmp_path / "t.db") as half_way:
        assert half_way.execute("SELECT count(*) FROM notes WHERE text = 'old'").fetchone() == (3,)
        assert half_way.execute("PRAGMA user_version").fetchone() == (len(migrations.MIGRATIONS) - 1,)
    half_way.close()

    database = await Database.open(tmp_path / "t.db")

    assert await database.read(select_notes) == ["new"] * 5
    assert (await database.statistics()).schema_version == len(migrations.MIGRATIONS)
    await database.close()


def test_the_schema_can_be_read_from_a_zip(tmp_path: Path) -> None:
    """In the browser the package is in a zip on sys.path."""
    package = Path(migrations.__file__).parents[2]
    with zipfile.ZipFile(tmp_path / "tabstead.zip", "w") as archive:
        folders = [*(package / "storage").rglob("*"), *(package / "protocol").rglob("*")]
        for path in [package / "__init__.py", package / "errors.py", *folders]:
            if path.suffix in {".py", ".sql"}:
                archive.write(path, path.relative_to(package.parent))
    script = (
        "import asyncio, tabstead.storage.database as d; assert '.zip' in d.__file__;"
        "db = asyncio.run(d.Database.open(':memory:'))"
    )
    subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(tmp_path / "tabstead.zip")}, check=True)


def test_statements_are_split_where_they_end() -> None:
    script = """
        -- a comment; with a semicolon
        CREATE TABLE a (text TEXT DEFAULT ';');
        CREATE TRIGGER b AFTER INSERT ON a BEGIN DELETE FROM a; INSERT INTO a VALUES ('x;'); END;
        -- the end
    """
    statements = list(migrations.split_statements(script))
    assert [statement.split(";")[-2].strip() for statement in statements] == ["')", "END"]


def test_a_script_that_ends_within_a_statement_is_refused() -> None:
    with pytest.raises(ValueError, match="not complete"):
        list(migrations.split_statements("CREATE TABLE a (b); CREATE TABLE"))
