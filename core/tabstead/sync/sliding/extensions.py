"""What sliding sync tells beside rooms: each extension in the sections that /sync has for the same.

An extension about rooms is about those that the client asks for; its `lists` and `rooms` may narrow that. Of a room
that is told anew it tells everything. One that was off before begins from the beginning.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from tabstead.errors import InvalidParam
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.filters import EventFilter
from tabstead.rooms.client_events import client_events
from tabstead.rooms.sticky_events import add_ttl
from tabstead.storage.account_data import GLOBAL, AccountData
from tabstead.storage.database import Db
from tabstead.storage.memberships import is_joined
from tabstead.storage.one_time_keys import count_one_time_keys, unused_fallback_key_types
from tabstead.storage.receipts import Receipt
from tabstead.storage.rooms import get_room
from tabstead.storage.sticky_events import StickyEvent, select_sticky_events
from tabstead.storage.to_device import select_to_device_messages
from tabstead.streams.thread_subscriptions import build_subscription_changes
from tabstead.streams.tokens import encode_timeline_token
from tabstead.sync.room_changes import JOIN, RoomChange
from tabstead.sync.sections import account_data, device_lists, ephemeral
from tabstead.sync.sections.sticky import read_sticky
from tabstead.sync.sliding.request import (
    ACCOUNT_DATA,
    E2EE,
    RECEIPTS,
    STICKY_EVENTS,
    THREAD_SUBSCRIPTIONS,
    TO_DEVICE,
    TYPING,
    Extension,
)
from tabstead.sync.sliding.room_list import Interest
from tabstead.sync.view import SyncView

_COUNTED_ALWAYS: Final = "signed_curve25519"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldNow:
    """A room of the answer, or one that the client asks for and that has nothing new."""

    interest: Interest
    after: int | None
    """Up to where the client knows the room; None: not at all."""
    timeline_ids: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionsView:
    """What extensions look at."""

    view: SyncView
    """Its `since` is None for an extension that was off before."""
    changes: Mapping[int, RoomChange]
    rooms: Mapping[int, ToldNow]
    """Those that the client asks for, by room_nid."""
    typing: Mapping[int, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltExtension:
    body: JsonDict
    has_news: bool


def build_extensions(
    db: Db, wanted: Mapping[str, Extension], context: ExtensionsView, were_on: Collection[str]
) -> dict[str, BuiltExtension]:
    """Those that are switched on and have something to say."""
    built: dict[str, BuiltExtension] = {}
    for name, extension in wanted.items():
        since = context.view.since if name in were_on else None
        own = replace(context, view=replace(context.view, since=since), rooms=_narrow(context.rooms, extension))
        answer = _BUILDERS[name](db, extension, own)
        if answer is not None:
            built[name] = answer
    return built


def parse_position(extension: str, text: str | None, position: int) -> int:
    """Up to where a client has what an extension tells. Raises InvalidParam for what is no token of this server's."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 17) or int(text) > position:
        raise InvalidParam(f"extensions.{extension}.since: this is not a token of this server.")
    return int(text)


def _narrow(rooms: Mapping[int, ToldNow], extension: Extension) -> dict[int, ToldNow]:
    """The rooms that an extension is about."""

    def is_meant(interest: Interest) -> bool:
        by_list = interest.lists and (extension.lists is None or not extension.lists.isdisjoint(interest.lists))
        by_name = interest.is_subscribed and (extension.rooms is None or interest.room.room_id in extension.rooms)
        return bool(by_list or by_name)

    return {nid: room for nid, room in rooms.items() if is_meant(room.interest)}


def _build_to_device(db: Db, extension: Extension, context: ExtensionsView) -> BuiltExtension:
    view = context.view
    after = parse_position(TO_DEVICE, extension.since, view.up_to)
    messages = select_to_device_messages(
        db, view.user_id, view.device_id, after=after, up_to=view.up_to, limit=extension.limit + 1
    )
    portion = messages[: extension.limit]
    position = view.up_to if len(messages) == len(portion) else portion[-1].stream_position if portion else after
    events = [{"sender": message.sender, "type": message.type, "content": message.content} for message in portion]
    return BuiltExtension(body={"next_batch": str(position), "events": events}, has_news=bool(events))


def _build_e2ee(db: Db, extension: Extension, context: ExtensionsView) -> BuiltExtension:
    view = context.view
    body: JsonDict = {
        "device_one_time_keys_count": {_COUNTED_ALWAYS: 0, **count_one_time_keys(db, view.user_id, view.device_id)},
        "device_unused_fallback_key_types": unused_fallback_key_types(db, view.user_id, view.device_id),
    }
    if view.since is None:
        return BuiltExtension(body=body, has_news=False)
    company = device_lists.select_company(db, view, context.changes)
    changed, left = device_lists.select_changed(db, view, company), sorted(company.left)
    if changed or left:
        body["device_lists"] = {"changed": changed, "left": left}
    return BuiltExtension(body=body, has_news=bool(changed or left))


