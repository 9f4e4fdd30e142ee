"""Write transactions whose news is told: once one is durable, those who wait are woken.

A transaction that finds that it needs something which only waiting brings is interrupted: nothing of it is kept, what
it needs is brought, and it runs again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from tabstead.errors import MatrixError, TabsteadError
from tabstead.storage.database import Database, Db
from tabstead.storage.positions import select_position
from tabstead.streams.notifier import Notifier

T = TypeVar("T")

_MOST_INTERRUPTIONS: Final = 100
"""Of one transaction: each brings it further."""


class Interruption(TabsteadError):
    """Raised in a transaction that can't go on; each kind has one who settles it."""

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
        for _ in range(_MOST_INTERRUPTIONS):
            try:
                result, position = await self.database.write(lambda db: (work(db), select_position(db)))
            except Interruption as interruption:
                await self._settle(interruption)
            else:
                self.notifier.advance(position)
                return result
        raise MatrixError("This needs too much that is not here.", status=500)

    async def _settle(self, interruption: Interruption) -> None:
        settle = self.settlers.get(type(interruption))
        if settle is None:
            raise interruption.refusal() from interruption
        await settle(interruption)
