"""The stream of the first clients, older than /sync: the user's rooms as they are, then their events one after another.

A token is a position in the timeline. A page holds the events that the user may see in their rooms, or in one room,
ordered by position, together with what happened to the user's own membership.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.filters import EventFilter
from tabstead.rooms.client_events import Reader, client_events
from tabstead.rooms.history_visibility import RoomView, find_view
from tabstead.rooms.pagination import Page, paginate
from tabstead.rooms.view_state import read_view_state
from tabstead.storage.account_data import GLOBAL, select_account_data
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, get_event
from tabstead.storage.memberships import Membership, find_membership, select_memberships
from tabstead.storage.positions import select_position
from tabstead.storage.presence import select_shared_presence
from tabstead.storage.rooms import get_room
from tabstead.storage.sync_queries import select_changed_memberships, select_joined_rooms_with_news
from tabstead.streams.presence import presence_at
from tabstead.streams.push_rules import PUSH_RULES, read_rules
from tabstead.streams.tokens import encode_timeline_token

MAX_EVENTS: Final = 100
_SHOWN: Final = frozenset({"join", "invite"})
_GONE: Final = frozenset({"leave", "ban"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    events: list[PersistedEvent]
    end: int
    """The position that the next page starts from."""


def read_event_page(db: Db, user_id: str, *, after: int) -> EventPage:
    """What the user may see of their rooms after a position."""
    up_to = select_position(db)
    changed = select_changed_memberships(db, user_id, after=after, up_to=up_to)
    room_nids = select_joined_rooms_with_news(db, user_id, after=after, up_to=up_to)
    room_nids |= {membership.room_nid for membership in changed}
    views = [find_view(db, get_room(db, room_nid), user_id) for room_nid in sorted(room_nids)]
    own = [get_event(db, membership.event_nid) for membership in changed]
    return _merge([_page(db, view, user_id, after) for view in views if view is not None], own, up_to)


def read_room_page(db: Db, view: RoomView, user_id: str, *, after: int) -> EventPage:
    """The same of one room, which the user need not be in."""
    return _merge([_page(db, view, user_id, after)], [], max(view.up_to, after))


def build_room_info(db: Db, view: RoomView, reader: Reader, *, limit: int, now_ms: int) -> JsonDict:
    """A room's state and its last `limit` events, with what is the user's own in it."""
    room, membership = view.room, find_membership(db, reader.user_id, view.room.room_nid)
    page = paginate(db, view, reader.user_id, start=None, forwards=False, limit=limit, event_filter=EventFilter())
    messages: JsonDict = {
        "chunk": client_events(db, page.events[::-1], reader=reader, now_ms=now_ms),
        "end": encode_timeline_token(view.up_to),
    }
    if page.end is not None:
        messages["start"] = encode_timeline_token(page.end)
    state = read_view_state(db, view)
    return {
        "room_id": room.room_id,
        **({"membership": membership.membership} if membership is not None and _is_told(membership) else {}),
        "messages": messages,
        "state": client_events(db, state, reader=reader, now_ms=now_ms, in_timeline=False),
        "visibility": "public" if room.is_public else "private",
        "account_data": _account_data(db, reader.user_id, room.room_id),
    }


def build_initial_sync(db: Db, reader: Reader, *, limit: int, archived: bool, now_ms: int) -> JsonDict:
    """All of a user's rooms; with `archived` also those that they left."""
    shown = _SHOWN | _GONE if archived else _SHOWN
    memberships = [row for row in select_memberships(db, reader.user_id, shown) if not row.forgotten]
    return {
        "end": encode_timeline_token(select_position(db)),
        "rooms": [_build_own_room(db, row, reader, limit=limit, now_ms=now_ms) for row in memberships],
        "presence": [
            {
                "type": "m.presence",
                "sender": stored.user_id,
                "content": {**presence_at(stored, now_ms).content(), "user_id": stored.user_id},
            }
            for stored in select_shared_presence(db, reader.user_id)
        ],
        "account_data": [
            {"type": PUSH_RULES, "content": read_rules(db, reader.user_id)},
            *(data for data in _account_data(db, reader.user_id, GLOBAL) if data["type"] != PUSH_RULES),
        ],
    }


def _build_own_room(db: Db, membership: Membership, reader: Reader, *, limit: int, now_ms: int) -> JsonDict:
    room = get_room(db, membership.room_nid)
    view = None if membership.membership == "invite" else find_view(db, room, reader.user_id)
    if view is not None:
        return build_room_info(db, view, reader, limit=limit, now_ms=now_ms)
    info: JsonDict = {"room_id": room.room_id, "membership": membership.membership}
    if membership.membership == "invite":
        info["invite"] = client_events(db, [get_event(db, membership.event_nid)], reader=reader, now_ms=now_ms)[0]
    return info


def _page(db: Db, view: RoomView, user_id: str, after: int) -> Page:
    return paginate(db, view, user_id, start=after, forwards=True, limit=MAX_EVENTS, event_filter=EventFilter())


def _merge(pages: Iterable[Page], own: Iterable[PersistedEvent], up_to: int) -> EventPage:
    """One page of several rooms', up to where all of them are known."""
    pages = list(pages)
    end = min((page.end for page in pages if page.end is not None), default=up_to)
    found = {event.event_nid: event for event in (*(event for page in pages for event in page.events), *own)}
    events = sorted((event for event in found.values() if event.position <= end), key=lambda event: event.position)
    if len(events) > MAX_EVENTS:
        events = events[:MAX_EVENTS]
        end = events[-1].position
    return EventPage(events=events, end=end)


def _is_told(membership: Membership) -> bool:
    return membership.membership in _SHOWN | _GONE


def _account_data(db: Db, user_id: str, room_id: str) -> list[JsonDict]:
    return [{"type": data.type, "content": data.content} for data in select_account_data(db, user_id, room_id)]
