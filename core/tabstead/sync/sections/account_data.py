"""The user's account data, global and of rooms. Push rules are told whole, though only changes to them are stored."""

from collections.abc import Iterable

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.filters import EventFilter
from tabstead.storage.account_data import (
    GLOBAL,
    AccountData,
    select_account_data,
    select_account_data_changes,
)
from tabstead.storage.database import Db
from tabstead.streams.push_rules import PUSH_RULES, read_rules
from tabstead.sync.view import SyncView


def initial(db: Db, view: SyncView, room_id: str = GLOBAL) -> list[AccountData]:
    """All account data of a room, or all that is global; global push rules are always there."""
    found = select_account_data(db, view.user_id, room_id)
    if room_id != GLOBAL:
        return found
    return [_push_rules(db, view), *(data for data in found if data.type != PUSH_RULES)]


def changes(db: Db, view: SyncView) -> dict[str, list[AccountData]]:
    """What changed, by room id, GLOBAL among them."""
    by_room: dict[str, list[AccountData]] = {}
    for data in select_account_data_changes(db, view.user_id, after=view.after, up_to=view.up_to):
        is_push_rules = data.room_id == GLOBAL and data.type == PUSH_RULES
        by_room.setdefault(data.room_id, []).append(_push_rules(db, view) if is_push_rules else data)
    return by_room


def build_account_data(view: SyncView, found: Iterable[AccountData], event_filter: EventFilter) -> list[JsonDict]:
    """The account data events that pass."""
    return [
        {"type": data.type, "content": data.content}
        for data in found
        if event_filter.allows(data.type, view.user_id, data.content)
    ]


def _push_rules(db: Db, view: SyncView) -> AccountData:
    return AccountData(room_id=GLOBAL, type=PUSH_RULES, content=read_rules(db, view.user_id))
