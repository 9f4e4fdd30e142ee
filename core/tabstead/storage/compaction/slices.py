"""What goes into a slice of a job, and what comes out of it."""

from dataclasses import dataclass
from typing import Final, TypeAlias

Position: TypeAlias = tuple[int | str, ...]
"""Where a slice begins, as the job understands it: usually the key of the last row that was looked at."""

START: Final[Position] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a slice must know of the world."""

    now_ms: int
    is_short: bool = False
    """Whether there is hardly any room left to store something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a slice did."""

    used: int
    """Units of work."""
    position: Position | None
    """Where the next slice begins; None at the end of the round."""
