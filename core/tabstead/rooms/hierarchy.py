"""The rooms of a space, and of the spaces in it: a depth-first walk in pages.

A space's children are in the order that clients show them in. A room comes once, however many spaces have it, so loops
end. What a user may not preview is passed over with all beneath it, as are rooms of which nothing is known.

Of rooms that this server is not in, others may tell. The walk itself asks nobody: it is given what was told already,
and where it comes to a room of which more must be told, it ends with the rooms to ask for, is told, and goes over the
page again.

A page token holds where the walk is, and is all that is kept of it: the spaces that are being walked, from the root
down, and every room that was looked at. What is left of a space are its children that were not. A room is held by its
number here, or, where this server isn't in it, by one that is made of its ID.
(Client-Server API, § Discovering rooms within spaces)
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate, islice
from typing import Any, Final, TypeAlias

from tabstead.errors import Forbidden, InvalidParam
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import to_stripped_state
from tabstead.protocol.identifiers import is_server_name
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.state import find_current_event, select_current_events
from tabstead.rooms.summary import is_held, may_preview, may_preview_told, summarise_room
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent
from tabstead.storage.out_of_band import find_preview
from tabstead.storage.room_servers import select_servers
from tabstead.storage.rooms import Room, find_room, find_room_by_nid

_CHILD: Final = "m.space.child"
_SPACE: Final = "m.space"

MAX_ROOMS: Final = 2000
"""Rooms that one walk looks at; a larger space ends there."""
MAX_VIA: Final = 5
"""Servers that are asked for a room."""
_ASKED_AHEAD: Final = 10
"""Rooms of a space that are asked for at once."""

_ELSEWHERE: Final = 1 << 44
"""The numbers of rooms that this server is not in are above it, and no room_nid is."""

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
class ToldRoom:
    """What another server tells of a room."""

    summary: JsonDict
    children: tuple[JsonDict, ...] | None
    """Its `children_state`; None: it has some that were not told."""


Told: TypeAlias = Mapping[str, ToldRoom | None]
"""By room ID; None for a room of which nobody tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UntoldRooms:
    """The page needs what others know of these rooms: by room ID the servers to ask, the best first."""

    via: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A room on the way."""

    number: int
    room: Room | None
    told: ToldRoom | None
    """Of a room that this server isn't in."""


