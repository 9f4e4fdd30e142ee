"""Transactions on a file whose pages come from IndexedDB on demand, for the browser.

SQLite reads synchronously, IndexedDB doesn't. So a page that isn't in memory *fails* the read, the transaction rolls
back, the missing pages are fetched, and the transaction function runs again, until it meets no gap. Nothing is evicted
while a function is being repeated, or two pages might chase each other out for ever. SQLite and transaction functions
may swallow the failed read (PRAGMA integrity_check does, and reports a corruption that isn't there): the misses are
looked at before COMMIT, and whatever came of such a run is thrown away.

COMMIT puts the changes into the page store's memory; they are durable when `commit()` of the store returns. No answer,
not even a refusal, leaves before that, because it may rest on what a crash could still take back. When such a flush
fails (quota, I/O), the store's memory is what is durable again, and SQLite, whose cache no longer agrees with it, is
opened anew.

With locking_mode=EXCLUSIVE SQLite keeps its cache between transactions, journal_mode=MEMORY and cache_spill=OFF keep
everything but whole commits away from the file.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tabstead.errors import StorageFull, StorageUnavailable
from tabstead.storage.engine import Db, explained, run_read, run_transaction

T = TypeVar("T")

_PRAGMAS = (
    "page_size=4096",
    "locking_mode=EXCLUSIVE",
    "journal_mode=MEMORY",
    "synchronous=OFF",
    "temp_store=MEMORY",
    "cache_size=-8192",
    "cache_spill=OFF",
    "foreign_keys=ON",
)


class PageStore(Protocol):
    """The file's pages, as the edge keeps them. Its errors are StorageFull and StorageUnavailable."""

    @property
    def size(self) -> int:
        """Bytes of the file, as it is in memory."""

    @property
    def missed(self) -> bool:
        """Whether a read failed, since the last `fault`, because its page was not in memory."""

    @property
    def pending(self) -> bool:
        """Whether something was written that isn't durable yet."""

    @property
    def stale(self) -> bool:
        """Whether the file changed under SQLite, which must close it, await `reopen`, and open it."""

    async def fault(self) -> bool:
        """Load the pages that were missed; False when there were none."""

    def hold(self) -> None:
        """Keep every page in memory until `release`. Calls nest."""

    def release(self) -> None: ...

    async def commit(self) -> None:
        """Return once everything written so far is durable; concurrent callers share one flush."""

    async def reopen(self) -> None:
        """Make the durable file readable again. Raises StorageUnavailable when another instance owns it."""

    async def close(self) -> None: ...

    def figures(self) -> Mapping[str, float]:
        """Counters for status and benchmarks."""


class _PageMissed(Exception):
    """A failed read was swallowed on the way: the run's result can't be trusted."""


@dataclass(slots=True, kw_only=True, eq=False)
class PagedEngine:
    """One connection over one page store; it is replaced when the file changed under it."""

    path: str
    store: PageStore
    db: Db | None = None
    repeats: int = 0
    recovering: "asyncio.Future[None] | None" = None
    closed: bool = False

    @classmethod
    async def open(cls, path: str, store: PageStore) -> "PagedEngine":
        engine = cls(path=path, store=store)
        await engine._connect()
        return engine

    async def read(self, fn: Callable[[Db], T]) -> T:
        def attempt(db: Db) -> T:
            return run_read(db, fn, before_commit=self._check_not_missed)

        return await self._repeat(attempt, is_write=False)

    async def write(self, fn: Callable[[Db], T]) -> T:
        def attempt(db: Db) -> T:
            return run_transaction(db, "BEGIN IMMEDIATE", fn, before_commit=self._check_not_missed)

        return await self._repeat(attempt, is_write=True)

    async def close(self) -> None:
        self.closed = True
        if self.recovering:
            await asyncio.wait([self.recovering])
        try:
            if self.store.pending:
                await self.store.commit()
        finally:
            if self.db:
                self.db.close()
                self.db = None
            await self.store.close()

    def figures(self) -> Mapping[str, float]:
        return {**self.store.figures(), "repeats": self.repeats}

    async def _repeat(self, attempt: Callable[[Db], T], *, is_write: bool) -> T:
        """Attempt until no page is missing and what was seen is durable."""
        held = False
        try:
            while True:
                db = await self._connection()
                try:
                    result = attempt(db)
                except Exception:
                    if self.store.missed:
                        if not held:
                            self.store.hold()
                            held = True
                        self.repeats += 1
                        await self.store.fault()
                    elif await self._is_durable():
                        with explained():
                            raise
                    continue
                if is_write and self.store.pending:
                    await self.store.commit()
                    return result
                if await self._is_durable():
                    return result
        finally:
            if held:
                self.store.release()

    def _check_not_missed(self) -> None:
        if self.store.missed:
            raise _PageMissed

    async def _is_durable(self) -> bool:
        """Wait for what the last attempt saw; False when it is lost, and the attempt must be repeated."""
        if not self.store.pending:
            return True
        try:
            await self.store.commit()
        except (StorageFull, StorageUnavailable):
            return False
        return True

    async def _connection(self) -> Db:
        if self.closed:
            raise StorageUnavailable("The server is shutting down.")
        while self.db is None or self.store.stale or self.recovering:
            if self.recovering is None:
                self.recovering = asyncio.ensure_future(self._recover())
            await asyncio.shield(self.recovering)
        return self.db

    async def _recover(self) -> None:
        try:
            if self.db:
                self.db.close()
                self.db = None
            await self.store.reopen()
            await self._connect()
        finally:
            self.recovering = None

    async def _connect(self) -> None:
        self.store.hold()  # SQLite reads the whole schema at once, however small the cache
        try:
            self.db = await self._open_connection()
        finally:
            self.store.release()

    async def _open_connection(self) -> Db:
        while True:
            db = sqlite3.connect(self.path, isolation_level=None, cached_statements=512)
            try:
                self._configure(db)
            except sqlite3.Error:
                db.close()
                if not await self.store.fault():
                    with explained():
                        raise
            else:
                await self._keep_beginning(db)
                return db

    async def _keep_beginning(self, db: Db) -> None:
        """Make durable what configuring a new file wrote: else a full disk would have reads repeated for ever."""
        try:
            if self.store.pending:
                await self.store.commit()
        except BaseException:
            db.close()
            raise

    def _configure(self, db: Db) -> None:
        for pragma in _PRAGMAS:
            db.execute(f"PRAGMA {pragma}").fetchall()
        if not self.store.size:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # on a file with pages this would write page 1
        db.execute("SELECT count(*) FROM sqlite_schema").fetchall()
