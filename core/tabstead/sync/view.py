"""What one answer of /sync is made of: the request, and the span of the streams that it covers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    filter: SyncFilter = field(default_factory=SyncFilter)
    full_state: bool = False
    state_after_names: tuple[str, ...] = ()
    """The keys under which the client wants the state at a timeline's end; none: it wants that at its start."""
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
    def use_state_after(self) -> bool:
        """Whether the state is told as it is at the timeline's end, not at its start."""
        return bool(self.state_after_names)

    @property
    def reader(self) -> Reader:
        return Reader(user_id=self.user_id, device_id=self.device_id)