_Child: TypeAlias = tuple[str, tuple[str, ...]]
"""A room ID, and the servers to ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Space:
    """A space that is being walked."""

    number: int
    left: deque[_Child]
    """The children that were not looked at yet."""


class _Untold(Exception):
    """Ends a walk that needs to be told of rooms."""

    def __init__(self, children: Iterable[_Child]) -> None:
        super().__init__()
        self.via = dict(children)


def walk_hierarchy(
    db: Db,
    server: LocalServer,
    root_id: str,
    user_id: str,
    *,
    query: HierarchyQuery,
    token: str | None,
    told: Told | None = None,
) -> HierarchyPage | UntoldRooms:
    """A page of the walk from a space. Raises Forbidden for who may not preview it, InvalidParam for a wrong token.

    `told` is what other servers told until now; None: no other server can be asked.
    """
    walk = _Walk(db, server, user_id, query, told)
    try:
        return walk.read_page(root_id, token)
    except _Untold as untold:
        return UntoldRooms(via=untold.via)


@dataclass(slots=True)
class _Walk:
    """A walk, and where it is."""

    db: Db
    server: LocalServer
    user_id: str
    query: HierarchyQuery
    told: Told | None
    spaces: list[_Space] = field(default_factory=list)
    """From the root down."""
    seen: set[int] = field(default_factory=set)

    def read_page(self, root_id: str, token: str | None) -> HierarchyPage:
        root = self._find(root_id, find_servers(self.db, self.server, root_id, self.user_id))
        if root is None or not self._may_preview(root):
            raise Forbidden("You are not allowed to view this room.")
        if token is not None:
            self._go_to(token, root)
        rooms: list[JsonDict] = []
        for place, children in self._go_on(root):
            summary = _summary(place) if place.room is None else summarise_room(self.db, place.room)
            rooms.append({**summary, "children_state": children})
            if len(rooms) == self.query.limit:
                break
        return HierarchyPage(rooms=rooms, next_batch=self._encode() if self._is_anything_left() else None)

    def _go_on(self, root: _Place) -> Iterator[tuple[_Place, list[JsonDict]]]:
        """The rooms that come next, each with its children; the walk is past a room once it is given."""
        if not self.seen:
            self.seen.add(root.number)
            yield root, self._enter(root)
        while self.spaces and len(self.seen) < MAX_ROOMS:
            if not self.spaces[-1].left:
                self.spaces.pop()
                continue
            place = self._find_unseen(self.spaces[-1].left)
            if place is not None and self._may_preview(place):
                yield place, self._enter(place)

    def _find_unseen(self, left: deque[_Child]) -> _Place | None:
        """The next child, if it was not seen and something is known of it; it is seen then."""
        room_id, via = left[0]
        number = self._number(room_id)
        if number is None or number in self.seen:
            left.popleft()
            return None
        try:
            place = self._find(room_id, via)
        except _Untold:
            ahead = [(each, via) for each, via in left if self._is_to_be_told(each)]
            raise _Untold(ahead[:_ASKED_AHEAD]) from None
        left.popleft()
        self.seen.add(number)
        return place

    def _find(self, room_id: str, via: tuple[str, ...]) -> _Place | None:
        """Raises _Untold."""
        room = self._find_held(room_id)
        if room is not None:
            return _Place(number=room.room_nid, room=room, told=None)
        if self.told is None:
            return None
        via = tuple(name for name in via if name != self.server.name)[:MAX_VIA]
        if self._is_to_be_told(room_id) and via:
            raise _Untold([(room_id, via)])
        told = self.told.get(room_id)
        return None if told is None else _Place(number=_number_elsewhere(room_id), room=None, told=told)

    def _find_held(self, room_id: str) -> Room | None:
        room = find_room(self.db, room_id)
        if room is None or self.told is None:
            return room
        return room if is_held(self.db, self.server, room) else None

    def _is_to_be_told(self, room_id: str) -> bool:
        """Whether somebody has to be asked for a room, or again, since it is a space."""
        if self.told is None or self._find_held(room_id) is not None:
            return False
        told = self.told.get(room_id)
        return room_id not in self.told or (told is not None and told.children is None)

    def _number(self, room_id: str) -> int | None:
        room = self._find_held(room_id)
        if room is not None:
            return room.room_nid
        return None if self.told is None else _number_elsewhere(room_id)

    def _may_preview(self, place: _Place) -> bool:
        if place.room is not None:
            return may_preview(self.db, place.room, self.user_id)
        return may_preview_told(self.db, _summary(place), self.user_id)

    def _enter(self, place: _Place) -> list[JsonDict]:
        """The children of a room; the walk goes on with them, if it may go so deep."""
        children = self._children(place)
        if children and len(self.spaces) < self.query.max_depth:
            self.spaces.append(_space(place, children))
        return children

    def _children(self, place: _Place) -> list[JsonDict]:
        if place.room is not None:
            return select_children(self.db, place.room, suggested_only=self.query.suggested_only)
        told = place.told.children if place.told is not None else None
        return _sort(told or (), suggested_only=self.query.suggested_only)

    def _is_anything_left(self) -> bool:
        if len(self.seen) >= MAX_ROOMS:
            return False
        left = (self._number(room_id) for space in self.spaces for room_id, _ in space.left)
        return any(number is not None and number not in self.seen for number in left)

    def _encode(self) -> str:
        """`h<max_depth><all or suggested>_<spaces>_<seen>`, hexadecimal: the seen as steps from one to the next."""
        seen = sorted(self.seen)
        steps = (number - before for before, number in zip([0, *seen], seen, strict=False))
        scope = f"h{self.query.max_depth}{'s' if self.query.suggested_only else 'a'}"
        return f"{scope}_{_encode_numbers(space.number for space in self.spaces)}_{_encode_numbers(steps)}"

    def _go_to(self, token: str, root: _Place) -> None:
        """Go on where a page ended. Raises InvalidParam, _Untold."""
        match = _token(token)
        if match is None:
            raise InvalidParam("This is not a token of this server.")
        if (int(match[1]), match[2] == "s") != (self.query.max_depth, self.query.suggested_only):
            raise InvalidParam("suggested_only and max_depth cannot change from one page to the next.")
        numbers = _decode_numbers(match[3])
        if numbers[0] != root.number:
            raise InvalidParam("The token is another space's.")
        self.seen = set(accumulate(_decode_numbers(match[4])))
        for number in numbers[: self.query.max_depth]:
            place = root if number == root.number else self._find_again(number)
            if place is not None and self._may_preview(place):
                self.spaces.append(_space(place, self._children(place)))

    def _find_again(self, number: int) -> _Place | None:
        """A space of the token, which is a child of the one before it where this server isn't in it."""
        if number < _ELSEWHERE:
            room = find_room_by_nid(self.db, number)
            return None if room is None else _Place(number=number, room=room, told=None)
        for room_id, via in self.spaces[-1].left if self.spaces and self.told is not None else ():
            if _number_elsewhere(room_id) == number:
                return self._find(room_id, via)
        return None


