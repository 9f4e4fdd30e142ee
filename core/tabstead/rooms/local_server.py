"""The server itself as rooms see it: its name, its signing key, its clock, and who follows its events."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from tabstead.protocol.identifiers import find_server_name_of
from tabstead.protocol.signatures import SigningKey
from tabstead.rooms.outcomes import PolicyOutcome, RecentOutcomes, ToldAlias
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent

Follower: TypeAlias = Callable[[Db, PersistedEvent], None]
"""Called in the transaction in which an event was accepted into its room's timeline, once all else is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServer:
    name: str
    signing_key: SigningKey
    now_ms: Callable[[], int]
    followers: tuple[Follower, ...] = ()
    policy_outcomes: RecentOutcomes[PolicyOutcome] = field(default_factory=RecentOutcomes)
    told_aliases: RecentOutcomes[ToldAlias] = field(default_factory=RecentOutcomes)

    def owns(self, identifier: str) -> bool:
        """Whether a user id, alias or old room id is one of this server's."""
        return find_server_name_of(identifier) == self.name
