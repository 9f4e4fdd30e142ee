"""What the two ways of running a transaction share; used by `tabstead.storage.database` alone."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TypeAlias, TypeVar

from tabstead.errors import StorageFull, StorageUnavailable

Db: TypeAlias = sqlite3.Connection
"""The open transaction, handed to a transaction function. It isn't valid outside of that function."""

T = TypeVar("T")

_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    }
)


class Engine(Protocol):
    """Runs transaction functions on one SQLite connection, and says when what they wrote is durable."""

    async def read(self, fn: Callable[[Db], T]) -> T: ...

    async def write(self, fn: Callable[[Db], T]) -> T: ...

    async def close(self) -> None: ...

    def figures(self) -> Mapping[str, float]: ...


def run_transaction(db: Db, begin: str, fn: Callable[[Db], T], *, before_commit: Callable[[], None] | None = None) -> T:
    """Run `fn` between `begin` and COMMIT. Whatever is raised on the way rolls everything back."""
    db.execute(begin)
    try:
        result = fn(db)
        if before_commit:
            before_commit()
        db.execute("COMMIT")
    except BaseException:
        roll_back(db)
        raise
    return result


def run_read(db: Db, fn: Callable[[Db], T], *, before_commit: Callable[[], None] | None = None) -> T:
    """Run `fn` in a transaction that only reads. Raises RuntimeError when it wrote after all."""
    changes = db.total_changes

    def check_unchanged() -> None:
        if before_commit:
            before_commit()
        if db.total_changes != changes:
            raise RuntimeError("A transaction that only reads has changed the database: use write().")

    return run_transaction(db, "BEGIN", fn, before_commit=check_unchanged)


def roll_back(db: Db) -> None:
    """End the open transaction, if SQLite has not done so itself."""
    if db.in_transaction:
        db.execute("ROLLBACK")


@contextmanager
def explained() -> Iterator[None]:
    """Raise SQLite's errors as what a client may see, where they are no bugs."""
    try:
        yield
    except sqlite3.Error as error:
        known = explain(error)
        if known:
            raise known from error
        raise


def explain(error: BaseException) -> StorageFull | StorageUnavailable | None:
    """What a full or failing disk means for a client; None for an error of any other kind."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFull("The server's storage is full.")
    if code in _UNAVAILABLE:
        return StorageUnavailable("The server's storage is not available at the moment.")
    return None
