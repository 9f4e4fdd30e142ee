"""The rooms of an answer: joined, invited, knocked and left ones, each put together from its streams."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.filters import select_fields
from tabstead.rooms.client_events import client_events
from tabstead.rooms.sticky_events import STICKY, add_ttl
from tabstead.storage.account_data import GLOBAL, AccountData
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent
from tabstead.storage.memberships import is_joined
from tabstead.storage.receipts import Receipt
from tabstead.storage.rooms import find_room, get_room
from tabstead.sync.room_changes import JOIN, RoomChange, watched_room
from tabstead.sync.sections import account_data, ephemeral
from tabstead.sync.sections.state import read_state
from tabstead.sync.sections.sticky import read_sticky
from tabstead.sync.sections.stripped_state import build_stripped_state
from tabstead.sync.sections.summary import build_summary
from tabstead.sync.sections.timeline import Timeline, read_timeline
from tabstead.sync.sections.unread import build_unread, has_unread_changes
from tabstead.sync.view import SyncView

_MEMBER: Final = "m.room.member"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomNews:
    """What is new beside rooms' events, by room_nid, or by room id."""

    receipts: Mapping[int, list[Receipt]]
    typing: Mapping[int, list[str]]
    account_data: Mapping[str, list[AccountData]]
    sticky: Mapping[int, list[int]]
    """Positions of sticky events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomsAnswer:
    rooms: JsonDict
    """By section, by room id; without empty sections."""
    members_sent: list[tuple[int, str, int]]
    """(room_nid, user id, event_nid) of the member events in it; only for lazy loading."""


def build_rooms(db: Db, view: SyncView, changes: Mapping[int, RoomChange], news: RoomNews) -> RoomsAnswer:
    """The rooms that have something to tell."""
    rooms: dict[str, JsonDict] = {}
    members_sent: list[tuple[int, str, int]] = []
    for change in (*changes.values(), *_quiet_rooms(db, view, changes, news)):
        if not view.filter.rooms.allows_room(change.room.room_id):
            continue
        built = _BUILDERS[change.section](db, view, change, news)
        if built is not None:
            entry, shown = built
            rooms.setdefault(change.section, {})[change.room.room_id] = entry
            if view.filter.state.lazy_load_members:
                members_sent += _members(change, shown)
    return RoomsAnswer(rooms=rooms, members_sent=members_sent)


_Built = tuple[JsonDict, list[PersistedEvent]] | None
"""A room's entry with the events that it shows; None for a room that has nothing to tell."""


def _quiet_rooms(db: Db, view: SyncView, changes: Mapping[int, RoomChange], news: RoomNews) -> Iterable[RoomChange]:
    """Joined rooms in which receipts, typing or account data are all that is new."""
    named = (find_room(db, room_id) for room_id in news.account_data if room_id != GLOBAL)
    room_nids = {*news.receipts, *news.typing, *(room.room_nid for room in named if room is not None)}
    for room_nid in sorted(room_nids - changes.keys()):
        if view.since is not None and is_joined(db, view.user_id, room_nid):
            yield watched_room(view, get_room(db, room_nid))


def _build_joined(db: Db, view: SyncView, change: RoomChange, news: RoomNews) -> _Built:
    timeline = read_timeline(db, view, change)
    summary = build_summary(db, view, change)
    state = read_state(db, view, change, timeline, summary.get("m.heroes", ()))
    receipts = news.receipts.get(change.room_nid, [])
    if not change.after:
        receipts = ephemeral.initial_receipts(db, view, change.room_nid)
    passing = ephemeral.build_ephemeral(
        change.room.room_id, receipts, news.typing.get(change.room_nid), view.filter.ephemeral
    )
    own_data = _build_account_data(db, view, change, news)
    told = {event.event_nid for event in timeline.events}
    sticky = read_sticky(db, view, change.room_nid, news.sticky.get(change.room_nid, ()), after=change.after, told=told)
    has_news = timeline.events or timeline.limited or state or passing or own_data or sticky or change.whole
    if not has_news and not has_unread_changes(db, view, change.room_nid, receipts):
        return None
    entry = {
        **_build_events(db, view, timeline, state),
        "account_data": {"events": own_data},
        "ephemeral": {"events": passing},
        **build_unread(db, view, change.room_nid),
        "summary": summary,
    }
    if sticky:
        entry[STICKY] = {"events": _show(db, view, sticky, in_timeline=True)}
    return entry, [*state, *timeline.events]


def _build_left(db: Db, view: SyncView, change: RoomChange, news: RoomNews) -> _Built:
    timeline = read_timeline(db, view, change)
    state = read_state(db, view, change, timeline, ())
    entry = {
        **_build_events(db, view, timeline, state),
        "account_data": {"events": _build_account_data(db, view, change, news)},
    }
    return entry, [*state, *timeline.events]


def _build_invited(db: Db, view: SyncView, change: RoomChange, news: RoomNews) -> _Built:
    events = build_stripped_state(db, view, change)
    return None if events is None else ({"invite_state": {"events": events}}, [])


def _build_knocked(db: Db, view: SyncView, change: RoomChange, news: RoomNews) -> _Built:
    events = build_stripped_state(db, view, change)
    return None if events is None else ({"knock_state": {"events": events}}, [])


_BUILDERS: Final[Mapping[str, Callable[[Db, SyncView, RoomChange, RoomNews], _Built]]] = {
    JOIN: _build_joined,
    "invite": _build_invited,
    "knock": _build_knocked,
    "leave": _build_left,
}


def _build_events(db: Db, view: SyncView, timeline: Timeline, state: list[PersistedEvent]) -> JsonDict:
    shown_state = {"events": _show(db, view, state, in_timeline=False)}
    return {
        "timeline": {
            "events": _show(db, view, timeline.events, in_timeline=True),
            "limited": timeline.limited,
            "prev_batch": timeline.prev_batch,
        },
        **dict.fromkeys(view.state_after_names or ("state",), shown_state),
    }


def _show(db: Db, view: SyncView, events: list[PersistedEvent], *, in_timeline: bool) -> list[JsonDict]:
    if not events:
        return []
    if view.filter.federation_format:
        return [event.event.pdu for event in events]
    shown = client_events(
        db, events, reader=view.reader, now_ms=view.now_ms, with_room_id=False, in_timeline=in_timeline
    )
    shown = [add_ttl(told, event.event, view.now_ms) for told, event in zip(shown, events, strict=True)]
    fields = view.filter.event_fields
    return shown if fields is None else [select_fields(event, fields) for event in shown]


def _build_account_data(db: Db, view: SyncView, change: RoomChange, news: RoomNews) -> list[JsonDict]:
    if not view.filter.room_account_data.allows_room(change.room.room_id):
        return []
    found = news.account_data.get(change.room.room_id, []) if change.after else None
    if found is None:
        found = account_data.initial(db, view, change.room.room_id)
    return account_data.build_account_data(view, found, view.filter.room_account_data)


def _members(change: RoomChange, events: list[PersistedEvent]) -> Iterable[tuple[int, str, int]]:
    for event in events:
        if event.event.type == _MEMBER and event.event.state_key is not None:
            yield change.room_nid, event.event.state_key, event.event_nid
