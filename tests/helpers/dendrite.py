"""Writes databases as Dendrite 0.4.0 does: the schema, and what its roomserver stores when an event comes.

    with Roomserver(folder / "roomserver.db") as dendrite:
        room = dendrite.create_room("@alice:tab.test")
        room.send("@alice:tab.test", "m.room.message", {"body": "hello"})
        fork = room.fork()

The events are real: built, hashed, signed and authorised as a server would. States are kept as Dendrite keeps them: a
state event adds a block of its own to the blocks before it, up to 64; then, and after a merge, the whole state is one
block; blocks and snapshots that were there before are used again. `read_state` is Dendrite's way to read a snapshot.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Self

from helpers.dendrite_schema import SCHEMA
from tabstead.protocol.auth_rules import ALLOWED, check_event_auth, select_auth_event_types
from tabstead.protocol.events import Event, build_event, parse_event, redact_event, reference_hash
from tabstead.protocol.identifiers import EventID, RoomID, StateTuple, UserID, server_name_of
from tabstead.protocol.room_versions import EventIDFormat, RoomVersion, get_room_version
from tabstead.protocol.signatures import SigningKey, sign_event
from tabstead.protocol.state_resolution import MissingEvents, WalkedAuthChains, resolve_state

KEY: Final = SigningKey(key_id="ed25519:1", seed=bytes(range(32)))
MOST_BLOCKS: Final = 64
BEGIN_MS: Final = 1_620_000_000_000


class Roomserver:
    """A roomserver's database, written in one go; closing it settles the rooms."""

    def __init__(self, path: Path, server_name: str = "tab.test") -> None:
        self.server_name = server_name
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript(SCHEMA)
        self.db.execute("BEGIN")
        self.events: dict[int, Event] = {}
        self.nids: dict[str, int] = {}
        self.snapshots: dict[int, int] = {}
        """Of the state before each event."""
        self.rejected: set[int] = set()
        self.rooms: list[Room] = []
        self.forgotten: set[tuple[int, str]] = set()
        self._blocks: dict[int, tuple[int, ...]] = {}
        self._types: dict[str, int] = dict(
            self.db.execute("SELECT event_type, event_type_nid FROM roomserver_event_types")
        )
        self._keys: dict[str, int] = {"": 1}
        self._clock = BEGIN_MS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None:
            self.settle()
            self.db.execute("COMMIT")
        self.db.close()

    def create_room(self, creator: str, version: str = "6", **power_levels: Any) -> "Room":
        """A public room whose creator has joined and has all power."""
        return create_room(self, creator, get_room_version(version), power_levels)

    def insert_room(self, room_id: str, version: RoomVersion) -> int:
        cursor = self.db.execute(
            "INSERT INTO roomserver_rooms (room_id, room_version) VALUES (?, ?)", (room_id, version.name)
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def now(self) -> int:
        self._clock += 1000
        return self._clock

    def store(
        self, room: "Room", event: Event, *, snapshot: int = 0, is_sent: bool = False, is_rejected: bool = False
    ) -> int:
        """Store an event. An outlier that is stored already gets its place."""
        if event.event_id in self.nids:
            event_nid = self.nids[event.event_id]
            self.db.execute(
                "UPDATE roomserver_events SET state_snapshot_nid = ?, sent_to_output = ? WHERE event_nid = ?",
                (snapshot, is_sent, event_nid),
            )
            self.snapshots[event_nid] = snapshot
            return event_nid
        cursor = self.db.execute(
            "INSERT INTO roomserver_events (room_nid, event_type_nid, event_state_key_nid, sent_to_output,"
            " state_snapshot_nid, depth, event_id, reference_sha256, auth_event_nids, is_rejected)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                room.room_nid,
                self._type_nid(event.type),
                0 if event.state_key is None else self._key_nid(event.state_key),
                is_sent,
                snapshot,
                event.depth,
                event.event_id,
                reference_hash(event.pdu, room.version),
                _json(self.nids[auth_id] for auth_id in event.auth_events if auth_id in self.nids),
                is_rejected,
            ),
        )
        event_nid = cursor.lastrowid
        assert event_nid is not None
        self.events[event_nid], self.nids[event.event_id], self.snapshots[event_nid] = event, event_nid, snapshot
        if is_rejected:
            self.rejected.add(event_nid)
        self._write_json(event_nid, {**event.pdu, "unsigned": {"age_ts": event.origin_server_ts}})
        self.db.executemany(
            "INSERT OR REPLACE INTO roomserver_previous_events VALUES (?, x'00', ?)",
            [(prev_event, str(event_nid)) for prev_event in event.prev_events],
        )
        if not is_rejected:
            self._redact(room, event)
        return event_nid

    def _redact(self, room: "Room", event: Event) -> None:
        """Apply a redaction, or the redaction that came before what it redacts."""
        if event.type == "m.room.redaction" and event.redacts is not None:
            self.db.execute("INSERT INTO roomserver_redactions VALUES (?, ?, FALSE)", (event.event_id, event.redacts))
            target, redaction = event.redacts, event
        else:
            row = self.db.execute(
                "SELECT redaction_event_id FROM roomserver_redactions WHERE redacts_event_id = ?", (event.event_id,)
            ).fetchone()
            if row is None:
                return
            target, redaction = event.event_id, self.events[self.nids[row[0]]]
        if target not in self.nids:
            return
        redacted = redact_event(self.events[self.nids[target]].pdu, room.version)
        because = {"redacted_because": {**redaction.pdu, "event_id": redaction.event_id}}
        self._write_json(self.nids[target], {**redacted, "unsigned": because})
        self.db.execute(
            "UPDATE roomserver_redactions SET validated = TRUE WHERE redaction_event_id = ?", (redaction.event_id,)
        )

    def _write_json(self, event_nid: int, pdu: Mapping[str, Any]) -> None:
        self.db.execute("INSERT OR REPLACE INTO roomserver_event_json VALUES (?, ?)", (event_nid, json.dumps(pdu)))

    def snapshot_after(self, room: "Room", event_nids: Sequence[int], state: Mapping[StateTuple, int]) -> int:
        """The snapshot of the state after these events, which is this."""
        if len(event_nids) == 1:
            (event_nid,) = event_nids
            if not self.events[event_nid].is_state or event_nid in self.rejected:
                return self.snapshots[event_nid]
            blocks = self._blocks[self.snapshots[event_nid]]
            if len(blocks) < MOST_BLOCKS:
                return self.add_state(room, blocks, [event_nid])
        return self.add_state(room, (), state.values())

    def add_state(self, room: "Room", blocks: Sequence[int], event_nids: Iterable[int]) -> int:
        """The snapshot of these blocks and one of these events; what is equal to an older one is that one."""
        added = sorted(set(event_nids))
        if added:
            block = self._add_unique(
                "INSERT INTO roomserver_state_block (state_block_hash, event_nids) VALUES (?, ?)"
                " ON CONFLICT (state_block_hash) DO UPDATE SET event_nids = excluded.event_nids"
                " RETURNING state_block_nid",
                _json(added),
            )
            blocks = sorted({*blocks, block})
        snapshot = self._add_unique(
            "INSERT INTO roomserver_state_snapshots (state_snapshot_hash, state_block_nids, room_nid) VALUES (?, ?, ?)"
            " ON CONFLICT (state_snapshot_hash) DO UPDATE SET room_nid = excluded.room_nid"
            " RETURNING state_snapshot_nid",
            _json(blocks) if blocks else "null",
            room.room_nid,
        )
        self._blocks[snapshot] = tuple(blocks)
        return snapshot

    def count_snapshots(self) -> int:
        return len(self._blocks)

    def _add_unique(self, sql: str, encoded: str, *more: int) -> int:
        key = blake2b(encoded.encode(), digest_size=32).digest()
        return int(self.db.execute(sql, (key, encoded, *more)).fetchone()[0])

    def _type_nid(self, event_type: str) -> int:
        if event_type not in self._types:
            self.db.execute("INSERT INTO roomserver_event_types (event_type) VALUES (?)", (event_type,))
            self._types[event_type] = len(self._types) + 1
        return self._types[event_type]

    def _key_nid(self, state_key: str) -> int:
        if state_key not in self._keys:
            self.db.execute("INSERT INTO roomserver_event_state_keys (event_state_key) VALUES (?)", (state_key,))
            self._keys[state_key] = len(self._keys) + 1
        return self._keys[state_key]

    def settle(self) -> None:
        """Write down what the rooms have come to, and who is in them."""
        for room in self.rooms:
            latest = sorted(room.latest)
            state = room.resolve([room.state_after(event_nid) for event_nid in latest])
            snapshot = self.snapshot_after(room, latest, state)
            self.db.execute(
                "UPDATE roomserver_rooms SET latest_event_nids = ?, last_event_sent_nid = ?, state_snapshot_nid = ?"
                " WHERE room_nid = ?",
                (_json(latest), latest[-1], snapshot, room.room_nid),
            )
            for (event_type, user_id), event_nid in read_state(self.db, snapshot).items():
                if event_type == "m.room.member":
                    self._write_membership(room.room_nid, user_id, event_nid)

    def _write_membership(self, room_nid: int, user_id: str, event_nid: int) -> None:
        membership = {"join": 3, "invite": 2}.get(self.events[event_nid].membership or "", 1)
        self.db.execute(
            "INSERT OR REPLACE INTO roomserver_membership (room_nid, target_nid, membership_nid, event_nid,"
            " target_local, forgotten) VALUES (?, ?, ?, ?, ?, ?)",
            (
                room_nid,
                self._key_nid(user_id),
                membership,
                event_nid,
                server_name_of(UserID(user_id)) == self.server_name,
                (room_nid, user_id) in self.forgotten,
            ),
        )


