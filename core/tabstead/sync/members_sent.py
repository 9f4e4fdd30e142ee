"""Which member events a device was sent already, so that lazy loading need not repeat them.

In memory alone: what is forgotten is sent once more. An entry counts for a request only when its `since` shows that the
client has the answer in which the event was; an answer that got lost is therefore no harm.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

from tabstead.sync.view import MembersSent

_MAX_DEVICES: Final = 100
_MAX_MEMBERS: Final = 20_000
"""Of a device; then it is forgotten whole."""


class MembersSentToDevices:
    """The most recent devices' members."""

    def __init__(self) -> None:
        self._devices: OrderedDict[tuple[str, str], dict[tuple[int, str], tuple[int, int]]] = OrderedDict()

    def get(self, user_id: str, device_id: str) -> MembersSent:
        return self._devices.get((user_id, device_id), {})

    def forget(self, user_id: str, device_id: str) -> None:
        """The device begins anew."""
        self._devices.pop((user_id, device_id), None)

    def remember(self, user_id: str, device_id: str, sent: Iterable[tuple[int, str, int]], position: int) -> None:
        """An answer up to this position has these: (room_nid, user id, event_nid)."""
        known = self._devices.pop((user_id, device_id), {})
        if len(known) > _MAX_MEMBERS:
            known = {}
        for room_nid, member, event_nid in sent:
            if known.get((room_nid, member), (None,))[0] != event_nid:
                known[room_nid, member] = (event_nid, position)
        self._devices[user_id, device_id] = known
        while len(self._devices) > _MAX_DEVICES:
            self._devices.popitem(last=False)


def is_sent(
    members_sent: Mapping[tuple[int, str], tuple[int, int]], room_nid: int, member: str, event_nid: int, since: int
) -> bool:
    """Whether a client at `since` has this very member event."""
    sent_nid, position = members_sent.get((room_nid, member), (None, 0))
    return sent_nid == event_nid and position <= since
