"""What one answer of /sync is made of: the request, and the span of the streams that it covers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tabstead.protocol.filters import SyncFilter
from tabstead.rooms.client_events import Reader
from tabstead.streams.tokens import SyncToken
from tabstead.streams.typing_users import TypingUsers

MembersSent: TypeAlias = Mapping[tuple[int, str], tuple[int, int]]
"""Member events that a device was sent, by room_nid and user id: the event_nid, and the position of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncView:
    """A client's view of the streams after `since` and up to `up_to`; without `since`, of what is."""

    user_id: str
    device_id: str
    since: SyncToken | None
    filter: SyncFilter
    full_state: bool
    use_state_after: bool
    up_to: int
    serial: int
    """Up to where the answer tells of typing; milliseconds."""
    now_ms: int
    ignored_users: frozenset[str]
    typing_users: TypingUsers
    members_sent: MembersSent

    @property
    def after(self) -> int:
        """The position after which things are news; 0 for a client that knows nothing."""
        return 0 if self.since is None else self.since.position

    @property
    def reader(self) -> Reader:
        return Reader(user_id=self.user_id, device_id=self.device_id)