@dataclass
class Room:
    """A room, seen from the end of one of its branches."""

    dendrite: Roomserver
    room_nid: int
    room_id: str
    version: RoomVersion
    latest: set[int] = field(default_factory=set)
    """The forward extremities, of all branches."""
    heads: list[int] = field(default_factory=list)
    state: dict[StateTuple, int] = field(default_factory=dict)
    """After the heads."""

    def send(
        self,
        sender: str,
        event_type: str,
        content: dict[str, Any],
        state_key: str | None = None,
        *,
        redacts: str | None = None,
        depth: int | None = None,
        is_soft_failed: bool = False,
    ) -> str:
        """An event after the branch's heads. What the rules refuse is stored as rejected. The event's ID."""
        event = self.build(sender, event_type, content, state_key, redacts=redacts, depth=depth)
        snapshot = self.dendrite.snapshot_after(self, self.heads, self.state) if self.heads else self._empty()
        is_rejected = check_event_auth(event, self._auth_state(event), self.version) != ALLOWED
        is_new = not is_rejected and not is_soft_failed
        event_nid = self.dendrite.store(self, event, snapshot=snapshot, is_sent=is_new, is_rejected=is_rejected)
        if is_new:
            self._advance(event, event_nid)
        return event.event_id

    def build(
        self,
        sender: str,
        event_type: str,
        content: dict[str, Any],
        state_key: str | None = None,
        *,
        redacts: str | None = None,
        depth: int | None = None,
    ) -> Event:
        """What `send` stores."""
        events = self.dendrite.events
        wanted = select_auth_event_types(event_type, state_key, sender, content, self.version)
        auth_events = [events[self.state[key]] for key in wanted if key in self.state]
        prev_events = [events[head] for head in self.heads]
        in_event = self.version.event_id_format is EventIDFormat.IN_EVENT
        pdu = build_event(
            room_version=self.version,
            room_id=RoomID(self.room_id),
            event_type=event_type,
            sender=UserID(sender),
            content=content,
            state_key=state_key,
            prev_events=[event.event_id for event in prev_events],
            auth_events=[event.event_id for event in auth_events],
            depth=max((event.depth for event in prev_events), default=0) + 1 if depth is None else depth,
            origin_server_ts=self.dendrite.now(),
            redacts=None if redacts is None else EventID(redacts),
            event_id=EventID(f"${len(events)}:{server_name_of(UserID(sender))}") if in_event else None,
            reference_hashes={
                event.event_id: reference_hash(event.pdu, self.version) for event in (*prev_events, *auth_events)
            },
        )
        return parse_event(sign_event(pdu, self.version, server_name_of(UserID(sender)), KEY), self.version)

    def _auth_state(self, event: Event) -> dict[StateTuple, Event]:
        wanted = select_auth_event_types(event.type, event.state_key, event.sender, event.content, self.version)
        return {key: self.dendrite.events[self.state[key]] for key in wanted if key in self.state}

    def _empty(self) -> int:
        return self.dendrite.add_state(self, (), ())

    def _advance(self, event: Event, event_nid: int) -> None:
        self.latest -= {self.dendrite.nids[prev] for prev in event.prev_events if prev in self.dendrite.nids}
        self.latest.add(event_nid)
        self.heads = [event_nid]
        if event.is_state:
            self.state[event.state_tuple] = event_nid

    def join(self, user_id: str, **content: Any) -> str:
        return self.send(user_id, "m.room.member", {"membership": "join", **content}, user_id)

    def fork(self) -> "Room":
        """Another branch, from here."""
        return Room(
            dendrite=self.dendrite,
            room_nid=self.room_nid,
            room_id=self.room_id,
            version=self.version,
            latest=self.latest,
            heads=[*self.heads],
            state=dict(self.state),
        )

    def merge(self, *others: "Room") -> None:
        """Bring other branches in: the next event comes after all of them."""
        self.state = self.resolve([self.state, *(other.state for other in others)])
        self.heads = [*self.heads, *(head for other in others for head in other.heads)]

    def resolve(self, states: Sequence[Mapping[StateTuple, int]]) -> dict[StateTuple, int]:
        """The state that these make by the room version's state resolution."""
        if len(states) == 1:
            return dict(states[0])
        events, nids = self.dendrite.events, self.dendrite.nids

        def find(event_id: EventID) -> Event | None:
            return events[nids[event_id]] if event_id in nids else None

        resolved = resolve_state(
            [{key: events[event_nid].event_id for key, event_nid in state.items()} for state in states],
            get_event=find,
            auth_chains=WalkedAuthChains(lambda event_id: event.auth_events if (event := find(event_id)) else None),
            room_version=self.version,
            rejected={events[event_nid].event_id for event_nid in self.dendrite.rejected},
        )
        assert not isinstance(resolved, MissingEvents)
        return {key: nids[event_id] for key, event_id in resolved.items()}

    def state_after(self, event_nid: int) -> dict[StateTuple, int]:
        """As Dendrite reads it."""
        state = read_state(self.dendrite.db, self.dendrite.snapshots[event_nid])
        event = self.dendrite.events[event_nid]
        if event.is_state and event_nid not in self.dendrite.rejected:
            state[event.state_tuple] = event_nid
        return state


