"""The rooms of a user in the order of their activity, and the lists that a client cuts out of it.

In it are the rooms that the user is joined, invited or knocking to, those that they were put out of, and of those that
they left by themselves the ones that this client was told of. A room is as active as its last event; one that the user
isn't in as their own membership.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.storage.account_data import find_account_data, select_rooms_account_data
from tabstead.storage.current_state import select_current
from tabstead.storage.database import Db
from tabstead.storage.events import get_event, select_events
from tabstead.storage.memberships import Membership, select_memberships
from tabstead.storage.sliding_sync import select_last_positions, select_room_ids, select_settings
from tabstead.sync.room_changes import JOIN
from tabstead.sync.sliding.request import ListRequest, RoomConfig, RoomFilter

_INSIDE: Final = frozenset({JOIN, "invite", "knock"})
_MAX_REMEMBERED: Final = 50_000


class EventMemory:
    """Two things of events that never change, remembered: who sent a membership, and a room's type. It may vanish."""

    def __init__(self) -> None:
        self._senders: dict[int, str] = {}
        self._room_types: dict[int, str | None] = {}

    def senders(self, db: Db, event_nids: Collection[int]) -> dict[int, str]:
        if len(self._senders) > _MAX_REMEMBERED:
            self._senders = {}
        missing = [nid for nid in event_nids if nid not in self._senders]
        self._senders.update((nid, event.event.sender) for nid, event in select_events(db, missing).items())
        return {nid: self._senders[nid] for nid in event_nids}

    def room_type(self, db: Db, create_nid: int) -> str | None:
        if len(self._room_types) > _MAX_REMEMBERED:
            self._room_types = {}
        if create_nid not in self._room_types:
            room_type = get_event(db, create_nid).event.content.get("type")
            self._room_types[create_nid] = room_type if isinstance(room_type, str) else None
        return self._room_types[create_nid]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRoom:
    """One of the user's rooms."""

    membership: Membership
    room_id: str
    activity: int
    """The stream position of what happened last."""

    @property
    def room_nid(self) -> int:
        return self.membership.room_nid


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomList:
    """One of the client's lists."""

    rooms: list[OwnRoom]
    """All that match its filter, the most active first."""
    windows: tuple[tuple[int, int], ...] | None

    def shown(self) -> list[OwnRoom]:
        """Those in a window."""
        if self.windows is None:
            return self.rooms
        indices = {index for first, last in self.windows for index in range(first, min(last + 1, len(self.rooms)))}
        return [self.rooms[index] for index in sorted(indices)]

    def build(self) -> JsonDict:
        windows = ((0, len(self.rooms) - 1),) if self.windows is None else self.windows
        operations = [
            {
                "op": "SYNC",
                "range": [first, last],
                "room_ids": [room.room_id for room in self.rooms[first : last + 1]],
            }
            for first, last in windows
        ]
        return {"count": len(self.rooms), "ops": operations}


@dataclass(slots=True, kw_only=True)
class Interest:
    """A room that the client asks for, by lists, by name, or both."""

    room: OwnRoom
    config: RoomConfig
    lists: list[str]
    is_subscribed: bool = False


def select_own_rooms(
    db: Db, user_id: str, told: Collection[int], ignored_users: Collection[str], memory: EventMemory
) -> list[OwnRoom]:
    """The user's rooms, the most active first; `told` are the room_nids that the client knows."""
    found = [row for row in select_memberships(db, user_id) if _may_be_listed(row)]
    senders = memory.senders(db, [row.event_nid for row in found if row.membership != JOIN])
    listed = [
        row for row in found if row.membership == JOIN or _is_told(row, senders[row.event_nid], told, ignored_users)
    ]
    room_nids = [row.room_nid for row in listed]
    room_ids, last = select_room_ids(db, room_nids), select_last_positions(db, room_nids)
    rooms = [
        OwnRoom(
            membership=row,
            room_id=room_ids[row.room_nid],
            activity=last[row.room_nid] if row.membership == JOIN else row.stream_position,
        )
        for row in listed
    ]
    return sorted(rooms, key=lambda room: room.activity, reverse=True)


def build_lists(
    db: Db, user_id: str, rooms: list[OwnRoom], lists: Mapping[str, ListRequest], memory: EventMemory
) -> dict[str, RoomList]:
    """The client's lists."""
    facts = _Facts(db, user_id, rooms, memory)
    return {
        name: RoomList(rooms=_select(rooms, wanted.filter, facts), windows=wanted.ranges)
        for name, wanted in lists.items()
    }


def select_interests(
    rooms: Iterable[OwnRoom],
    lists: Mapping[str, RoomList],
    requests: Mapping[str, ListRequest],
    subscriptions: Mapping[str, RoomConfig],
) -> dict[int, Interest]:
    """What the client asks for, by room_nid."""
    interests: dict[int, Interest] = {}
    for name, room_list in lists.items():
        for room in room_list.shown():
            _add(interests, room, requests[name].config).lists.append(name)
    by_id = {room.room_id: room for room in rooms}
    for room_id, config in subscriptions.items():
        if room_id in by_id:
            _add(interests, by_id[room_id], config).is_subscribed = True
    return interests


