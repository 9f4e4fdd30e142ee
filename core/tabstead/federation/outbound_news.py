"""Look through the stream for what other servers have to be told.

Of each stream (events, receipts, devices, presence, messages to devices) that has something new of a local user, the
servers that it concerns are found, and what they are owed is noted as spans (`storage.outbound_news`). A look takes so
many events at most; the next one goes on from there.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tabstead.federation.audiences import Audience, select_other_servers
from tabstead.protocol.identifiers import ServerName
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Db
from tabstead.storage.device_lists import select_device_change_users
from tabstead.storage.names import find_user
from tabstead.storage.outbound_news import (
    Kind,
    News,
    StreamEvent,
    select_relays,
    select_servers_near,
    select_stream_events,
    update_news,
    update_outbound_position,
)
from tabstead.storage.outbound_to_device import select_to_device_servers
from tabstead.storage.positions import select_position
from tabstead.storage.presence import find_presence, select_presence_setters
from tabstead.storage.receipts import select_public_receipt_rooms
from tabstead.streams.presence import presence_at

EVENTS_PER_LOOK: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found between two positions."""

    up_to: int
    news: tuple[News, ...]
    messaged: frozenset[ServerName]
    """Servers for whose devices messages were left."""
    presences: Mapping[int, str]
    """What the users are who set their presence, by their numbers."""

    @property
    def servers(self) -> set[ServerName]:
        return {each.server for each in self.news} | self.messaged


@dataclass(slots=True)
class _Spans:
    """News as it is gathered."""

    by_subject: dict[tuple[ServerName, Kind, int], tuple[int, int]] = field(default_factory=dict)

    def add(self, servers: Iterable[ServerName], kind: Kind, subject: int, first: int, last: int) -> None:
        for server in servers:
            known = self.by_subject.get((server, kind, subject), (first, last))
            self.by_subject[server, kind, subject] = (min(known[0], first), max(known[1], last))

    def forget(self, servers: Iterable[str], kind: Kind) -> None:
        """These servers are not to be told this."""
        spared = set(servers)
        self.by_subject = {
            key: span for key, span in self.by_subject.items() if not (key[0] in spared and key[1] is kind)
        }

    def news(self) -> Iterator[News]:
        for (server, kind, subject), (first, last) in self.by_subject.items():
            yield News(server=server, kind=kind, subject=subject, first_position=first, last_position=last)


def look_through(db: Db, server: LocalServer, after: int, failing: Iterable[str]) -> Look:
    """What is new after a position. Servers that are `failing` are spared what is of no use later. Writes nothing."""
    events = select_stream_events(db, after=after, limit=EVENTS_PER_LOOK)
    up_to = events[-1].stream_position if len(events) == EVENTS_PER_LOOK else select_position(db)
    spans = _Spans()
    _look_for_events(db, server, events, spans)
    _look_for_receipts(db, server, after, up_to, spans)
    _look_for_devices(db, server, after, up_to, spans)
    presences = _look_for_presence(db, server, after, up_to, spans)
    spans.forget(failing, Kind.PRESENCE)
    return Look(
        up_to=up_to,
        news=tuple(spans.news()),
        messaged=frozenset(select_to_device_servers(db, after=after, up_to=up_to)),
        presences=presences,
    )


def note_look(db: Db, look: Look) -> None:
    """Keep what was found, and how far the stream was looked through."""
    update_news(db, look.news)
    update_outbound_position(db, look.up_to)


def select_events_for(
    db: Db, server: LocalServer, room_nid: int, events: Iterable[StreamEvent], destination: ServerName
) -> list[StreamEvent]:
    """Those of a room's events that go out from here to the destination, in their order."""
    going = _select_going(db, server, events)
    if not going:
        return []
    audience = Audience(db, server.name, room_nid, since=going[0][0].stream_position)
    told = [
        event
        for event, origin in reversed(going)
        if audience.has(destination, event.stream_position) and origin != destination
    ]
    return told[::-1]


def _select_going(db: Db, server: LocalServer, events: Iterable[StreamEvent]) -> list[tuple[StreamEvent, str | None]]:
    """Those of some events that go out from here, in their order; with the server that knows one already."""
    candidates = list(events)
    relays = select_relays(db, (event.stream_position for event in candidates if not server.owns(event.sender)))
    return [
        (event, relays.get(event.stream_position))
        for event in candidates
        if server.owns(event.sender) or event.stream_position in relays
    ]


def _look_for_events(db: Db, server: LocalServer, events: list[StreamEvent], spans: _Spans) -> None:
    by_room: dict[int, list[StreamEvent]] = {}
    for event in events:
        by_room.setdefault(event.room_nid, []).append(event)
    for room_nid, of_room in by_room.items():
        going = _select_going(db, server, of_room)
        if not going:
            continue
        audience = Audience(db, server.name, room_nid, since=going[0][0].stream_position)
        for event, origin in reversed(going):
            position = event.stream_position
            told = audience.servers_of(position)
            spans.add((each for each in told if each != origin), Kind.EVENTS, room_nid, position, position)


def _look_for_receipts(db: Db, server: LocalServer, after: int, up_to: int, spans: _Spans) -> None:
    for room_nid, (first, last) in select_public_receipt_rooms(db, server.name, after=after, up_to=up_to).items():
        spans.add(select_other_servers(db, server.name, room_nid), Kind.RECEIPTS, room_nid, first, last)


def _look_for_devices(db: Db, server: LocalServer, after: int, up_to: int, spans: _Spans) -> None:
    for user_id, (first, last) in select_device_change_users(db, after=after, up_to=up_to).items():
        user_nid = find_user(db, user_id)
        if user_nid is not None:
            spans.add(_others_near(db, server, user_id), Kind.DEVICES, user_nid, first, last)


def _look_for_presence(db: Db, server: LocalServer, after: int, up_to: int, spans: _Spans) -> dict[int, str]:
    found = {}
    for user_id, position in select_presence_setters(db, after=after, up_to=up_to).items():
        user_nid = find_user(db, user_id) if server.owns(user_id) else None
        stored = find_presence(db, user_id)
        if user_nid is not None and stored is not None:
            spans.add(_others_near(db, server, user_id), Kind.PRESENCE, user_nid, position, position)
            found[user_nid] = presence_at(stored, server.now_ms()).presence
    return found


def _others_near(db: Db, server: LocalServer, user_id: str) -> set[ServerName]:
    return {near for near in select_servers_near(db, user_id) if near != server.name}
