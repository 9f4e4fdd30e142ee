"""A room in a database of its own, to which events can be added at any place of its graph."""

import sqlite3
from dataclasses import dataclass, field
from typing import Any

from tabstead.protocol.events import build_event, parse_event
from tabstead.protocol.identifiers import UserID
from tabstead.protocol.room_versions import get_room_version
from tabstead.protocol.signatures import SigningKey, sign_event
from tabstead.rooms.create import PRESETS, RoomCreation, create_room
from tabstead.rooms.draft import Draft
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.membership import join_room
from tabstead.rooms.persist import persist_event
from tabstead.rooms.resolution import resolve_snapshots
from tabstead.rooms.send import send_event
from tabstead.rooms.state import read_auth_state, state_after
from tabstead.storage.current_state import select_current
from tabstead.storage.events import PersistedEvent, Standing, get_event, select_events
from tabstead.storage.migrations import migrate_step
from tabstead.storage.rooms import Room, get_room, select_forward_extremities
from tabstead.storage.state_history import read_state

Json = dict[str, Any]
ALICE, BOB = "@alice:tab.test", "@bob:tab.test"


@dataclass
class ForkedRoom:
    """A public room of alice's that bob has joined."""

    db: sqlite3.Connection
    server: LocalServer
    room_nid: int
    told: list[PersistedEvent] = field(default_factory=list)
    """What the followers were told of."""

    @classmethod
    def open(cls, version: str = "12", **power_levels: Any) -> "ForkedRoom":
        db = sqlite3.connect(":memory:", isolation_level=None)
        while not migrate_step(db):
            pass
        told: list[PersistedEvent] = []
        times = iter(range(1_700_000_000_000, 1_800_000_000_000))
        server = LocalServer(
            name="tab.test",
            signing_key=SigningKey(key_id="ed25519:1", seed=bytes(32)),
            now_ms=lambda: next(times),
            followers=(lambda _, event: told.append(event),),
        )
        creation = RoomCreation(
            version=get_room_version(version), preset=PRESETS["public_chat"], power_levels=power_levels
        )
        room = create_room(db, server, ALICE, creation)
        join_room(db, server, room, BOB)
        return cls(db, server, room.room_nid, told)

    @property
    def room(self) -> Room:
        return get_room(self.db, self.room_nid)

    def send(self, sender: str, event_type: str, content: Json, state_key: str | None = None) -> PersistedEvent:
        """Send as a client does: after all forward extremities."""
        draft = Draft(type=event_type, content=content, state_key=state_key)
        return send_event(self.db, self.server, self.room, sender, draft)

    def add(
        self,
        *after: PersistedEvent,
        sender: str = ALICE,
        event_type: str = "m.room.message",
        content: Json | None = None,
        state_key: str | None = None,
        redacts: str | None = None,
        standing: Standing = Standing.ACCEPTED,
    ) -> PersistedEvent:
        """Add an event after these ones, as if it came from afar; whether it may be there is not asked."""
        content = {"body": "…"} if content is None else content
        room = self.room
        state_before = resolve_snapshots(self.db, room, [state_after(self.db, event) for event in after])
        auth_state = read_auth_state(
            self.db, room, state_before, event_type=event_type, state_key=state_key, sender=sender, content=content
        )
        pdu = build_event(
            room_version=room.version,
            room_id=room.room_id,
            event_type=event_type,
            sender=UserID(sender),
            content=content,
            state_key=state_key,
            prev_events=[event.event_id for event in after],
            auth_events=[event.event_id for key, event in auth_state.items() if key[0] != "m.room.create"],
            depth=max(event.event.depth for event in after) + 1,
            origin_server_ts=self.server.now_ms(),
            redacts=redacts,  # type: ignore[arg-type]
        )
        signed = sign_event(pdu, room.version, self.server.name, self.server.signing_key)
        return persist_event(
            self.db,
            self.server,
            room,
            parse_event(signed, room.version),
            state_before=state_before,
            standing=standing,
        )

    def tips(self) -> set[str]:
        """The forward extremities' event ids."""
        found = select_events(self.db, select_forward_extremities(self.db, self.room_nid))
        return {event.event_id for event in found.values()}

    def tip(self) -> PersistedEvent:
        """The only forward extremity."""
        (event_nid,) = select_forward_extremities(self.db, self.room_nid)
        return get_event(self.db, event_nid)

    def current(self, event_type: str, state_key: str = "") -> Json | None:
        """The content of an event of the current state, which must be the state of the room's snapshot."""
        current = select_current(self.db, self.room_nid)
        rooms_table = self.db.execute("SELECT state_snapshot FROM rooms").fetchone()[0]
        self.db.execute("UPDATE rooms SET state_snapshot = 0")  # so that it is read from the history
        assert read_state(self.db, rooms_table) == current
        self.db.execute("UPDATE rooms SET state_snapshot = ?", (rooms_table,))
        event_nid = current.get((event_type, state_key))
        return None if event_nid is None else get_event(self.db, event_nid).event.content
