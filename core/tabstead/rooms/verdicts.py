"""What becomes of an event of another server, as a value. Every one but `Accepted` says why."""

from dataclasses import dataclass
from typing import TypeAlias

from tabstead.protocol.identifiers import EventID
from tabstead.protocol.signatures import MissingKeys
from tabstead.storage.events import PersistedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The event is part of its room."""

    event: PersistedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftFailed:
    """The event is stored, for those that follow it, and shown to nobody."""

    event: PersistedEvent
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The event is stored, and changes nothing: the state after it is the state before it."""

    event: PersistedEvent
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Nothing of the event is kept."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingEvents:
    """No verdict yet. Receive these events and ask again; there may be others then.

    Nothing is stored. Auth events may be received as outliers, prev events must have their place.
    """

    auth_events: frozenset[EventID]
    prev_events: frozenset[EventID]

    @property
    def event_ids(self) -> frozenset[EventID]:
        return self.auth_events | self.prev_events


Verdict: TypeAlias = Accepted | SoftFailed | Rejected | Dropped | MissingEvents | MissingKeys
"""`MissingKeys`: no verdict yet. Learn these keys and ask again."""
