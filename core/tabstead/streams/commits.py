"""Write transactions whose news is told: once one is durable, those who wait are woken."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tabstead.storage.database import Database, Db
from tabstead.storage.positions import select_position
from tabstead.streams.notifier import Notifier

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commits:
    database: Database
    notifier: Notifier

    async def write(self, work: Callable[[Db], T]) -> T:
        """Run a write transaction; once it is durable, wake those who wait for news."""
        result, position = await self.database.write(lambda db: (work(db), select_position(db)))
        self.notifier.advance(position)
        return result
