"""The server itself as rooms see it: its name, its signing key, its clock."""

from collections.abc import Callable
from dataclasses import dataclass

from tabstead.protocol.signatures import SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServer:
    name: str
    signing_key: SigningKey
    now_ms: Callable[[], int]

    def owns(self, identifier: str) -> bool:
        """Whether a user id, alias or old room id is one of this server's."""
        return identifier.partition(":")[2] == self.name