def select_children(db: Db, room: Room, *, suggested_only: bool) -> list[JsonDict]:
    """The valid children of a space in their order, as stripped state with its time; none of another room."""
    create = find_current_event(db, room, "m.room.create")
    if create is None or create.event.content.get("type") != _SPACE:
        return []
    children = (_show_child(child) for child in select_current_events(db, room, _CHILD))
    return _sort(children, suggested_only=suggested_only)


def via_of(child: Mapping[str, Any]) -> tuple[str, ...]:
    """The servers by which a child may be reached."""
    via = child["content"].get("via")
    named = (name for name in via if isinstance(name, str) and is_server_name(name)) if isinstance(via, list) else ()
    return tuple(islice(dict.fromkeys(named), MAX_VIA + 1))


def find_servers(db: Db, server: LocalServer, room_id: str, user_id: str) -> tuple[str, ...]:
    """The servers to ask for a room for which nobody names any: as an invite does, as was known when this server left.

    v1-v11: also the one that made the room.
    """
    room = find_room(db, room_id)
    preview = None if room is None else find_preview(db, room.room_nid, user_id)
    maker = room_id.partition(":")[2]
    found = [
        *(() if preview is None else preview.servers),
        *((maker,) if is_server_name(maker) else ()),
        *(() if room is None else select_servers(db, room.room_nid)),
    ]
    return tuple(islice((name for name in dict.fromkeys(found) if name != server.name), MAX_VIA))


def _space(place: _Place, children: Iterable[JsonDict]) -> _Space:
    return _Space(number=place.number, left=deque((str(child["state_key"]), via_of(child)) for child in children))


def _summary(place: _Place) -> JsonDict:
    return place.told.summary if place.told is not None else {}


def _number_elsewhere(room_id: str) -> int:
    digest = sha256(room_id.encode("utf-8", "surrogatepass")).digest()
    return _ELSEWHERE | int.from_bytes(digest[:5], "big")


def _sort(children: Iterable[JsonDict], *, suggested_only: bool) -> list[JsonDict]:
    valid = (
        child
        for child in children
        if isinstance(child["content"].get("via"), list)
        and (not suggested_only or child["content"].get("suggested") is True)
    )
    return sorted(valid, key=_order_of)


def _order_of(child: JsonDict) -> tuple[bool, str, int, str]:
    """§ Ordering of children within a space: by `order`, those without one last; then by age; then by room ID."""
    order = child["content"].get("order")
    valid = order if isinstance(order, str) and _order(order) is not None else ""
    return not valid, valid, child["origin_server_ts"], str(child["state_key"])


def _show_child(child: PersistedEvent) -> JsonDict:
    return {**to_stripped_state(child.event), "origin_server_ts": child.event.origin_server_ts}


def _encode_numbers(numbers: Iterable[int]) -> str:
    return ".".join(f"{number:x}" for number in numbers)


def _decode_numbers(text: str) -> list[int]:
    """What they name is looked up in SQLite, whose integers have 64 bits."""
    return [int(number, 16) % 2**63 for number in text.split(".")]
