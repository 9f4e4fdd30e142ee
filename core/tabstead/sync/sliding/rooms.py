"""A room in an answer of sliding sync: what is new in it, or all of it for a client that doesn't know it.

State is told as it is at the end of the timeline: a client takes none from the timeline itself. Of members that are
loaded lazily come those whom the timeline needs, and every one that changed unless the timeline has a gap.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.filters import EventFilter, SyncFilter
from tabstead.protocol.identifiers import StateTuple
from tabstead.rooms.client_events import client_events
from tabstead.rooms.state import find_current_event
from tabstead.rooms.sticky_events import add_ttl
from tabstead.storage.current_state import find_current, select_changes, select_current
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, select_events
from tabstead.storage.memberships import count_members, find_membership
from tabstead.storage.push_actions import select_unread_counts
from tabstead.storage.sliding_sync import ToldRoom
from tabstead.storage.sync_queries import find_entry_at, select_filtered_timeline, select_heroes
from tabstead.sync.members_sent import is_sent
from tabstead.sync.room_changes import JOIN, RoomChange, change_of_room
from tabstead.sync.sections.state import read_state_at_end
from tabstead.sync.sections.stripped_state import build_stripped_state
from tabstead.sync.sections.timeline import Timeline, read_timeline
from tabstead.sync.sliding.request import RoomConfig
from tabstead.sync.sliding.required_state import MEMBER, RequiredState, decode_required_state
from tabstead.sync.sliding.room_list import Interest
from tabstead.sync.view import SyncView

_HEROES: Final = 5
_NAME: Final = ("m.room.name", "")
_AVATAR: Final = ("m.room.avatar", "")
_INVITED: Final = frozenset({"invite", "knock"})

_BUMPING: Final = (
    "m.room.create",
    "m.room.message",
    "m.room.encrypted",
    "m.sticker",
    "m.call.invite",
    "m.poll.start",
    "org.matrix.msc3381.poll.start",
    "m.beacon_info",
)
"""The events that move a room up in a client's list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltRoom:
    entry: JsonDict
    """Empty when there is nothing to tell."""
    is_limited: bool = False
    timeline_ids: frozenset[str] = field(default=frozenset())
    members_sent: list[tuple[int, str, int]] = field(default_factory=list)
    """(room_nid, user id, event_nid) of the members that were loaded lazily."""


