"""What an authorisation rule says of an event."""

from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Allowed:
    """The event may be in the room."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The event may not be in the room."""

    reason: str
    """A sentence for the sender or the log."""


Verdict: TypeAlias = Allowed | Rejected

ALLOWED: Final = Allowed()
