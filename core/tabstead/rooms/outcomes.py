"""What other servers answered lately, in memory: for the transactions that were interrupted to ask."""

from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from tabstead.protocol.events import Event

T = TypeVar("T")

_MOST_REMEMBERED: Final = 1000


class RecentOutcomes(Generic[T]):
    """Outcomes by what was asked; the oldest make room."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, T]] = {}
        """Until when, and what; the oldest first."""

    def keep(self, key: str, outcome: T, *, until_ms: int) -> None:
        self._kept.pop(key, None)
        while len(self._kept) >= _MOST_REMEMBERED:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (until_ms, outcome)

    def find(self, key: str, now_ms: int) -> T | None:
        until, outcome = self._kept.get(key, (0, None))
        return outcome if until > now_ms else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a policy server's signature is not there."""

    sentence: str
    errcode: str = "M_FORBIDDEN"
    status: int = 403
    retry_after_ms: int | None = None


PolicyOutcome: TypeAlias = Event | Refusal
"""The event with the signature, or why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldAlias:
    """What an alias's own server says of it."""

    room_id: str | None
