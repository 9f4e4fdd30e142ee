"""Two servers in one room, each with its own database and key. Events are carried between them by hand."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import Any

from tabstead.protocol.auth_rules import select_auth_event_types
from tabstead.protocol.events import Event, build_event, parse_event, reference_hash
from tabstead.protocol.identifiers import EventID, ServerName, StateTuple, UserID
from tabstead.protocol.room_versions import EventIDFormat, get_room_version
from tabstead.protocol.signatures import SigningKey, VerifyKey, sign_event
from tabstead.rooms.create import PRESETS, RoomCreation, create_room
from tabstead.rooms.draft import Draft
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.receive import receive_outlier, receive_pdu
from tabstead.rooms.send import send_event
from tabstead.rooms.state import read_state_after
from tabstead.rooms.verdicts import Accepted, Verdict
from tabstead.storage.current_state import select_current
from tabstead.storage.events import PersistedEvent, get_event, select_event_ids, select_events
from tabstead.storage.migrations import migrate_step
from tabstead.storage.rooms import Room, get_room, insert_room, select_forward_extremities

Json = dict[str, Any]
ALICE, BOB = "@alice:tab.test", "@bob:far.test"

_times = count(1_700_000_000_000)
_opaque = count()


@dataclass(eq=False)
class Side:
    """One of the servers and what it knows of the room."""

    name: str
    db: sqlite3.Connection
    server: LocalServer
    known_keys: dict[str, VerifyKey]
    """Each server's key, by its name."""
    room_nid: int = 0

    @classmethod
    def open(cls, name: str, known_keys: dict[str, VerifyKey]) -> "Side":
        db = sqlite3.connect(":memory:", isolation_level=None)
        while not migrate_step(db):
            pass
        key = SigningKey(key_id="ed25519:1", seed=sha256(name.encode()).digest())
        known_keys[name] = key.verify_key
        return cls(name, db, LocalServer(name=name, signing_key=key, now_ms=lambda: next(_times)), known_keys)

    @property
    def room(self) -> Room:
        return get_room(self.db, self.room_nid)

    def send(self, sender: str, event_type: str, content: Json, state_key: str | None = None) -> Event:
        """Send as a client of this server does."""
        draft = Draft(type=event_type, content=content, state_key=state_key)
        return send_event(self.db, self.server, self.room, sender, draft).event

    def say(self, sender: str, body: str = "…") -> Event:
        return self.send(sender, "m.room.message", {"body": body})

    def set_member(self, sender: str, target: str, membership: str) -> Event:
        return self.send(sender, "m.room.member", {"membership": membership}, target)

    def craft(
        self,
        sender: str,
        event_type: str = "m.room.message",
        content: Json | None = None,
        state_key: str | None = None,
        *,
        after: Sequence[Event],
        auth_events: Sequence[Event] | None = None,
        replacing: Json | None = None,
    ) -> Json:
        """A PDU signed by this server, whatever the rules say of it. It is not persisted.

        Its auth events are those of the state after the first event that it follows, unless given; `replacing`
        has what replaces fields of the PDU.
        """
        version = self.room.version
        content = {"body": "…"} if content is None else content
        if auth_events is None:
            state = self.state_after(after[0]) if after else {}
            selected = select_auth_event_types(event_type, state_key, sender, content, version)
            auth_events = [state[key] for key in selected if key in state]
        in_event = version.event_id_format is EventIDFormat.IN_EVENT
        pdu = build_event(
            room_version=version,
            room_id=self.room.room_id,
            event_type=event_type,
            sender=UserID(sender),
            content=content,
            state_key=state_key,
            prev_events=[event.event_id for event in after],
            auth_events=[event.event_id for event in auth_events],
            depth=max((event.depth for event in after), default=0) + 1,
            origin_server_ts=self.server.now_ms(),
            event_id=EventID(f"${next(_opaque)}:{self.name}") if in_event else None,
            reference_hashes={each.event_id: reference_hash(each.pdu, version) for each in [*after, *auth_events]},
        )
        return sign_event({**pdu, **(replacing or {})}, version, self.name, self.server.signing_key)

    def parse(self, pdu: Json) -> Event:
        return parse_event(pdu, self.room.version)

    def receive(self, pdu: object, **options: Any) -> Verdict:
        return receive_pdu(self.db, self.server, self.room, pdu, self.verify_keys, **options)

    def receive_outlier(self, pdu: object) -> Verdict:
        return receive_outlier(self.db, self.room, pdu, self.verify_keys)

    def verify_keys(self, server_name: ServerName, key_ids: Iterable[str]) -> Mapping[str, VerifyKey]:
        key = self.known_keys.get(server_name)
        return {key.key_id: key} if key is not None and key.key_id in key_ids else {}

    def timeline(self) -> list[PersistedEvent]:
        """All that has a place, in the order in which it came, whatever was said of it."""
        rows = self.db.execute(
            "SELECT event_nid FROM events WHERE stream_position IS NOT NULL ORDER BY stream_position"
        )
        return list(select_events(self.db, [nid for (nid,) in rows.fetchall()]).values())

    def stored(self) -> int:
        return int(self.db.execute("SELECT COUNT(*) FROM events").fetchone()[0])

    def state(self) -> dict[StateTuple, EventID]:
        current = select_current(self.db, self.room_nid)
        event_ids = select_event_ids(self.db, current.values())
        return {state_tuple: event_ids[event_nid] for state_tuple, event_nid in current.items()}

    def current(self, event_type: str, state_key: str = "") -> Event:
        return get_event(self.db, select_current(self.db, self.room_nid)[(event_type, state_key)]).event

    def state_after(self, event: Event) -> dict[StateTuple, Event]:
        (stored,) = [each for each in self.timeline() if each.event_id == event.event_id]
        state = read_state_after(self.db, stored)
        return {state_tuple: get_event(self.db, event_nid).event for state_tuple, event_nid in state.items()}

    def tips(self) -> set[EventID]:
        extremities = select_forward_extremities(self.db, self.room_nid)
        return set(select_event_ids(self.db, extremities).values())

    def tip(self) -> Event:
        (event_nid,) = select_forward_extremities(self.db, self.room_nid)
        return get_event(self.db, event_nid).event


