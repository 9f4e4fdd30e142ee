"""The database on the page store, run in Pyodide: the contract, with a cache so small that pages are always missing,
and what only the page store has.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final

import page_files  # type: ignore[import-not-found]
from database_contract import CONTRACT, Storage, insert_note, open_with_notes, select_notes
from tabstead_edge.page_store import BrowserPageStore

from tabstead.errors import StorageFull, StorageUnavailable
from tabstead.storage.database import Database, Db

TINY_CACHE: Final = 64 * 1024

_numbers = count()


def new_storage() -> Storage:
    name = f"database-{next(_numbers)}"

    async def open_again() -> Database:
        path = f"/data/{name}.db"
        file = await page_files.open(name, path, TINY_CACHE)
        return await Database.open(path, BrowserPageStore(file))

    return Storage(open=open_again, lasting=True)


async def figures_of(database: Database) -> dict[str, float]:
    return dict((await database.statistics()).figures)


def insert_many(notes: int, length: int) -> Callable[[Db], int]:
    def insert(db: Db) -> int:
        return db.executemany("INSERT INTO notes (text) VALUES (?)", [("x" * length,)] * notes).rowcount

    return insert


async def missing_pages_are_fetched_and_memory_stays_small(storage: Storage) -> None:
    database = await open_with_notes(storage)
    for _ in range(12):
        await database.write(insert_many(1000, 1000))
    assert await database.read(lambda db: db.execute("SELECT sum(length(text)) FROM notes").fetchone()[0]) == 12_000_000
    figures = await figures_of(database)
    assert figures["size"] > 12_000_000
    assert figures["misses"] > 50
    assert figures["repeats"] > 50
    assert figures["cachedBytes"] <= TINY_CACHE
    assert await database.integrity_check() == []
    await database.close()


async def a_function_that_swallows_a_missing_page_is_repeated(storage: Storage) -> None:
    database = await open_with_notes(storage)
    await database.write(insert_many(3000, 1000))
    await database.close()
    database = await storage.open()
    runs = []

    def count_or_zero(db: Db) -> int:
        runs.append(None)
        try:
            return int(db.execute("SELECT count(*) FROM notes WHERE length(text) = 1000").fetchone()[0])
        except sqlite3.OperationalError:
            return 0

    assert await database.read(count_or_zero) == 3000
    assert len(runs) > 1
    await database.close()


async def a_full_quota_refuses_the_write_and_the_next_one_works(storage: Storage) -> None:
    database = await open_with_notes(storage)
    await database.write(insert_note("kept"))
    page_files.setFull(True)
    outcomes = await asyncio.gather(
        *(database.write(insert_note(f"refused {n}")) for n in range(4)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [StorageFull] * 4
    assert await database.read(select_notes) == ["kept"]
    page_files.setFull(False)
    await database.write(insert_note("accepted"))
    assert await database.read(select_notes) == ["kept", "accepted"]
    assert await database.integrity_check() == []
    await database.close()
    database = await storage.open()
    assert await database.read(select_notes) == ["kept", "accepted"]
    await database.close()


async def a_full_quota_lets_a_database_be_opened_and_read(storage: Storage) -> None:
    database = await open_with_notes(storage)
    await database.write(insert_note("kept"))
    await database.close()
    page_files.setFull(True)
    database = await storage.open()
    assert await database.read(select_notes) == ["kept"]
    page_files.setFull(False)
    await database.write(insert_note("accepted"))
    await database.close()


async def a_full_quota_refuses_a_new_database(storage: Storage) -> None:
    page_files.setFull(True)
    try:
        await storage.open()
    except StorageFull:
        pass
    else:
        raise AssertionError("a database was opened that can't exist")
    finally:
        page_files.setFull(False)
    await (await open_with_notes(storage)).close()


async def a_reader_never_learns_what_is_not_durable(storage: Storage) -> None:
    database = await open_with_notes(storage)
    page_files.setFull(True)
    written, seen = await asyncio.gather(  # the read begins when the write is committed in memory only
        database.write(insert_note("never durable")), database.read(select_notes), return_exceptions=True
    )
    page_files.setFull(False)
    assert type(written) is StorageFull
    assert seen == []
    await database.close()


async def a_refusal_rests_on_nothing_that_a_crash_could_take_back(storage: Storage) -> None:
    database = await open_with_notes(storage)

    def insert_once(db: Db) -> None:
        if "unique" in select_notes(db):
            raise ValueError("it is there already")
        insert_note("unique")(db)

    page_files.setFull(True)
    outcomes = await asyncio.gather(database.write(insert_once), database.write(insert_once), return_exceptions=True)
    page_files.setFull(False)
    assert [type(outcome) for outcome in outcomes] == [StorageFull, StorageFull]
    assert await database.read(select_notes) == []
    await database.close()


async def an_instance_that_was_taken_over_acknowledges_nothing(storage: Storage) -> None:
    zombie = await open_with_notes(storage)
    heir = await storage.open()
    try:
        await zombie.write(insert_note("from the dead"))
    except StorageUnavailable as error:
        assert error.status == 503
    else:
        raise AssertionError("a zombie acknowledged a write")
    assert await heir.read(select_notes) == []
    await heir.write(insert_note("from the living"))
    await heir.close()


PROMISES: Final[tuple[Callable[[Storage], Awaitable[None]], ...]] = (
    *CONTRACT,
    missing_pages_are_fetched_and_memory_stays_small,
    a_function_that_swallows_a_missing_page_is_repeated,
    a_full_quota_refuses_the_write_and_the_next_one_works,
    a_full_quota_lets_a_database_be_opened_and_read,
    a_full_quota_refuses_a_new_database,
    a_reader_never_learns_what_is_not_durable,
    a_refusal_rests_on_nothing_that_a_crash_could_take_back,
    an_instance_that_was_taken_over_acknowledges_nothing,
)


def names() -> list[str]:
    return [promise.__name__ for promise in PROMISES]


async def keep(name: str) -> None:
    """Try one promise on a new database."""
    await next(promise for promise in PROMISES if promise.__name__ == name)(new_storage())
