"""Whose keys changed since a token, asked apart from /sync: the same answer as its `device_lists`."""

from dataclasses import dataclass

from tabstead.storage.database import Db
from tabstead.storage.positions import select_position
from tabstead.streams.tokens import SyncToken
from tabstead.streams.typing_users import TypingUsers
from tabstead.sync.room_changes import select_room_changes
from tabstead.sync.sections.device_lists import select_changed, select_company
from tabstead.sync.view import SyncView


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChanges:
    changed: list[str]
    left: list[str]


def select_key_changes(
    db: Db, user_id: str, device_id: str, since: SyncToken, *, typing_users: TypingUsers, now_ms: int
) -> KeyChanges:
    """Whose keys the client has to query again, and whose it may forget, from a token up to now."""
    view = SyncView(
        user_id=user_id,
        device_id=device_id,
        since=since,
        up_to=select_position(db),
        serial=now_ms,
        now_ms=now_ms,
        ignored_users=frozenset(),
        typing_users=typing_users,
        members_sent={},
    )
    company = select_company(db, view, select_room_changes(db, view))
    return KeyChanges(changed=select_changed(db, view, company), left=sorted(company.left))
