"""Transactions on a file of the operating system, for CPython.

The file is in WAL mode with synchronous=FULL: a COMMIT returns once it is on the disk. That wait is what a write costs,
so writers share it: those that arrive in one turn of the event loop run one after another inside one SQLite
transaction, each within a savepoint of its own, and are answered after its COMMIT. One that raises is rolled back to
its savepoint and harms nobody. When the whole group fails (a full disk), its members are tried again one by one, so
that the one which was too big does not take the others with it.

Nothing here awaits between BEGIN and COMMIT, so reads never see what isn't durable.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tabstead.errors import StorageUnavailable
from tabstead.storage.engine import Db, explain, explained, roll_back, run_read

T = TypeVar("T")

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY")


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiting:
    """One writer of a group: its function, and later how that ended."""

    fn: Callable[[Db], Any]
    answer: "asyncio.Future[Any]"
    outcome: Any = None
    error: BaseException | None = None

    def settle(self, failure: BaseException | None = None) -> None:
        """Tell the writer, unless it stopped waiting."""
        if self.answer.done():
            return
        error = failure or self.error
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(self.outcome)


@dataclass(slots=True, kw_only=True, eq=False)
class FileEngine:
    """One connection to one file. The event loop is the lock: everything runs on it."""

    db: Db
    closed: bool = False
    commits: int = 0
    _waiting: list[_Waiting] = field(default_factory=list)

    @classmethod
    def open(cls, path: str | Path) -> "FileEngine":
        """Open or create the file; ":memory:" lives as long as the engine."""
        with explained():
            db = sqlite3.connect(path, isolation_level=None, cached_statements=512, timeout=1)
            try:
                _configure(db)
            except sqlite3.Error:
                db.close()
                raise
        return cls(db=db)

    async def read(self, fn: Callable[[Db], T]) -> T:
        self._check_open()
        with explained():
            return run_read(self.db, fn)

    async def write(self, fn: Callable[[Db], T]) -> T:
        self._check_open()
        loop = asyncio.get_running_loop()
        waiting = _Waiting(fn=fn, answer=loop.create_future())
        if not self._waiting:
            loop.call_soon(self._commit_group)
        self._waiting.append(waiting)
        result: T = await waiting.answer
        return result

    async def close(self) -> None:
        self._commit_group()
        self.closed = True
        self.db.close()

    def figures(self) -> Mapping[str, float]:
        return {"commits": self.commits}

    def _check_open(self) -> None:
        if self.closed:
            raise StorageUnavailable("The server is shutting down.")

    def _commit_group(self) -> None:
        group, self._waiting = [writer for writer in self._waiting if not writer.answer.done()], []
        if not group:
            return
        failure = self._try_group(group)
        if failure and len(group) > 1:
            for writer in group:
                writer.settle(self._try_group([writer]))
        else:
            for writer in group:
                writer.settle(failure)

    def _try_group(self, group: list[_Waiting]) -> BaseException | None:
        """Run the group in one transaction; what is returned has undone all of it."""
        try:
            self.db.execute("BEGIN IMMEDIATE")
            for writer in group:
                self._run_in_savepoint(writer)
            self.db.execute("COMMIT")
        except BaseException as error:
            roll_back(self.db)
            if not isinstance(error, Exception):
                raise
            return explain(error) or error
        self.commits += 1
        return None

    def _run_in_savepoint(self, writer: _Waiting) -> None:
        self.db.execute("SAVEPOINT writer")
        writer.error = None
        try:
            writer.outcome = writer.fn(self.db)
        except Exception as error:
            if not self.db.in_transaction:
                raise  # SQLite gave up the whole transaction: the disk is full or failing
            self.db.execute("ROLLBACK TO writer")
            writer.error = explain(error) or error
        self.db.execute("RELEASE writer")


def _configure(db: Db) -> None:
    if not db.execute("PRAGMA page_count").fetchone()[0]:
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # possible on an empty file only
    for pragma in _PRAGMAS:
        db.execute(f"PRAGMA {pragma}").fetchall()