def _build_account_data(db: Db, extension: Extension, context: ExtensionsView) -> BuiltExtension | None:
    view = context.view
    changed = {GLOBAL: account_data.initial(db, view)} if view.since is None else account_data.changes(db, view)
    rooms: dict[str, list[JsonDict]] = {}
    for room in context.rooms.values():
        room_id = room.interest.room.room_id
        data = _room_data(db, view, room, changed.get(room_id, []))
        if data:
            rooms[room_id] = account_data.build_account_data(view, data, EventFilter())
    found = account_data.build_account_data(view, changed.get(GLOBAL, ()), EventFilter())
    if not found and not rooms:
        return None
    return BuiltExtension(body={"global": found, "rooms": rooms}, has_news=True)


def _room_data(db: Db, view: SyncView, room: ToldNow, changed: list[AccountData]) -> list[AccountData]:
    """What a client has to know of a room's account data; of one that it had lost sight of, all that it has."""
    if view.since is None or room.after is None or room.after < view.since.position:
        return account_data.initial(db, view, room.interest.room.room_id)
    return changed


def _build_receipts(db: Db, extension: Extension, context: ExtensionsView) -> BuiltExtension | None:
    view = context.view
    moved = {} if view.since is None else ephemeral.receipt_changes(db, view)
    rooms: dict[str, JsonDict] = {}
    for room_nid, room in _joined(context):
        marks = moved.get(room_nid, [])
        if view.since is None or room.after is None or room.after < view.since.position:
            marks = [mark for mark in ephemeral.initial_receipts(db, view, room_nid) if _is_shown(view, room, mark)]
        events = ephemeral.build_ephemeral(room.interest.room.room_id, marks, None, EventFilter())
        if events:
            rooms[room.interest.room.room_id] = events[0]
    return BuiltExtension(body={"rooms": rooms}, has_news=True) if rooms else None


def _joined(context: ExtensionsView) -> Iterable[tuple[int, ToldNow]]:
    """What passes in a room is for who is in it."""
    return (item for item in context.rooms.items() if item[1].interest.room.membership.membership == JOIN)


def _is_shown(view: SyncView, room: ToldNow, mark: Receipt) -> bool:
    """Of a room that is told anew come the user's own marks, and those at events that are told."""
    return mark.user_id == view.user_id or mark.event_id in room.timeline_ids


def _build_typing(db: Db, extension: Extension, context: ExtensionsView) -> BuiltExtension | None:
    rooms: dict[str, JsonDict] = {}
    for room_nid, room in _joined(context):
        room_id = room.interest.room.room_id
        typing = context.typing.get(room_nid)
        if typing is None and (room.after is None or context.view.since is None):
            typing = context.view.typing_users.users(room_id) or None
        if typing is not None:
            rooms[room_id] = {"type": "m.typing", "content": {"user_ids": typing}}
    return BuiltExtension(body={"rooms": rooms}, has_news=True) if rooms else None


def _build_thread_subscriptions(db: Db, extension: Extension, context: ExtensionsView) -> BuiltExtension | None:
    view = context.view
    body, more = build_subscription_changes(
        db, view.user_id, after=view.after, up_to=view.up_to, limit=max(extension.limit, 1)
    )
    if more is not None:
        body["prev_batch"] = encode_timeline_token(more)
    return BuiltExtension(body=body, has_news=True) if body else None


def _build_sticky_events(db: Db, extension: Extension, context: ExtensionsView) -> BuiltExtension:
    """Of every room that the user is in, whether it is asked for or not."""
    view = context.view
    after, left = parse_position(STICKY_EVENTS, extension.since, view.up_to), extension.limit
    position = view.up_to
    rooms: dict[str, JsonDict] = {}
    for sticky in select_sticky_events(db, view.now_ms, up_to=view.up_to):
        if sticky.stream_position <= after or not is_joined(db, view.user_id, sticky.room_nid):
            continue
        if not left:
            position = sticky.stream_position - 1
            break
        left -= 1
        told = context.rooms.get(sticky.room_nid)
        shown = _show_sticky(db, view, sticky, told.timeline_ids if told is not None else ())
        if shown:
            room_id = get_room(db, sticky.room_nid).room_id
            rooms.setdefault(room_id, {"events": []})["events"] += shown
    return BuiltExtension(body={"rooms": rooms, "next_batch": str(position)}, has_news=bool(rooms))


def _show_sticky(db: Db, view: SyncView, sticky: StickyEvent, told_ids: Collection[str]) -> list[JsonDict]:
    events = [
        event
        for event in read_sticky(db, view, sticky.room_nid, [sticky.stream_position], after=0, told=())
        if event.event_id not in told_ids
    ]
    shown = client_events(db, events, reader=view.reader, now_ms=view.now_ms, with_room_id=False)
    return [add_ttl(told, event.event, view.now_ms) for told, event in zip(shown, events, strict=True)]


_Builder = Callable[[Db, Extension, ExtensionsView], BuiltExtension | None]

_BUILDERS: Final[Mapping[str, _Builder]] = {
    TO_DEVICE: _build_to_device,
    E2EE: _build_e2ee,
    ACCOUNT_DATA: _build_account_data,
    RECEIPTS: _build_receipts,
    TYPING: _build_typing,
    THREAD_SUBSCRIPTIONS: _build_thread_subscriptions,
    STICKY_EVENTS: _build_sticky_events,
}
