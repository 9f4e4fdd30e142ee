"""The database: where transaction functions run, and when what they wrote is durable.

Owns the one connection to SQLite. A *transaction function* is synchronous and takes the open transaction `db`; it may
run more than once and therefore changes nothing but `db`. What it raises rolls everything back and reaches the caller.
No await happens while a transaction is open, and what a caller learns, be it a result or a refusal, is durable by then.

Two engines do the work: `file_engine` on a file of the operating system (CPython), `paged_engine` on pages that come
from IndexedDB on demand (the browser). All that differs between the two is in them.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from tabstead.storage import migrations
from tabstead.storage.engine import Db, Engine
from tabstead.storage.paged_engine import PagedEngine, PageStore

__all__ = ["Database", "DatabaseStatistics", "Db", "PageStore"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseStatistics:
    """Sizes in bytes; `figures` are the engine's own counters since it was opened."""

    size: int
    free: int
    schema_version: int
    figures: Mapping[str, float]


class Database:
    """An open database whose schema is this code's. Made by `Database.open`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running = 0
        self.transactions = 0
        """How many were asked for."""

    @classmethod
    async def open(
        cls,
        path: str | Path,
        page_store: PageStore | None = None,
        progress: Callable[[float], object] = lambda share: None,
    ) -> "Database":
        """Open or create the database and bring its schema up to date.

        An older database with much in it takes a while: `progress` is told what share of it is done, from 0 to 1.
        Raises DatabaseTooNew for a database of a later version, StorageUnavailable when it can't be opened or
        belongs to another application.
        """
        database = cls(await _open_engine(path, page_store))
        try:
            await database._migrate(progress)
        except BaseException:
            await database.close()
            raise
        return database

    async def read(self, fn: Callable[[Db], T]) -> T:
        """Run `fn` in a transaction and return its result. Raises RuntimeError when it wrote."""
        with self._counted():
            return await self._engine.read(fn)

    async def write(self, fn: Callable[[Db], T]) -> T:
        """Run `fn` in a transaction and return its result once the transaction is durable.

        Raises StorageFull or StorageUnavailable when it can't be made durable; then nothing of it remains.
        """
        with self._counted():
            return await self._engine.write(fn)

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for a transaction."""
        return self._running > 0

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.transactions += 1
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def close(self) -> None:
        """Finish what is being written and close; later calls are answered with StorageUnavailable."""
        await self._engine.close()

    async def statistics(self) -> DatabaseStatistics:
        """How big the database is, and what the engine has done."""

        def sizes(db: Db) -> tuple[int, int, int]:
            page_size = _pragma(db, "page_size")
            free = _pragma(db, "freelist_count")
            return page_size * _pragma(db, "page_count"), page_size * free, _pragma(db, "user_version")

        size, free, version = await self.read(sizes)
        return DatabaseStatistics(size=size, free=free, schema_version=version, figures=self._engine.figures())

    async def integrity_check(self) -> list[str]:
        """What SQLite finds wrong with the database; empty when it is sound.

        Goes table by table, so that other work gets its turn and only one table's pages are held in memory at once.
        """
        problems: list[str] = []
        for table in await self.read(_select_tables):
            try:
                problems += await self.read(partial(_check_table, table=table))
            except sqlite3.DatabaseError as error:
                problems.append(f"{table} can't be read: {error}")
            await asyncio.sleep(0)
        return problems

    async def _migrate(self, progress: Callable[[float], object]) -> None:
        if await self.read(migrations.is_current):
            return
        at_first = await self.read(migrations.count_left)
        while not await self.write(migrations.migrate_step):
            if at_first:
                progress(1 - await self.read(migrations.count_left) / at_first)
            await asyncio.sleep(0)  # others get their turn: who shows the progress, say


async def _open_engine(path: str | Path, page_store: PageStore | None) -> Engine:
    if page_store is not None:
        return await PagedEngine.open(str(path), page_store)
    from tabstead.storage.file_engine import FileEngine

    return FileEngine.open(path)


def _pragma(db: Db, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _select_tables(db: Db) -> list[str]:
    tables = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0").fetchall()
    return ["sqlite_schema", *(name for (name,) in tables)]


def _check_table(db: Db, table: str) -> list[str]:
    quoted = '"' + table.replace('"', '""') + '"'
    found = [str(message) for (message,) in db.execute(f"PRAGMA integrity_check({quoted})") if message != "ok"]
    for _, rowid, parent, _ in db.execute(f"PRAGMA foreign_key_check({quoted})"):
        found.append(f"row {rowid} of {table} refers to a row of {parent} that does not exist")
    return found
