"""What policy servers answered lately, in memory: for the transaction that was interrupted to ask."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from tabstead.protocol.events import Event

_REMEMBERED_MS: Final = 60_000
_REFUSAL_REMEMBERED_MS: Final = 10_000
_MOST_REMEMBERED: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    sentence: str
    errcode: str = "M_FORBIDDEN"
    status: int = 403
    retry_after_ms: int | None = None


Outcome: TypeAlias = Event | Refusal
"""The event with the signature, or why there is none."""


class PolicyOutcomes:
    """What policy servers answered lately."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, Outcome]] = {}
        """Until when, and what; the oldest first."""

    def keep(self, key: str, outcome: Outcome, now_ms: int) -> None:
        lives_ms = _REFUSAL_REMEMBERED_MS if isinstance(outcome, Refusal) else _REMEMBERED_MS
        self._kept.pop(key, None)
        while len(self._kept) >= _MOST_REMEMBERED:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (now_ms + lives_ms, outcome)

    def find(self, key: str, now_ms: int) -> Outcome | None:
        until, outcome = self._kept.get(key, (0, None))
        return outcome if until > now_ms else None