def create_room(dendrite: Roomserver, creator: str, version: RoomVersion, power_levels: Mapping[str, Any]) -> Room:
    room_id = f"!room{len(dendrite.rooms)}:{server_name_of(UserID(creator))}"
    room_nid = dendrite.insert_room(room_id, version)
    room = Room(dendrite=dendrite, room_nid=room_nid, room_id=room_id, version=version)
    dendrite.rooms.append(room)
    room.send(creator, "m.room.create", {"creator": creator, "room_version": version.name}, "")
    room.join(creator)
    room.send(creator, "m.room.power_levels", {"users": {creator: 100}, **power_levels}, "")
    room.send(creator, "m.room.join_rules", {"join_rule": "public"}, "")
    room.send(creator, "m.room.history_visibility", {"history_visibility": "shared"}, "")
    return room


def read_state(db: sqlite3.Connection, snapshot: int) -> dict[StateTuple, int]:
    """A snapshot's state as Dendrite reads it: block after block in the order of their numbers, the later wins."""
    (encoded,) = db.execute(
        "SELECT state_block_nids FROM roomserver_state_snapshots WHERE state_snapshot_nid = ?", (snapshot,)
    ).fetchone()
    state: dict[StateTuple, int] = {}
    for block in sorted(json.loads(encoded) or ()):
        rows = db.execute(
            "SELECT event_type, event_state_key, e.event_nid FROM roomserver_state_block b, json_each(b.event_nids) j"
            " JOIN roomserver_events e ON e.event_nid = j.value JOIN roomserver_event_types USING (event_type_nid)"
            " JOIN roomserver_event_state_keys USING (event_state_key_nid) WHERE b.state_block_nid = ?"
            " ORDER BY e.event_nid",
            (block,),
        )
        for event_type, state_key, event_nid in rows:
            state[event_type, state_key] = event_nid
    return state


def _json(numbers: Iterable[int]) -> str:
    return json.dumps(list(numbers), separators=(",", ":"))


async def move(source: Path, **others: Path) -> Counter[str]:
    """Import a roomserver's database into where a test server has its own, in the same folder."""
    from tabstead.native.dendrite_import import Sources, import_dendrite

    target = source.parent / "tab.test.sqlite"
    return await import_dendrite(Sources(roomserver=source, **others), target, "tab.test", lambda line: None)
