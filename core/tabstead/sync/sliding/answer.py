"""One answer of sliding sync, read in one transaction at one position.

Beside the body comes what it changes of the books: a room that is told now is *live*, known up to wherever the client's
token says; a room in which something happened and that the client did not ask for any more is known up to its last
token. So a client that asks for it again later is told exactly what it missed.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.storage.database import Db
from tabstead.storage.rooms import find_room
from tabstead.storage.sliding_sync import ToldRoom
from tabstead.streams.tokens import SyncToken
from tabstead.sync.room_changes import RoomChange, select_room_changes
from tabstead.sync.sections import account_data, ephemeral
from tabstead.sync.sliding import request as names
from tabstead.sync.sliding.extensions import ExtensionsView, ToldNow, build_extensions
from tabstead.sync.sliding.request import RoomConfig, SlidingRequest
from tabstead.sync.sliding.room_list import (
    EventMemory,
    Interest,
    RoomList,
    build_lists,
    select_direct_rooms,
    select_interests,
    select_own_rooms,
)
from tabstead.sync.sliding.rooms import BuiltRoom, build_room
from tabstead.sync.view import SyncView

_LETTERS: Final[Mapping[str, str]] = {
    names.TO_DEVICE: "d",
    names.E2EE: "e",
    names.ACCOUNT_DATA: "a",
    names.RECEIPTS: "r",
    names.TYPING: "p",
    names.THREAD_SUBSCRIPTIONS: "t",
    names.STICKY_EVENTS: "s",
}
"""How tokens name the extensions that were on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Which rooms a client asked for in its last answer; it spares finding out again when nothing happened."""

    lists: Mapping[str, names.ListRequest]
    subscriptions: Mapping[str, RoomConfig]
    room_lists: Mapping[str, RoomList]
    interests: Mapping[int, Interest]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingAnswer:
    body: JsonDict
    """Without its `pos`."""
    streams: SyncToken
    extensions: str
    """The letters of those that are on, for the token."""
    has_news: bool
    told: dict[int, ToldRoom]
    """What changes of what the client knows, by room_nid."""
    members_sent: list[tuple[int, str, int]]
    scene: Scene


def build_sliding_answer(
    db: Db,
    request: SlidingRequest,
    view: SyncView,
    *,
    known: Mapping[int, ToldRoom],
    were_on: str,
    last_scene: Scene | None,
    memory: EventMemory,
) -> SlidingAnswer:
    """Everything that the client asks for and doesn't know. `known` is what it was told of rooms, by room_nid."""
    changes = {} if view.since is None else select_room_changes(db, view)
    receipts = ephemeral.receipt_changes(db, view) if _follows_receipts(request, view) else {}
    stirred = _select_stirred(db, view, changes, receipts)
    scene = last_scene if last_scene is not None and _is_same(last_scene, request) and not stirred else None
    is_same_scene = scene is not None
    if scene is None:
        scene = _set_scene(db, request, view, known, memory)
    read = {nid for nid, marks in receipts.items() if any(mark.user_id == view.user_id for mark in marks)}
    built = {} if is_same_scene else _build_rooms(db, view, scene, known, changes, read=read)
    typing = ephemeral.typing_changes(db, view)
    told_now = {
        room_nid: ToldNow(
            interest=interest,
            after=_known_up_to(view, known.get(room_nid)),
            timeline_ids=built[room_nid].timeline_ids if room_nid in built else frozenset(),
        )
        for room_nid, interest in scene.interests.items()
    }
    extensions = build_extensions(
        db,
        request.extensions,
        ExtensionsView(view=view, changes=changes, rooms=told_now, typing=typing),
        [name for name, letter in _LETTERS.items() if letter in were_on],
    )
    rooms = {scene.interests[nid].room.room_id: room.entry for nid, room in built.items() if room.entry}
    body: JsonDict = {
        "lists": {name: room_list.build() for name, room_list in scene.room_lists.items()},
        "rooms": rooms,
        "extensions": {name: extension.body for name, extension in extensions.items()},
    }
    return SlidingAnswer(
        body=body,
        streams=SyncToken(
            position=view.up_to,
            ephemeral=view.serial,
            to_device=view.up_to,
            typing_rooms=ephemeral.typing_rooms(view, typing),
        ),
        extensions="".join(letter for name, letter in _LETTERS.items() if name in request.extensions),
        has_news=bool(rooms)
        or any(extension.has_news for extension in extensions.values())
        or (last_scene is not None and _has_new_counts(scene, last_scene)),
        told={**_keep_books(scene, known, built), **_leave_behind(view, scene, known, stirred)},
        members_sent=[sent for room in built.values() for sent in room.members_sent],
        scene=scene,
    )


