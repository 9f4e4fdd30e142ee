"""The index over auth chains: which events lead to which along `auth_events`, without reading the events.

Only state events have a row, since only they can be in a room state or be an auth event; whatever else a rejected event
names gets its row then. A message event writes nothing here, a state event one small row at the end of the table.

Events are numbered as they come, and an event comes after its auth events: whatever an auth chain leads to has a lower
event_nid. Events are also strung into *chains*, each event naming the one before it: a user's memberships, a room's
power levels. Whoever reaches an event of a chain reaches all before it, so that a whole auth chain is told by the last
event of each chain that it reaches, its *reach*. The reach of an event is that of its auth events together, and itself.

Rows mostly hold the auth events alone. Where putting a reach together would read more rows than the reach has entries,
twice over, the heaviest of the auth events get theirs written into their rows: those are what many others name, too. So
a reach costs no more than a few times its size to read, and the rows no more than a few times the auth events to store.

What asks about a conflict reads the reach of the conflicted events, and of other events only such as came after the
first event in question, since nothing older can lead to it. (server-server API, "Auth chain"; the idea of chains is
of "chain cover" indices, here without links between chains)
"""

import json
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final, NamedTuple, TypeAlias

from tabstead.protocol.events import Event
from tabstead.storage.database import Db
from tabstead.storage.events import select_event_nids, select_events
from tabstead.storage.state_tuples import find_state_tuple

Reach: TypeAlias = dict[int, int]
"""Of each chain, by the event_nid of its first event, the event_nid of the last event that is reached."""

_LIGHT: Final = 32
"""Rows that are always cheap enough to read."""


def insert_auth_chain(db: Db, event_nid: int, event: Event) -> None:
    """Index a new event, whose auth events are stored. Message events are not indexed."""
    if not event.is_state:
        return
    auth_events = _auth_events_of(db, event)
    unindexed = _unindexed_behind(db, auth_events)
    for nid in sorted(unindexed):
        _insert(db, nid, _auth_events_of(db, unindexed[nid]))
    if unindexed:
        auth_events = _auth_events_of(db, event)
    _insert(db, event_nid, auth_events, find_state_tuple(db, event.state_tuple))


def select_auth_difference(db: Db, conflicted: Sequence[Collection[int]], agreed: Iterable[int]) -> set[int]:
    """The events in the full auth chains of some state sets but not of all, as event_nids.

    `conflicted` has of each set what not all agree on, `agreed` what they do. The conflicted events themselves, which
    state resolution looks at in any case, are left out.
    """
    graph = _Graph(db)
    candidates = _between(db, [graph.reach_of(event_nids) for event_nids in conflicted])
    for event_nids in conflicted:
        for event_nid in event_nids:
            candidates.pop(event_nid, None)
    if not candidates:
        return set()
    oldest = min(candidates)
    reach = graph.reach_of((event_nid for event_nid in agreed if event_nid >= oldest), oldest=oldest)
    return {event_nid for event_nid, chain in candidates.items() if event_nid > reach.get(chain, 0)}


def select_auth_chain(db: Db, event_nids: Iterable[int]) -> set[int]:
    """The events that any of these lead to along `auth_events`, as event_nids; of these only such as others lead to."""
    chain: set[int] = set()
    unvisited = set(event_nids)
    while unvisited:
        rows = _select_auth_events(db, unvisited)
        unvisited = {auth_event for auth_events in rows for auth_event in auth_events} - chain
        chain |= unvisited
    return chain


def select_conflicted_subgraph(db: Db, conflicted: Collection[int]) -> set[int]:
    """The events on the paths along `auth_events` between any two of these, the ends included, as event_nids."""
    graph = _Graph(db)
    oldest = min(conflicted, default=0)
    first_of: dict[int, int] = {}
    for row in sorted(graph.rows(conflicted), key=lambda row: row.event_nid):
        first_of.setdefault(row.chain, row.event_nid)
    visited: dict[int, _Row] = {}
    unvisited = set(conflicted)
    while unvisited:
        rows = graph.rows(unvisited)
        visited |= {row.event_nid: row for row in rows}
        unvisited = {
            auth_event
            for row in rows
            if row.reach is None or any(last >= first_of.get(chain, inf) for chain, last in row.reach.items())
            for auth_event in row.auth_events
            if auth_event >= oldest and auth_event not in visited
        }
    subgraph = set(conflicted)
    for event_nid in sorted(visited):  # auth events first
        if not subgraph.isdisjoint(visited[event_nid].auth_events):
            subgraph.add(event_nid)
    return subgraph


