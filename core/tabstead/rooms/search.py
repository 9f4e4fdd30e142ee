"""Searching the events that a user may see, by their words.

The index gives the newest events of the user's rooms that have all the words: a *window* of them. Each is looked at,
and stays if the user may see it, if the filter lets it through, and if its text is still the text: a message is found
by its newest edit, as far as the user may see that, and shown as itself. What stays is ordered, by how well it matches
or by age, and given in pages; the window after the last page has older events.

A page token names the window, by the event_nid that it begins with, how much of it was given, and the group of results
in which it leads on. Rooms that are encrypted are not searched. (Client-Server API, § Server Side Search)
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from tabstead.errors import InvalidParam
from tabstead.protocol.filters import EventFilter
from tabstead.protocol.words import is_found_by, split_term, split_words
from tabstead.rooms.aggregations import find_newest_replacement
from tabstead.rooms.history_visibility import HistoryVisibility, build_reader_visibility, find_view
from tabstead.rooms.pagination import passes
from tabstead.rooms.search_index import is_edit, searched_text
from tabstead.storage.current_state import find_current
from tabstead.storage.database import Db
from tabstead.storage.event_words import TextKind, count_matches, select_matches
from tabstead.storage.events import PersistedEvent, find_event, select_events
from tabstead.storage.memberships import select_memberships
from tabstead.storage.rooms import find_room, get_room

WINDOW: Final = 500
_MAX_COUNT: Final = 10_000
"""Counting more would tell nobody more."""

_USUAL_LENGTH: Final = 20
"""Words of a usual message: a word says more of a shorter one."""

GroupKey: TypeAlias = Literal["room_id", "sender"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    term: str
    kinds: frozenset[TextKind] = frozenset(TextKind)
    event_filter: EventFilter
    limit: int
    by_rank: bool = True
    group_by: tuple[GroupKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlace:
    """Where a page begins."""

    newest: int = 2**63 - 1
    """The event_nid up to which the window goes."""
    skip: int = 0
    """Results of the window that were given."""
    group: tuple[GroupKey, str] | None = None
    """The group to which the results are limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    event: PersistedEvent
    rank: float

    def group(self, key: GroupKey) -> str:
        return self.event.event.room_id if key == "room_id" else self.event.event.sender


@dataclass(slots=True, kw_only=True)
class SearchGroup:
    order: int
    event_ids: list[str] = field(default_factory=list)
    next_place: SearchPlace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    results: list[SearchResult]
    count: int
    highlights: list[str]
    groups: Mapping[GroupKey, Mapping[str, SearchGroup]]
    next_place: SearchPlace | None


def search_events(db: Db, user_id: str, query: SearchQuery, place: SearchPlace) -> SearchPage:
    """A page of what the user may find. Nothing is found by a term without words."""
    words = split_term(query.term)
    rooms = _select_rooms(db, user_id, query.event_filter, place) if words else []
    if not rooms:
        return SearchPage(
            results=[], count=0, highlights=words, groups={key: {} for key in query.group_by}, next_place=None
        )
    window = select_matches(db, words, rooms, query.kinds, up_to=place.newest, limit=WINDOW + 1)
    is_last = len(window) <= WINDOW
    found = _Reader(db, user_id, words, query.event_filter).look_at(window[:WINDOW], place)
    if query.by_rank:
        found.sort(key=lambda result: result.rank, reverse=True)
    page = found[place.skip : place.skip + query.limit]
    after = _Rest(place=place, newest=window[0] if window else place.newest, end=None if is_last else window[WINDOW])
    is_whole = is_last and place == SearchPlace()
    return SearchPage(
        results=page,
        count=len(found) if is_whole else count_matches(db, words, rooms, query.kinds, limit=_MAX_COUNT),
        highlights=_highlights(page, words),
        groups={key: _group(key, page, found, after) for key in query.group_by},
        next_place=after.place_beyond(place.skip + len(page), len(found), place.group),
    )


def encode_place(place: SearchPlace) -> str:
    """The place as a token."""
    text = json.dumps([place.newest, place.skip, place.group], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_place(token: str) -> SearchPlace:
    """The place of a token. Raises InvalidParam."""
    try:
        value = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, RecursionError, binascii.Error):
        value = None
    match value:
        case [int(newest), int(skip), None] if 0 <= newest < 2**63 and skip >= 0:
            return SearchPlace(newest=newest, skip=skip)
        case [int(newest), int(skip), ["room_id" | "sender" as key, str(name)]] if 0 <= newest < 2**63 and skip >= 0:
            return SearchPlace(newest=newest, skip=skip, group=("room_id" if key == "room_id" else "sender", name))
        case _:
            raise InvalidParam("This is not a token of this server.")