def build_room(
    db: Db,
    view: SyncView,
    interest: Interest,
    known: ToldRoom | None,
    *,
    live_after: int,
    direct_room_ids: Collection[str],
    has_new_counts: bool = False,
) -> BuiltRoom:
    """One room. The view's `since` is what the client knows of it; `live_after` is the position of its last answer."""
    config = interest.config
    view = replace(view, filter=_filter(config), state_after_names=("required_state",))
    change = change_of_room(db, view, interest.room.membership)
    if change.whole:  # also for who left and came back: the client forgets the room and takes what it gets
        change = replace(change, after=0, watched=False)
    common: JsonDict = {"membership": interest.room.membership.membership}
    if interest.lists:
        common["lists"] = interest.lists
    if change.section in _INVITED:
        return _build_invited(db, view, change, common)
    told = _Told.of(known, config, change)
    timeline = read_timeline(db, view, replace(change, after=0, watched=False) if told.is_expanded else change)
    touched = _touched(db, change)
    state = _Look(db=db, view=view, change=change, timeline=timeline, touched=touched).read_state(
        config.required_state, told.required_state
    )
    if not (change.whole or timeline.events or timeline.limited or state.events or state.gone):
        return BuiltRoom(entry={**common, **_build_counts(db, view, change)} if has_new_counts else {})
    entry = {
        **common,
        **_build_facts(db, view, change, touched),
        **_build_bump_stamp(db, view, change, timeline),
        **_build_timeline(db, view, timeline, live_after),
        **_build_counts(db, view, change),
    }
    if change.whole:
        entry["initial"] = True
    if told.is_expanded:
        entry["limited"] = True  # it does not go on from what the client has, but takes its place
        entry["expanded_timeline"] = entry["unstable_expanded_timeline"] = True
    if interest.room.room_id in direct_room_ids:
        entry["is_dm"] = True
    if state.events or state.gone:
        shown = client_events(
            db, state.events, reader=view.reader, now_ms=view.now_ms, with_room_id=False, in_timeline=False
        )
        entry["required_state"] = [*shown, *state.gone]
    return BuiltRoom(
        entry=entry,
        is_limited=timeline.limited,
        timeline_ids=frozenset(event.event_id for event in timeline.events),
        members_sent=state.lazily,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What of the client's present wishes it was told already."""

    required_state: RequiredState
    """It knows the state that these asked for."""
    is_expanded: bool
    """It wants more of the timeline than it was told."""

    @classmethod
    def of(cls, known: ToldRoom | None, config: RoomConfig, change: RoomChange) -> "_Told":
        if known is None or change.whole:
            return cls(required_state=RequiredState(), is_expanded=False)
        return cls(
            required_state=decode_required_state(known.required_state),
            is_expanded=config.timeline_limit > known.timeline_limit,
        )


def _filter(config: RoomConfig) -> SyncFilter:
    return SyncFilter(timeline=EventFilter(limit=config.timeline_limit))


def _build_invited(db: Db, view: SyncView, change: RoomChange, common: JsonDict) -> BuiltRoom:
    membership_position = _member_position(db, view, change)
    if membership_position <= view.after:
        return BuiltRoom(entry={})
    stripped = build_stripped_state(db, view, change)
    if stripped is None:
        return BuiltRoom(entry={})
    entry = {
        **common,
        "initial": True,
        "bump_stamp": membership_position,
        "invite_state": stripped,
        "stripped_state": stripped,
        "joined_count": count_members(db, change.room_nid),
        "invited_count": count_members(db, change.room_nid, "invite"),
    }
    return BuiltRoom(entry=entry)


def _member_position(db: Db, view: SyncView, change: RoomChange) -> int:
    membership = find_membership(db, view.user_id, change.room_nid)
    assert membership is not None, "an invite or a knock is a membership"
    return membership.stream_position


def _touched(db: Db, change: RoomChange) -> dict[StateTuple, int | None]:
    """The state that changed since the client last heard of the room: event_nids, None for what is gone."""
    if change.whole:
        return {}
    changes = select_changes(db, change.room_nid, after=change.after, up_to=change.state_up_to)
    return {past.state_tuple: past.event_nid for past in changes}


def _build_facts(db: Db, view: SyncView, change: RoomChange, touched: Collection[StateTuple]) -> JsonDict:
    """Name and avatar, how many are in the room, and after whom it is called if nameless: as far as that changed."""
    facts: JsonDict = {}
    name = _setting(db, change, _NAME, "name")
    if change.whole or _NAME in touched:
        facts |= {"name": name} if name is not None or not change.whole else {}
    if change.whole or _AVATAR in touched:
        avatar = _setting(db, change, _AVATAR, "url")
        facts |= {"avatar": avatar} if avatar is not None or not change.whole else {}
    has_new_members = change.whole or any(event_type == MEMBER for event_type, _ in touched)
    if has_new_members:
        facts["joined_count"] = count_members(db, change.room_nid)
        facts["invited_count"] = count_members(db, change.room_nid, "invite")
    if name is None and (has_new_members or _NAME in touched):
        facts["heroes"] = _build_heroes(db, view, change)
    return facts


def _setting(db: Db, change: RoomChange, state_tuple: StateTuple, key: str) -> str | None:
    event = find_current_event(db, change.room, *state_tuple)
    value = None if event is None else event.event.content.get(key)
    return value if isinstance(value, str) and value else None


def _build_heroes(db: Db, view: SyncView, change: RoomChange) -> list[JsonDict]:
    heroes = []
    for user_id in select_heroes(db, change.room_nid, view.user_id, _HEROES):
        member = find_current_event(db, change.room, MEMBER, user_id)
        content = {} if member is None else member.event.content
        shown = {key: content[key] for key in ("displayname", "avatar_url") if isinstance(content.get(key), str)}
        heroes.append({"user_id": user_id, **shown})
    return heroes


def _build_bump_stamp(db: Db, view: SyncView, change: RoomChange, timeline: Timeline) -> JsonDict:
    if change.section != JOIN:
        return {"bump_stamp": change.up_to}
    bumping = [event for event in timeline.events if event.event.type in _BUMPING]
    if bumping:
        return {"bump_stamp": bumping[-1].position}
    if not change.whole and not timeline.limited:
        return {}
    last = select_filtered_timeline(
        db, change.room_nid, after=0, up_to=change.up_to, limit=1, event_filter=EventFilter(types=_BUMPING)
    )
    return {"bump_stamp": last[0].position} if last else {}


def _build_timeline(db: Db, view: SyncView, timeline: Timeline, live_after: int) -> JsonDict:
    events = timeline.events
    shown = client_events(db, events, reader=view.reader, now_ms=view.now_ms, with_room_id=False)
    live = sum(event.position > live_after for event in timeline.events) if live_after else 0
    return {
        "timeline": [add_ttl(told, event.event, view.now_ms) for told, event in zip(shown, events, strict=True)],
        "limited": timeline.limited,
        "prev_batch": timeline.prev_batch,
        "num_live": live,
    }


def _build_counts(db: Db, view: SyncView, change: RoomChange) -> JsonDict:
    counts = select_unread_counts(db, view.user_id, change.room_nid).values()
    return {
        "notification_count": sum(count.notifications for count in counts),
        "highlight_count": sum(count.highlights for count in counts),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    events: list[PersistedEvent]
    gone: list[JsonDict]
    """Stubs of what is no longer in the state."""
    lazily: list[tuple[int, str, int]]
    """(room_nid, user id, event_nid) of the members that were loaded lazily."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A room as it is looked at for an answer."""

    db: Db
    view: SyncView
    change: RoomChange
    timeline: Timeline
    touched: dict[StateTuple, int | None]
    """The state that changed, see `_touched`."""

    def read_state(self, wanted: RequiredState, told: RequiredState) -> _State:
        """What is wanted and either changed or was never asked for before."""
        entries: dict[StateTuple, int | None] = {key: nid for key, nid in self.touched.items() if wanted.wants(key)}
        if wanted != told:
            entries = {**self._select_new(wanted, told), **entries}
        members = self._select_lazy_members() if wanted.lazy_members else {}
        entries |= {key: nid for key, nid in members.items() if key not in entries}
        events = (
            select_events(self.db, (nid for nid in entries.values() if nid is not None)).values() if entries else ()
        )
        return _State(
            events=sorted(events, key=lambda event: (event.stream_position or 0, event.event.depth)),
            gone=[{"type": key[0], "state_key": key[1]} for key, nid in entries.items() if nid is None],
            lazily=[(self.change.room_nid, key[1], nid) for key, nid in members.items()],
        )

    def _select_new(self, wanted: RequiredState, told: RequiredState) -> dict[StateTuple, int]:
        """The state that is wanted and that no earlier wish has asked for."""
        room_nid = self.change.room_nid
        if self.change.section != JOIN:
            entries: Iterable[tuple[StateTuple, int]] = read_state_at_end(self.db, self.change, self.timeline).items()
        elif (exact := wanted.exact) is not None:
            found = {key: find_current(self.db, room_nid, *key) for key in exact}
            entries = [(key, nid) for key, nid in found.items() if nid is not None]
        else:
            entries = select_current(self.db, room_nid, wanted.types).items()
        return {key: nid for key, nid in entries if wanted.wants(key) and not told.wants(key)}

    def _select_lazy_members(self) -> dict[StateTuple, int]:
        """The members that the timeline needs and the client doesn't have, and those that changed before its eyes."""
        events = self.timeline.events
        needed: set[str] = {event.event.sender for event in events}
        needed |= {str(event.event.state_key) for event in events if event.event.type == MEMBER}
        members: dict[StateTuple, int] = {}
        for user_id in needed:
            nid = find_entry_at(self.db, self.change.room_nid, MEMBER, user_id, self.change.state_up_to)
            if nid is not None and not self._is_sent(user_id, nid):
                members[MEMBER, user_id] = nid
        if not self.timeline.limited:
            members |= {key: nid for key, nid in self.touched.items() if key[0] == MEMBER and nid is not None}
        return members

    def _is_sent(self, user_id: str, event_nid: int) -> bool:
        return is_sent(self.view.members_sent, self.change.room_nid, user_id, event_nid, self.view.after)
