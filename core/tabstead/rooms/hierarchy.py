"""The rooms of a space, and of the spaces in it: a depth-first walk in pages.

A space's children are in the order that clients show them in. A room comes once, however many spaces have it, so loops
end. What a user may not preview is passed over with all beneath it, as are rooms that are not known here.

A page token holds where the walk is, and is all that is kept of it: the spaces that are being walked, from the root
down, and every room that was looked at. What is left of a space are its children that were not.
(Client-Server API, § Discovering rooms within spaces)
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from tabstead.errors import Forbidden, InvalidParam
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import to_stripped_state
from tabstead.rooms.state import find_current_event, select_current_events
from tabstead.rooms.summary import may_preview, summarise_room
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent
from tabstead.storage.rooms import Room, find_room, find_room_by_nid

_CHILD: Final = "m.space.child"
_SPACE: Final = "m.space"

MAX_ROOMS: Final = 2000
"""Rooms that one walk looks at; a larger space ends there."""

_order: Final = re.compile(r"[\x20-\x7e]{1,50}").fullmatch
_token: Final = re.compile(r"h([0-9]{1,3})([as])_([0-9a-f]+(?:\.[0-9a-f]+)*)_([0-9a-f]+(?:\.[0-9a-f]+)*)").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchyQuery:
    limit: int
    max_depth: int
    """Levels beneath the root."""
    suggested_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchyPage:
    rooms: list[JsonDict]
    next_batch: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Space:
    """A space that is being walked."""

    room_nid: int
    left: deque[str]
    """The room IDs of the children that were not looked at yet."""


@dataclass(slots=True, kw_only=True)
class _Walk:
    """Where a walk is."""

    query: HierarchyQuery
    spaces: list[_Space] = field(default_factory=list)
    """From the root down."""
    seen: set[int] = field(default_factory=set)
    """room_nids."""


def walk_hierarchy(
    db: Db, root: Room | None, user_id: str, *, query: HierarchyQuery, token: str | None
) -> HierarchyPage:
    """A page of the walk from a space. Raises Forbidden for who may not preview it, InvalidParam for a wrong token."""
    if root is None or not may_preview(db, root, user_id):
        raise Forbidden("You are not allowed to view this room.")
    walk = _Walk(query=query) if token is None else _decode(db, token, root, user_id, query)
    rooms: list[JsonDict] = []
    for room, children in _go_on(db, walk, root, user_id):
        rooms.append({**summarise_room(db, room), "children_state": [_show_child(child) for child in children]})
        if len(rooms) == query.limit:
            break
    return HierarchyPage(rooms=rooms, next_batch=_encode(walk) if _is_anything_left(db, walk) else None)


def _go_on(db: Db, walk: _Walk, root: Room, user_id: str) -> Iterator[tuple[Room, list[PersistedEvent]]]:
    """The rooms that come next, each with its children; the walk is past a room once it is given."""
    if not walk.seen:
        walk.seen.add(root.room_nid)
        yield root, _enter(db, walk, root)
    while walk.spaces and len(walk.seen) < MAX_ROOMS:
        if not walk.spaces[-1].left:
            walk.spaces.pop()
            continue
        room = _find_unseen(db, walk, walk.spaces[-1].left.popleft())
        if room is None:
            continue
        walk.seen.add(room.room_nid)
        if may_preview(db, room, user_id):
            yield room, _enter(db, walk, room)


def _enter(db: Db, walk: _Walk, room: Room) -> list[PersistedEvent]:
    """The children of a room; the walk goes on with them, if it may go so deep."""
    children = _children(db, room, suggested_only=walk.query.suggested_only)
    if children and len(walk.spaces) < walk.query.max_depth:
        walk.spaces.append(_space(room, children))
    return children


def _space(room: Room, children: Iterable[PersistedEvent]) -> _Space:
    return _Space(room_nid=room.room_nid, left=deque(str(child.event.state_key) for child in children))


def _find_unseen(db: Db, walk: _Walk, room_id: str) -> Room | None:
    room = find_room(db, room_id)
    return None if room is None or room.room_nid in walk.seen else room


def _is_anything_left(db: Db, walk: _Walk) -> bool:
    if len(walk.seen) >= MAX_ROOMS:
        return False
    return any(_find_unseen(db, walk, room_id) is not None for space in walk.spaces for room_id in space.left)


def _children(db: Db, room: Room, *, suggested_only: bool) -> list[PersistedEvent]:
    """The valid children of a space in their order; none of another room."""
    create = find_current_event(db, room, "m.room.create")
    if create is None or create.event.content.get("type") != _SPACE:
        return []
    children = [
        child
        for child in select_current_events(db, room, _CHILD)
        if isinstance(child.event.content.get("via"), list)
        and (not suggested_only or child.event.content.get("suggested") is True)
    ]
    return sorted(children, key=_place)


def _place(child: PersistedEvent) -> tuple[bool, str, int, str]:
    """§ Ordering of children within a space: by `order`, those without one last; then by age; then by room ID."""
    order = child.event.content.get("order")
    valid = order if isinstance(order, str) and _order(order) is not None else ""
    return not valid, valid, child.event.origin_server_ts, str(child.event.state_key)


def _show_child(child: PersistedEvent) -> JsonDict:
    return {**to_stripped_state(child.event), "origin_server_ts": child.event.origin_server_ts}


def _encode(walk: _Walk) -> str:
    """`h<max_depth><all or suggested>_<spaces>_<seen>`: hexadecimal, what was seen as steps from one to the next."""
    seen = sorted(walk.seen)
    steps = (room_nid - before for before, room_nid in zip([0, *seen], seen, strict=False))
    scope = f"h{walk.query.max_depth}{'s' if walk.query.suggested_only else 'a'}"
    return f"{scope}_{_encode_numbers(space.room_nid for space in walk.spaces)}_{_encode_numbers(steps)}"


def _decode(db: Db, token: str, root: Room, user_id: str, query: HierarchyQuery) -> _Walk:
    match = _token(token)
    if match is None:
        raise InvalidParam("This is not a token of this server.")
    if (int(match[1]), match[2] == "s") != (query.max_depth, query.suggested_only):
        raise InvalidParam("suggested_only and max_depth cannot change from one page to the next.")
    nids = _decode_numbers(match[3])
    if nids[0] != root.room_nid:
        raise InvalidParam("The token is another space's.")
    walk = _Walk(query=query, seen=set(accumulate(_decode_numbers(match[4]))))
    for room_nid in nids[: query.max_depth]:
        room = find_room_by_nid(db, room_nid)
        if room is not None and may_preview(db, room, user_id):
            walk.spaces.append(_space(room, _children(db, room, suggested_only=query.suggested_only)))
    return walk


def _encode_numbers(numbers: Iterable[int]) -> str:
    return ".".join(f"{number:x}" for number in numbers)


def _decode_numbers(text: str) -> list[int]:
    """What they name is looked up in SQLite, whose integers have 64 bits."""
    return [int(number, 16) % 2**63 for number in text.split(".")]