def _select_rooms(db: Db, user_id: str, event_filter: EventFilter, place: SearchPlace) -> list[int]:
    """The room_nids of the rooms to search: those that the user is in or was, or named ones that everybody may read."""
    if place.group is not None and place.group[0] == "room_id":
        wanted = frozenset({place.group[1]}) & (event_filter.rooms or frozenset({place.group[1]}))
    elif event_filter.rooms is not None:
        wanted = event_filter.rooms
    else:
        known = [row for row in select_memberships(db, user_id) if row.membership == "join" or row.joined_until]
        nids = [row.room_nid for row in known if not row.forgotten]
        if not event_filter.not_rooms:
            return nids
        return [nid for nid in nids if get_room(db, nid).room_id not in event_filter.not_rooms]
    rooms = [find_room(db, room_id) for room_id in sorted(wanted - event_filter.not_rooms)]
    return [room.room_nid for room in rooms if room is not None and find_view(db, room, user_id) is not None]


class _Reader:
    """Looks at candidates with the eyes of one user; remembers what it looked up."""

    def __init__(self, db: Db, user_id: str, words: list[str], event_filter: EventFilter) -> None:
        self._db = db
        self._user_id = user_id
        self._words = words
        self._filter = event_filter
        self._rooms: dict[int, HistoryVisibility | None] = {}

    def look_at(self, event_nids: Iterable[int], place: SearchPlace) -> list[SearchResult]:
        """What the candidates amount to, in their order."""
        results = []
        for candidate in select_events(self._db, event_nids).values():
            shown = self._find_shown(candidate)
            if shown is None or not passes(self._db, self._filter, shown):
                continue
            result = SearchResult(event=shown, rank=_rank(searched_text(candidate.event)[1], self._words))
            if result.rank and (place.group is None or result.group(place.group[0]) == place.group[1]):
                results.append(result)
        return results

    def _find_shown(self, candidate: PersistedEvent) -> PersistedEvent | None:
        """The event whose text the candidate has for this user: itself, or what it edits."""
        visibility = self._visibility(candidate.room_nid)
        if visibility is None or not visibility.may_see(candidate):
            return None
        shown = self._find_edited(candidate) if is_edit(candidate.event) else candidate
        if shown is None or not visibility.may_see(shown):
            return None
        newest = find_newest_replacement(self._db, shown, visibility.may_see)
        return shown if (newest or shown).event_nid == candidate.event_nid else None

    def _find_edited(self, edit: PersistedEvent) -> PersistedEvent | None:
        relates_to = edit.event.content["m.relates_to"].get("event_id")
        edited = find_event(self._db, relates_to) if isinstance(relates_to, str) else None
        return edited if edited is not None and edited.room_nid == edit.room_nid else None

    def _visibility(self, room_nid: int) -> HistoryVisibility | None:
        """None for a room that is encrypted."""
        if room_nid not in self._rooms:
            is_encrypted = find_current(self._db, room_nid, "m.room.encryption") is not None
            room = get_room(self._db, room_nid)
            self._rooms[room_nid] = None if is_encrypted else build_reader_visibility(self._db, room, self._user_id)
        return self._rooms[room_nid]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rest:
    """What comes after a page."""

    place: SearchPlace
    newest: int
    """What the window begins with, whatever comes later."""
    end: int | None
    """What the next window begins with; None if there is none."""

    def place_beyond(self, given: int, found: int, group: tuple[GroupKey, str] | None) -> SearchPlace | None:
        """Where to go on once so many of the results found in the window were given."""
        if given < found:
            return SearchPlace(newest=self.newest, skip=given, group=group)
        return None if self.end is None else SearchPlace(newest=self.end, group=group)


def _group(key: GroupKey, page: list[SearchResult], found: list[SearchResult], after: _Rest) -> dict[str, SearchGroup]:
    """The results of a page by their group, with where each group goes on."""
    groups: dict[str, SearchGroup] = {}
    for result in page:
        group = groups.setdefault(result.group(key), SearchGroup(order=len(groups) + 1))
        group.event_ids.append(result.event.event_id)
    for name, group in groups.items():
        members = [result for result in found if result.group(key) == name]
        last = max(index for index, result in enumerate(members) if result.event.event_id == group.event_ids[-1])
        group.next_place = after.place_beyond(last + 1, len(members), (key, name))
    return groups


def _rank(text: str, words: list[str]) -> float:
    """How well a text matches: more for words that come more often, whole, or in a shorter text. 0: it doesn't."""
    said = split_words(text)
    weight = 0.25 + 0.75 * len(said) / _USUAL_LENGTH
    rank = 0.0
    for wanted in words:
        frequency = sum(1.0 if word == wanted else 0.5 for word in said if is_found_by(word, wanted))
        if not frequency:
            return 0
        rank += frequency / (frequency + weight)
    return rank / len(words)


def _highlights(page: list[SearchResult], words: list[str]) -> list[str]:
    """The words of the term, and those that were found by them."""
    said = (word for result in page for word in split_words(searched_text(result.event.event)[1]))
    return sorted({*words, *(word for word in said if any(is_found_by(word, wanted) for wanted in words))})