def _add(interests: dict[int, Interest], room: OwnRoom, config: RoomConfig) -> Interest:
    interest = interests.get(room.room_nid)
    if interest is None:
        interest = interests[room.room_nid] = Interest(room=room, config=config, lists=[])
    interest.config = interest.config | config
    return interest


def _may_be_listed(membership: Membership) -> bool:
    return membership.membership in _INSIDE or not membership.forgotten


def _is_told(membership: Membership, sender: str, told: Collection[int], ignored_users: Collection[str]) -> bool:
    """Whether a room that the user isn't in is among theirs."""
    if membership.membership in _INSIDE:
        return sender not in ignored_users
    put_out = membership.joined_until > 0 and sender != membership.user_id
    return put_out or membership.room_nid in told


class _Facts:
    """What filters ask of rooms, each looked up for all rooms at once when it is first asked."""

    def __init__(self, db: Db, user_id: str, rooms: list[OwnRoom], memory: EventMemory) -> None:
        self._db = db
        self._user_id = user_id
        self._rooms = rooms
        self._memory = memory

    @cached_property
    def direct_room_ids(self) -> frozenset[str]:
        return select_direct_rooms(self._db, self._user_id)

    @cached_property
    def encrypted(self) -> Collection[int]:
        return self._settings("m.room.encryption")

    @cached_property
    def tags(self) -> dict[str, frozenset[str]]:
        contents = select_rooms_account_data(self._db, self._user_id, "m.tag")
        tags = {room_id: content.get("tags") for room_id, content in contents.items()}
        return {room_id: frozenset(found) for room_id, found in tags.items() if isinstance(found, dict)}

    @cached_property
    def _create_nids(self) -> dict[int, int]:
        return self._settings("m.room.create")

    @cached_property
    def _names(self) -> dict[int, str]:
        nids = self._settings("m.room.name")
        events = select_events(self._db, nids.values())
        return {room_nid: str(events[nid].event.content.get("name", "")).casefold() for room_nid, nid in nids.items()}

    def room_type(self, room: OwnRoom) -> str | None:
        create_nid = self._create_nids.get(room.room_nid)
        return None if create_nid is None else self._memory.room_type(self._db, create_nid)

    def name(self, room: OwnRoom) -> str:
        return self._names.get(room.room_nid, "")

    def children(self, space_ids: Collection[str]) -> frozenset[str]:
        """The rooms that these spaces name, as far as the user is joined to them."""
        spaces = [room for room in self._rooms if room.room_id in space_ids and room.membership.membership == JOIN]
        named = {
            state_key: event_nid
            for space in spaces
            for (_, state_key), event_nid in select_current(self._db, space.room_nid, ("m.space.child",)).items()
        }
        links = select_events(self._db, named.values())
        return frozenset(
            room_id for room_id, nid in named.items() if isinstance(links[nid].event.content.get("via"), list)
        )

    def _settings(self, event_type: str) -> dict[int, int]:
        return select_settings(self._db, [room.room_nid for room in self._rooms], event_type)


def select_direct_rooms(db: Db, user_id: str) -> frozenset[str]:
    """The rooms that the user's `m.direct` names."""
    content = find_account_data(db, user_id, "m.direct") or {}
    return frozenset(
        room_id
        for room_ids in content.values()
        if isinstance(room_ids, list)
        for room_id in room_ids
        if isinstance(room_id, str)
    )


def _select(rooms: list[OwnRoom], wanted: RoomFilter, facts: _Facts) -> list[OwnRoom]:
    tests = _tests(wanted, facts)
    return [room for room in rooms if all(test(room) for test in tests)]


def _tests(wanted: RoomFilter, facts: _Facts) -> list[Callable[[OwnRoom], bool]]:
    """A test for each thing that the filter says."""
    tests: list[Callable[[OwnRoom], bool]] = []
    if wanted.is_dm is not None:
        tests.append(lambda room: (room.room_id in facts.direct_room_ids) is wanted.is_dm)
    if wanted.is_encrypted is not None:
        tests.append(lambda room: (room.room_nid in facts.encrypted) is wanted.is_encrypted)
    if wanted.is_invited is not None:
        tests.append(lambda room: (room.membership.membership == "invite") is wanted.is_invited)
    if wanted.spaces is not None:
        children = facts.children(wanted.spaces)
        tests.append(lambda room: room.room_id in children)
    if (room_types := wanted.room_types) is not None:
        tests.append(lambda room: facts.room_type(room) in room_types)
    if wanted.not_room_types:
        tests.append(lambda room: facts.room_type(room) not in wanted.not_room_types)
    if (tags := wanted.tags) is not None:
        tests.append(lambda room: not tags.isdisjoint(facts.tags.get(room.room_id, ())))
    if wanted.not_tags:
        tests.append(lambda room: wanted.not_tags.isdisjoint(facts.tags.get(room.room_id, ())))
    if (name := wanted.name_like) is not None:
        tests.append(lambda room: name.casefold() in facts.name(room))
    return tests