class _Row(NamedTuple):
    event_nid: int
    chain: int
    auth_events: tuple[int, ...]
    reach: Reach | None


class _Graph:
    """Rows of the index, each read once."""

    def __init__(self, db: Db) -> None:
        self._db = db
        self._rows: dict[int, _Row] = {}

    def rows(self, event_nids: Iterable[int]) -> list[_Row]:
        """The rows of these events, unordered; an event without a row has none."""
        wanted = list(event_nids)
        unread = [event_nid for event_nid in wanted if event_nid not in self._rows]
        if unread:
            self._rows |= {row.event_nid: row for row in _select_rows(self._db, unread)}
        return [self._rows[event_nid] for event_nid in wanted if event_nid in self._rows]

    def reach_of(self, event_nids: Iterable[int], *, oldest: int = 0) -> Reach:
        """What these events reach, themselves included; of what is before `oldest` not all."""
        reach: Reach = {}
        whole: Reach = {}  # what of it came from a row's reach, all that it leads to included
        seen = set(event_nids)
        unvisited: Collection[int] = seen
        while unvisited:
            rows = self.rows(unvisited)
            for row in rows:
                _raise(reach, row.chain, row.event_nid)
                for chain, last in (row.reach or {}).items():
                    _raise(whole, chain, last)
            unvisited = {
                auth_event
                for row in rows
                if whole.get(row.chain, 0) < row.event_nid
                for auth_event in row.auth_events
                if auth_event >= oldest and auth_event not in seen
            }
            seen |= unvisited
        for chain, last in whole.items():
            _raise(reach, chain, last)
        return reach


def _raise(reach: Reach, chain: int, event_nid: int) -> None:
    if reach.get(chain, 0) < event_nid:
        reach[chain] = event_nid


def _between(db: Db, reaches: Sequence[Reach]) -> dict[int, int]:
    """The events that some of these reach and others do not, with their chains."""
    differing: list[tuple[int, int, int]] = []
    between: dict[int, int] = {}
    for chain in set().union(*reaches):
        ends = [reach.get(chain, 0) for reach in reaches]
        shortest, longest = min(ends), max(ends)
        if shortest < chain:
            between[chain] = chain
        if max(shortest, chain) < longest:
            differing.append((chain, shortest, longest))
    for event_nid, chain in _select_chain_parts(db, differing):
        between[event_nid] = chain
    return between


@dataclass(frozen=True, slots=True, kw_only=True)
class _AuthEvent:
    """What the index says of an event that another names; `chain` is None where it says nothing yet."""

    event_nid: int
    tuple_nid: int | None
    chain: int | None
    weight: int
    width: int
    has_reach: bool


def _insert(db: Db, event_nid: int, auth_events: Sequence[_AuthEvent], tuple_nid: int | None = None) -> None:
    lightened = _lighten(db, auth_events, tuple_nid)
    db.execute(
        "INSERT INTO auth_chains (event_nid, chain, weight, width, auth_events) VALUES (?, ?, ?, ?, ?)",
        (
            event_nid,
            _chain_to_continue(db, tuple_nid, auth_events) or event_nid,
            1 + _weight(lightened),
            _width(lightened),
            _encode(auth_event.event_nid for auth_event in auth_events),
        ),
    )


def _weight(auth_events: Iterable[_AuthEvent]) -> int:
    return sum(1 if auth_event.has_reach else auth_event.weight for auth_event in auth_events)


def _width(auth_events: Iterable[_AuthEvent]) -> int:
    return max((auth_event.width for auth_event in auth_events), default=0)


def _chain_to_continue(db: Db, tuple_nid: int | None, auth_events: Iterable[_AuthEvent]) -> int | None:
    """The chain of the auth event with the same state tuple, if that event is the last of its chain."""
    for auth_event in auth_events:
        if tuple_nid is not None and auth_event.tuple_nid == tuple_nid:
            row = db.execute(
                "SELECT 1 FROM auth_chains WHERE chain = ? AND chain <> event_nid AND event_nid > ?",
                (auth_event.chain, auth_event.event_nid),
            ).fetchone()
            if row is None:
                return auth_event.chain
    return None


