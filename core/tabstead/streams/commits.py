"""Write transactions whose news is told: once one is durable, those who wait are woken.

A transaction that finds that it needs something which only waiting brings is interrupted: nothing of it is kept, what
it needs is brought, and it runs again.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from tabstead.errors import MatrixError, TabsteadError
from tabstead.storage.database import Database, Db
from tabstead.storage.positions import select_position
from tabstead.streams.notifier import Notifier

T = TypeVar("T")

_MOST_INTERRUPTIONS: Final = 100
"""Of one transaction: each brings it further."""
_MOST_ABOUT_ONE: Final = 3
"""After so many about one subject, what is brought is evidently not what is needed."""


class Interruption(TabsteadError):
    """Raised in a transaction that can't go on; each kind has one who settles it."""

    subject: Hashable = None
    """What it is about."""

    def refusal(self) -> MatrixError:
        """The error where nobody does."""
        raise NotImplementedError


Settle: TypeAlias = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commits:
    database: Database
    notifier: Notifier
    settlers: dict[type[Interruption], Settle] = field(default_factory=dict)

    async def write(self, work: Callable[[Db], T]) -> T:
        """Run a write transaction; once it is durable, wake those who wait for news."""
        settled: Counter[Hashable] = Counter()
        while True:
            try:
                result, position = await self.database.write(lambda db: (work(db), select_position(db)))
            except Interruption as interruption:
                await self._settle(interruption, settled)
            else:
                self.notifier.advance(position)
                return result

    async def _settle(self, interruption: Interruption, settled: Counter[Hashable]) -> None:
        """Raises MatrixError where that is of no use."""
        settle = self.settlers.get(type(interruption))
        settled[interruption.subject] += 1
        is_vain = settled[interruption.subject] > _MOST_ABOUT_ONE or settled.total() > _MOST_INTERRUPTIONS
        if settle is None or is_vain:
            raise interruption.refusal() from interruption
        await settle(interruption)