@dataclass(eq=False)
class TwoServers:
    """A public room of alice's on tab.test, which bob of far.test has joined. Both servers know all of it."""

    tab: Side
    far: Side
    known_keys: dict[str, VerifyKey] = field(default_factory=dict)

    @classmethod
    def open(cls, version: str = "12", **power_levels: Any) -> "TwoServers":
        known_keys: dict[str, VerifyKey] = {}
        both = cls(Side.open("tab.test", known_keys), Side.open("far.test", known_keys), known_keys)
        tab, far = both.tab, both.far
        preset = PRESETS["public_chat"]
        creation = RoomCreation(version=get_room_version(version), preset=preset, power_levels=power_levels)
        tab.room_nid = create_room(tab.db, tab.server, ALICE, creation).room_nid
        far.room_nid = insert_room(far.db, tab.room.room_id, tab.room.version).room_nid
        both.exchange()
        far.set_member(BOB, BOB, "join")
        both.exchange()
        return both

    def exchange(self) -> list[Verdict]:
        """Each server gets what the other has, in the other's order. The verdicts on what was new."""
        return [*self.carry(self.tab, self.far), *self.carry(self.far, self.tab)]

    def carry(self, origin: Side, destination: Side) -> Iterator[Verdict]:
        known = {stored.event_id for stored in destination.timeline()}
        pdus = [stored.event.pdu for stored in origin.timeline() if stored.event_id not in known]
        return iter([destination.receive(pdu) for pdu in pdus])

    def assert_agreed(self) -> None:
        assert self.tab.state() == self.far.state()
        assert self.tab.tips() == self.far.tips()


def accepted(verdict: Verdict) -> Event:
    assert isinstance(verdict, Accepted), verdict
    return verdict.event.event
