"""One answer of /sync: all sections, read in one transaction at one position.

`next_batch` is the position that was read at, so nothing is lost between two answers and nothing is told twice.
"""

from dataclasses import dataclass
from typing import Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.storage.account_data import GLOBAL
from tabstead.storage.database import Db
from tabstead.storage.one_time_keys import count_one_time_keys, unused_fallback_key_types
from tabstead.streams.tokens import SyncToken
from tabstead.sync.room_changes import RoomChange, select_room_changes
from tabstead.sync.sections import account_data, device_lists, ephemeral, presence, to_device
from tabstead.sync.sections.rooms import RoomNews, build_rooms
from tabstead.sync.sections.sticky import select_sticky
from tabstead.sync.view import SyncView

_COUNTED_ALWAYS: Final = "signed_curve25519"
"""Clients upload more when this count is low; none at all is told as 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncAnswer:
    body: JsonDict
    token: SyncToken
    """The body's `next_batch`."""
    has_news: bool
    members_sent: list[tuple[int, str, int]]
    """(room_nid, user id, event_nid) of the member events that the answer carries, where that is to be remembered."""


def build_answer(db: Db, view: SyncView) -> SyncAnswer:
    """Everything that is news in the view."""
    changes = select_room_changes(db, view)
    typing = ephemeral.typing_changes(db, view)
    data = {GLOBAL: account_data.initial(db, view)} if view.since is None else account_data.changes(db, view)
    receipts = {} if view.since is None else ephemeral.receipt_changes(db, view)
    news = RoomNews(receipts=receipts, typing=typing, account_data=data, sticky=_sticky(db, view, changes))
    rooms = build_rooms(db, view, changes, news)
    messages, to_device_position = to_device.changes(db, view)
    lists, present = _build_company(db, view, changes)
    own_data = account_data.build_account_data(view, data.get(GLOBAL, ()), view.filter.account_data)
    token = SyncToken(
        position=view.up_to,
        ephemeral=view.serial,
        to_device=to_device_position,
        typing_rooms=ephemeral.typing_rooms(view, typing),
    )
    sections: JsonDict = {
        "rooms": rooms.rooms,
        "account_data": {"events": own_data} if own_data else {},
        "presence": {"events": present} if present else {},
        "to_device": {"events": messages} if messages else {},
        "device_lists": lists,
    }
    told = {name: section for name, section in sections.items() if section}
    body = {
        "next_batch": token.encode(),
        **told,
        "device_one_time_keys_count": {
            _COUNTED_ALWAYS: 0,
            **count_one_time_keys(db, view.user_id, view.device_id),
        },
        "device_unused_fallback_key_types": unused_fallback_key_types(db, view.user_id, view.device_id),
    }
    return SyncAnswer(body=body, token=token, has_news=bool(told), members_sent=rooms.members_sent)


def _sticky(db: Db, view: SyncView, changes: dict[int, RoomChange]) -> dict[int, list[int]]:
    """Sticky events are events: where none came, none is to be told."""
    return select_sticky(db, view) if changes else {}


def _build_company(db: Db, view: SyncView, changes: dict[int, RoomChange]) -> tuple[JsonDict, list[JsonDict]]:
    """The device lists and the presence of those who share rooms with the user."""
    if view.since is None:
        return {}, presence.initial(db, view)
    company = device_lists.select_company(db, view, changes)
    changed, left = device_lists.select_changed(db, view, company), sorted(company.left)
    lists = {"changed": changed, "left": left} if changed or left else {}
    return lists, presence.changes(db, view, company.met)
