"""Erasure: what users wrote who closed their account and asked to be forgotten.

Whoever joins a room later is served redacted copies of it in timelines; the room's state is what it is. Who was there
to see it goes on seeing it: who was joined at the event, or when the user left the room with the account. Nothing is
redacted in the database, and no other server is told. (Client-Server API, § Account deactivation)
"""

from dataclasses import replace
from functools import cached_property

from tabstead.protocol.events import load_event, redact_event
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, get_event
from tabstead.storage.memberships import find_membership
from tabstead.storage.rooms import get_room
from tabstead.storage.state_history import find_state_event
from tabstead.storage.users import select_erased_users


class Erasure:
    """What a reader may have of the events of one answer. It looks at who is erased once something has to be judged."""

    def __init__(self, db: Db, reader: str) -> None:
        self._db = db
        self._reader = reader

    @cached_property
    def _erased(self) -> set[str]:
        return select_erased_users(self._db)

    def withhold(self, event: PersistedEvent, membership: str | None) -> PersistedEvent:
        """The event as it is, or redacted: one of an erased user's that the reader was not there to see.

        `membership` is the reader's at the event.
        """
        if membership == "join" or event.event.sender not in self._erased or self._saw_leave(event):
            return event
        version = get_room(self._db, event.room_nid).version
        pdu = redact_event(event.event.pdu, version)
        return replace(event, event=load_event(pdu, event_id=event.event_id, room_version=version))

    def _saw_leave(self, event: PersistedEvent) -> bool:
        """Whether the reader was joined when the event's sender left the room."""
        sender = find_membership(self._db, event.event.sender, event.room_nid)
        if sender is None:
            return False
        snapshot = get_event(self._db, sender.event_nid).state_before
        event_nid = find_state_event(self._db, snapshot, "m.room.member", self._reader)
        return event_nid is not None and get_event(self._db, event_nid).event.membership == "join"
