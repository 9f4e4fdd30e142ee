"""What a `Database` promises, whatever it stands on: run on CPython by test_database.py, and in Pyodide, on the page
store, by tests/page_store/paged_database.test.mjs.

A promise is an async function of a `Storage`; it fails by an AssertionError.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tabstead.errors import DatabaseTooNew, NotFound, StorageUnavailable
from tabstead.storage.compaction.free_pages import cut_off
from tabstead.storage.compaction.slices import START, Circumstances
from tabstead.storage.database import Database, Db


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """One place for a database. `open` opens it, again and again; a lasting one is then as it was left."""

    open: Callable[[], Awaitable[Database]]
    lasting: bool


def create_notes(db: Db) -> None:
    db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")


def insert_note(text: str) -> Callable[[Db], int]:
    def insert(db: Db) -> int:
        return int(db.execute("INSERT INTO notes (text) VALUES (?) RETURNING id", (text,)).fetchone()[0])

    return insert


def select_notes(db: Db) -> list[str]:
    return [text for (text,) in db.execute("SELECT text FROM notes ORDER BY id")]


async def open_with_notes(storage: Storage) -> Database:
    database = await storage.open()
    await database.write(create_notes)
    return database


async def a_new_database_has_the_schema_and_is_sound(storage: Storage) -> None:
    database = await storage.open()
    statistics = await database.statistics()
    assert statistics.schema_version >= 1
    assert statistics.size > 0
    assert await database.integrity_check() == []
    await database.close()


async def what_was_written_is_there_after_opening_again(storage: Storage) -> None:
    database = await open_with_notes(storage)
    assert await database.write(insert_note("one")) == 1
    await database.close()
    if not storage.lasting:
        return
    database = await storage.open()
    assert await database.read(select_notes) == ["one"]
    await database.close()


async def a_function_that_raises_leaves_nothing_behind(storage: Storage) -> None:
    database = await open_with_notes(storage)

    def insert_and_refuse(db: Db) -> None:
        insert_note("never")(db)
        raise NotFound("There is no such room.")

    try:
        await database.write(insert_and_refuse)
    except NotFound as error:
        assert error.sentence == "There is no such room."
    else:
        raise AssertionError("the refusal was swallowed")
    assert await database.read(select_notes) == []
    await database.close()


async def many_writers_at_once_are_all_served(storage: Storage) -> None:
    database = await open_with_notes(storage)
    ids = await asyncio.gather(*(database.write(insert_note(f"note {n}")) for n in range(16)))
    assert sorted(ids) == list(range(1, 17))
    assert await database.read(select_notes) == [f"note {n}" for n in range(16)]
    await database.close()


async def a_writer_that_fails_harms_none_of_those_beside_it(storage: Storage) -> None:
    database = await open_with_notes(storage)

    def insert_then_fail(db: Db) -> None:
        insert_note("bad")(db)
        db.execute("INSERT INTO notes (text) VALUES (NULL)")

    outcomes = await asyncio.gather(
        database.write(insert_note("before")),
        database.write(insert_then_fail),
        database.write(insert_note("after")),
        return_exceptions=True,
    )
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False]
    assert await database.read(select_notes) == ["before", "after"]
    await database.close()


async def a_writer_sees_those_that_were_before_it(storage: Storage) -> None:
    database = await open_with_notes(storage)

    def count_and_insert(db: Db) -> int:
        insert_note("counted")(db)
        return int(db.execute("SELECT count(*) FROM notes").fetchone()[0])

    assert await asyncio.gather(*(database.write(count_and_insert) for _ in range(5))) == [1, 2, 3, 4, 5]
    await database.close()


async def one_who_stops_waiting_leaves_the_others_alone(storage: Storage) -> None:
    database = await open_with_notes(storage)
    impatient = asyncio.ensure_future(database.write(insert_note("impatient")))
    patient = asyncio.ensure_future(database.write(insert_note("patient")))
    await asyncio.sleep(0)
    impatient.cancel()
    await patient
    assert "patient" in await database.read(select_notes)
    await database.close()


async def a_read_that_writes_is_refused(storage: Storage) -> None:
    database = await open_with_notes(storage)
    try:
        await database.read(insert_note("sneaky"))
    except RuntimeError:
        assert await database.read(select_notes) == []
    else:
        raise AssertionError("a read was allowed to write")
    await database.close()


async def a_result_bigger_than_any_cache_is_whole(storage: Storage) -> None:
    database = await open_with_notes(storage)
    for start in range(0, 600, 100):
        await database.write(
            lambda db, start=start: (
                db.executemany(  # type: ignore[misc]
                    "INSERT INTO notes (text) VALUES (?)", [(f"{n:04}" * 500,) for n in range(start, start + 100)]
                ).rowcount
            )
        )
    await database.close()
    if storage.lasting:
        database = await storage.open()
        assert await database.read(select_notes) == [f"{n:04}" * 500 for n in range(600)]
        assert await database.integrity_check() == []
        await database.close()


async def a_row_that_refers_to_nothing_is_refused(storage: Storage) -> None:
    database = await open_with_notes(storage)

    def create_dangling(db: Db) -> None:
        db.execute("CREATE TABLE answers (note INTEGER REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)")
        db.execute("INSERT INTO answers VALUES (7)")

    try:
        await database.write(create_dangling)
    except Exception as error:
        assert "FOREIGN KEY" in str(error)
    else:
        raise AssertionError("a row that refers to nothing was accepted")
    assert await database.integrity_check() == []
    await database.close()


async def unused_space_is_given_back(storage: Storage) -> None:
    database = await open_with_notes(storage)
    await database.write(insert_note("x" * 400_000))
    full = (await database.statistics()).size
    await database.write(lambda db: db.execute("DELETE FROM notes").rowcount)

    def cut_off_some(db: Db) -> bool:
        return cut_off(db, START, 40, Circumstances(now_ms=0)).position is not None

    while await database.write(cut_off_some):
        pass
    statistics = await database.statistics()
    assert statistics.size < full - 200_000
    assert statistics.free <= 40 * 4096
    assert await database.integrity_check() == []
    await database.close()


async def a_database_of_a_later_version_is_refused(storage: Storage) -> None:
    if not storage.lasting:
        return
    database = await storage.open()
    await database.write(lambda db: db.execute("PRAGMA user_version = 9999").fetchall())
    await database.close()
    try:
        await storage.open()
    except DatabaseTooNew as error:
        assert "9999" in str(error)
    else:
        raise AssertionError("a database of a later version was opened")


async def a_closed_database_says_so(storage: Storage) -> None:
    database = await open_with_notes(storage)
    await database.close()
    for attempt in (lambda: database.read(select_notes), lambda: database.write(insert_note("late"))):
        try:
            await attempt()
        except StorageUnavailable:
            continue
        raise AssertionError("a closed database was used")


CONTRACT: Final[tuple[Callable[[Storage], Awaitable[None]], ...]] = (
    a_new_database_has_the_schema_and_is_sound,
    what_was_written_is_there_after_opening_again,
    a_function_that_raises_leaves_nothing_behind,
    many_writers_at_once_are_all_served,
    a_writer_that_fails_harms_none_of_those_beside_it,
    a_writer_sees_those_that_were_before_it,
    one_who_stops_waiting_leaves_the_others_alone,
    a_read_that_writes_is_refused,
    a_result_bigger_than_any_cache_is_whole,
    a_row_that_refers_to_nothing_is_refused,
    unused_space_is_given_back,
    a_database_of_a_later_version_is_refused,
    a_closed_database_says_so,
)