def _is_same(scene: Scene, request: SlidingRequest) -> bool:
    return scene.lists == request.lists and scene.subscriptions == request.subscriptions


def _has_new_counts(scene: Scene, last: Scene) -> bool:
    """Whether there is a new list, or one with another number of rooms."""
    lists, before = scene.room_lists, last.room_lists
    return any(name not in before or len(found.rooms) != len(before[name].rooms) for name, found in lists.items())


def _follows_receipts(request: SlidingRequest, view: SyncView) -> bool:
    return view.since is not None and names.RECEIPTS in request.extensions


def _select_stirred(
    db: Db, view: SyncView, changes: Mapping[int, RoomChange], receipts: Iterable[int]
) -> dict[int, RoomChange | None]:
    """The rooms in which anything happened that a client may have to be told, by room_nid; at least a key for each."""
    if view.since is None:
        return {}
    stirred: dict[int, RoomChange | None] = dict(changes)
    stirred |= {nid: None for nid in receipts if nid not in stirred}
    for room_id in account_data.changes(db, view):
        room = find_room(db, room_id)
        # What is global may change lists: direct chats are.
        stirred.setdefault(0 if room is None else room.room_nid, None)
    return stirred


def _set_scene(
    db: Db, request: SlidingRequest, view: SyncView, known: Mapping[int, ToldRoom], memory: EventMemory
) -> Scene:
    rooms = select_own_rooms(db, view.user_id, known.keys(), view.ignored_users, memory)
    room_lists = build_lists(db, view.user_id, rooms, request.lists, memory)
    return Scene(
        lists=request.lists,
        subscriptions=request.subscriptions,
        room_lists=room_lists,
        interests=select_interests(rooms, room_lists, request.lists, request.subscriptions),
    )


def _build_rooms(
    db: Db,
    view: SyncView,
    scene: Scene,
    known: Mapping[int, ToldRoom],
    changes: Mapping[int, RoomChange],
    *,
    read: Collection[int],
) -> dict[int, BuiltRoom]:
    """The rooms that are asked for and of which there is, or may be, something to tell; by room_nid.

    `read` are those in which the user's own marks moved: the client may count what is unread by the server's counts.
    """
    direct_room_ids = select_direct_rooms(db, view.user_id)
    built: dict[int, BuiltRoom] = {}
    for room_nid, interest in scene.interests.items():
        told = known.get(room_nid)
        is_quiet = room_nid not in changes and room_nid not in read
        if told is not None and told.told_up_to is None and is_quiet and not _asks_more(told, interest):
            continue
        after = _known_up_to(view, told)
        since = None if after is None else replace(view.since or _NOWHERE, position=after)
        built[room_nid] = build_room(
            db,
            replace(view, since=since),
            interest,
            told,
            live_after=view.after,
            direct_room_ids=direct_room_ids,
            has_new_counts=room_nid in read,
        )
    return built


_NOWHERE: Final = SyncToken(position=0, ephemeral=0, to_device=0)


def _known_up_to(view: SyncView, told: ToldRoom | None) -> int | None:
    """Up to where the client knows a room; None: not at all."""
    if told is None:
        return None
    return view.after if told.told_up_to is None else told.told_up_to


def _asks_more(told: ToldRoom, interest: Interest) -> bool:
    """Whether the client wants more of a room than it wanted before."""
    return (
        interest.config.timeline_limit > told.timeline_limit
        or interest.config.required_state.encode() != told.required_state
    )


def _keep_books(scene: Scene, known: Mapping[int, ToldRoom], built: Mapping[int, BuiltRoom]) -> dict[int, ToldRoom]:
    """The rooms that the client knows now, where that is new."""
    told: dict[int, ToldRoom] = {}
    for room_nid, room in built.items():
        config, before = scene.interests[room_nid].config, known.get(room_nid)
        limit = config.timeline_limit
        if before is not None and not room.is_limited and "initial" not in room.entry:
            limit = max(limit, before.timeline_limit)
        now = ToldRoom(told_up_to=None, timeline_limit=limit, required_state=config.required_state.encode())
        if now != before:
            told[room_nid] = now
    return told


def _leave_behind(
    view: SyncView, scene: Scene, known: Mapping[int, ToldRoom], stirred: Mapping[int, RoomChange | None]
) -> dict[int, ToldRoom]:
    """The rooms of which the client no longer hears, now that there would be something."""
    return {
        room_nid: replace(known[room_nid], told_up_to=view.after)
        for room_nid in stirred
        if room_nid in known and known[room_nid].told_up_to is None and room_nid not in scene.interests
    }