def _lighten(db: Db, auth_events: Iterable[_AuthEvent], tuple_nid: int | None) -> list[_AuthEvent]:
    """The auth events of a new row, the heaviest of which are given their reach until the row is light.

    The one before in the chain must be four times as heavy as others to be the first: few events name it, but many
    name the same power levels and join rules.
    """

    def order(auth_event: _AuthEvent) -> tuple[bool, float]:
        is_before = auth_event.tuple_nid is not None and auth_event.tuple_nid == tuple_nid
        return auth_event.has_reach, -auth_event.weight / (4 if is_before else 1)

    lightened = sorted(auth_events, key=order)
    for index, heaviest in enumerate(lightened):
        if heaviest.has_reach or _weight(lightened) < max(_LIGHT, 2 * _width(lightened)):
            break
        reach = _Graph(db).reach_of([heaviest.event_nid])
        db.execute(
            "UPDATE auth_chains SET reach = ?, width = ? WHERE event_nid = ?",
            (_encode(number for entry in reach.items() for number in entry), len(reach), heaviest.event_nid),
        )
        lightened[index] = replace(heaviest, width=len(reach), has_reach=True)
    return lightened


def _unindexed_behind(db: Db, auth_events: Iterable[_AuthEvent]) -> Mapping[int, Event]:
    """The events without a row among these and behind these."""
    unindexed: dict[int, Event] = {}
    unvisited = {auth_event.event_nid for auth_event in auth_events if auth_event.chain is None}
    while unvisited:
        found = {event_nid: stored.event for event_nid, stored in select_events(db, unvisited).items()}
        unindexed |= found
        behind = [auth_event for event in found.values() for auth_event in _auth_events_of(db, event)]
        unvisited = {each.event_nid for each in behind if each.chain is None} - unindexed.keys()
    return unindexed


def _auth_events_of(db: Db, event: Event) -> list[_AuthEvent]:
    nids = select_event_nids(db, event.auth_events)
    rows = db.execute(
        "SELECT e.event_nid, e.tuple_nid, a.chain, a.weight, a.width, a.reach IS NOT NULL"
        " FROM json_each(?) j CROSS JOIN events e ON e.event_nid = j.value"
        " LEFT JOIN auth_chains a ON a.event_nid = e.event_nid",
        (json.dumps([nids[event_id] for event_id in dict.fromkeys(event.auth_events) if event_id in nids]),),
    )
    return [
        _AuthEvent(
            event_nid=event_nid,
            tuple_nid=tuple_nid,
            chain=chain,
            weight=weight or 0,
            width=width or 0,
            has_reach=bool(has_reach),
        )
        for event_nid, tuple_nid, chain, weight, width, has_reach in rows
    ]


def _select_rows(db: Db, event_nids: Iterable[int]) -> Iterator[_Row]:
    rows = db.execute(
        "SELECT a.event_nid, a.chain, a.auth_events, a.reach"
        " FROM json_each(?) j CROSS JOIN auth_chains a ON a.event_nid = j.value",
        (json.dumps(list(event_nids)),),
    )
    for event_nid, chain, auth_events, reach in rows:
        yield _Row(
            event_nid=event_nid,
            chain=chain,
            auth_events=_decode(auth_events),
            reach=None if reach is None else _decode_reach(reach),
        )


def _select_auth_events(db: Db, event_nids: Iterable[int]) -> Iterator[tuple[int, ...]]:
    rows = db.execute(
        "SELECT a.auth_events FROM json_each(?) j CROSS JOIN auth_chains a ON a.event_nid = j.value",
        (json.dumps(list(event_nids)),),
    )
    return (_decode(auth_events) for (auth_events,) in rows)


def _encode(event_nids: Iterable[int]) -> bytes:
    """Four bytes each: longer than need be, and read at the speed of C."""
    numbers = tuple(event_nids)
    return struct.pack(f"<{len(numbers)}I", *numbers)


def _decode(encoded: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(encoded) // 4}I", encoded)


def _decode_reach(encoded: bytes) -> Reach:
    numbers = iter(_decode(encoded))
    return dict(zip(numbers, numbers, strict=True))


def _select_chain_parts(db: Db, parts: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    """The events of chains, but their first, with after < event_nid <= up_to, each with its chain."""
    rows = db.execute(
        "SELECT a.event_nid, a.chain FROM json_each(?) j CROSS JOIN auth_chains a"
        " ON a.chain = json_extract(j.value, '$[0]') AND a.chain <> a.event_nid"
        " AND a.event_nid > json_extract(j.value, '$[1]') AND a.event_nid <= json_extract(j.value, '$[2]')",
        (json.dumps(parts),),
    )
    yield from rows
