"""How long state resolution takes, and how much memory, beside Synapse's `synapse.state.v2` on the same events.

A room of so many state events, most of them memberships, parts into forks, each of which changes the same share of the
state in its own way: people change their names, moderators change settings, some are kicked or banned, and on each fork
the power levels change once. Then all forks' states are resolved.

Both are given the states as dictionaries of event IDs, and events in memory, by ID. Who answers for the *auth
difference* is not what is compared: both get it ready-made, by a call that costs nothing. Beside that, Tabstead is
timed with the two ways that it has itself: walking the auth chains in memory without any index (`walked`), and its
index in SQLite, in memory (`index`). Every cell runs in a process of its own, several times, and the fastest counts, by
the processor's time: nothing here waits, and so other work on the machine counts less. One more run, which does not
count, tells the peak of memory beyond what the room itself takes, as `tracemalloc` sees it; it does not see what
Synapse's Rust allocates.

The outcome is compared, too: it must be the same state. The last line is one line of JSON.

    build_scripts/measure state-resolution [--sizes 1000,10000,50000] [--percent 1,10,100] [--forks 2,5] [--version 11]
"""

import argparse
import gc
import json
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import cycle
from random import Random
from typing import Any, Final

from tabstead.protocol.auth_rules import select_auth_event_types
from tabstead.protocol.events import Event, build_event, event_id_of, load_event
from tabstead.protocol.identifiers import EventID, RoomID, StateTuple, UserID
from tabstead.protocol.room_versions import RoomVersion, get_room_version
from tabstead.protocol.state_resolution import MissingEvents, WalkedAuthChains, resolve_state
from tabstead.storage.auth_chains import insert_auth_chain, select_auth_difference, select_conflicted_subgraph
from tabstead.storage.events import Standing, insert_event
from tabstead.storage.migrations import migrate_step
from tabstead.storage.rooms import insert_room

WAYS: Final = ("synapse", "tabstead", "walked", "index")
ENOUGH_SECONDS: Final = 2
ENOUGH_RUNS: Final = 200
ADMIN: Final = UserID("@admin:example.org")
MODERATORS: Final = tuple(UserID(f"@moderator{number}:example.org") for number in range(10))

StateIDs = dict[StateTuple, EventID]
Resolve = Callable[[], Mapping[StateTuple, EventID]]


@dataclass(slots=True)
class Room:
    """A room's events, and its state on some fork."""

    version: RoomVersion
    events: dict[EventID, Event] = field(default_factory=dict)
    state: dict[StateTuple, Event] = field(default_factory=dict)

    def fork(self) -> "Room":
        return Room(self.version, self.events, dict(self.state))

    @property
    def state_ids(self) -> StateIDs:
        return {key: event.event_id for key, event in self.state.items()}

    def send(self, sender: UserID, event_type: str, state_key: str, content: dict[str, Any]) -> None:
        """A state event. Nobody signs it: state resolution does not look at signatures."""
        keys = select_auth_event_types(event_type, state_key, sender, content, self.version)
        create = self.state.get(("m.room.create", ""))
        begins_room = create is None and self.version.room_id_is_create_hash
        pdu = build_event(
            room_version=self.version,
            room_id=None if begins_room else RoomID("!room:example.org") if create is None else create.room_id,
            event_type=event_type,
            sender=sender,
            content=content,
            state_key=state_key,
            prev_events=[] if create is None else [create.event_id],
            auth_events=[self.state[key].event_id for key in keys if key in self.state],
            depth=len(self.events) + 1,
            origin_server_ts=len(self.events),
        )
        pdu |= {"hashes": {"sha256": ""}, "signatures": {}}
        event = load_event(pdu, event_id=event_id_of(pdu, self.version), room_version=self.version)
        self.events[event.event_id] = self.state[event.state_tuple] = event

    def member(self, user: UserID, membership: str, sender: UserID | None = None, **content: str) -> None:
        self.send(sender or user, "m.room.member", user, {"membership": membership, **content})

    def levels(self, **levels: int) -> None:
        creators = {} if self.version.privileged_creators else {ADMIN: 100}
        users = {**creators, **dict.fromkeys(MODERATORS, 50)}
        self.send(ADMIN, "m.room.power_levels", "", {"users": users, **levels})


def found(version: RoomVersion, size: int) -> Room:
    """A room with so many entries in its state."""
    room = Room(version)
    room.send(ADMIN, "m.room.create", "", {"room_version": version.name})
    room.member(ADMIN, "join")
    room.levels()
    room.send(ADMIN, "m.room.join_rules", "", {"join_rule": "public"})
    for moderator in MODERATORS:
        room.member(moderator, "join")
    moderators = cycle(MODERATORS)
    for number in range(size - len(room.state)):
        if number % (size // 20) == 0:
            room.levels(invite=number % 50)
        if number % 10 == 0:
            room.send(next(moderators), "org.example.setting", str(number), {"value": number})
        else:
            room.member(UserID(f"@user{number}:example.org"), "join")
    return room


def part(room: Room, forks: int, percent: int) -> list[Room]:
    """What each fork makes of it. The same entries of the state change on all."""
    keys = [key for key in room.state if key[0] in ("m.room.member", "org.example.setting")]
    changing = [key for key in keys if key[1] not in (ADMIN, *MODERATORS)]
    changing = Random(1).sample(changing, len(changing) * percent // 100)
    return [_change(room.fork(), number, changing) for number in range(forks)]


def _change(fork: Room, number: int, keys: Sequence[StateTuple]) -> Room:
    fork.levels(kick=40 + number)
    moderators = cycle(MODERATORS)
    for index, (event_type, state_key) in enumerate(keys):
        if event_type != "m.room.member":
            fork.send(next(moderators), event_type, state_key, {"value": f"{number}"})
        elif index % 50 == number:
            fork.member(UserID(state_key), ("leave", "ban")[number % 2], sender=next(moderators))
        else:
            fork.member(UserID(state_key), "join", displayname=f"name {number}")
            if index % 10 == number:
                fork.member(UserID(state_key), "join", displayname=f"another name {number}")
    return fork


@dataclass(slots=True)
class Cell:
    """The room of one cell of the table, before its states are resolved."""

    room: Room
    states: list[StateIDs]

    @property
    def walked(self) -> WalkedAuthChains:
        return WalkedAuthChains(lambda event_id: self.room.events[event_id].auth_events)

    def split(self) -> tuple[set[EventID], list[set[EventID]]]:
        """The events that all states have, and what else each has."""
        sets = [set(state.values()) for state in self.states]
        common = set.intersection(*sets)
        return common, [each - common for each in sets]

    def prepare(self, way: str) -> Resolve:
        if way == "synapse":
            return self._synapse()
        chains: Any = self.walked
        if way == "tabstead":
            chains = ReadyMade(self)
        elif way == "index":
            chains = Indexed(self.room)

        def resolve() -> Mapping[StateTuple, EventID]:
            resolved = resolve_state(
                self.states,
                get_event=self.room.events.get,
                auth_chains=chains,
                room_version=self.room.version,
            )
            assert not isinstance(resolved, MissingEvents)
            return resolved

        return resolve

    def _synapse(self) -> Resolve:
        import synapse.event_auth  # noqa: F401, first of all: Synapse's modules import one another
        from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
        from synapse.events import make_event_from_dict
        from synapse.state.v2 import resolve_events_with_store
        from synapse.storage.databases.main.event_federation import StateDifference

        version = KNOWN_ROOM_VERSIONS[self.room.version.name]
        events: dict[str, Any] = {
            event_id: make_event_from_dict(event.pdu, version) for event_id, event in self.room.events.items()
        }
        room_id = next(iter(events.values())).room_id
        ready_made = ReadyMade(self)

        class Store:
            async def sleep(self, duration: object) -> None:
                """The clock's; nothing else runs."""

            async def get_events(self, event_ids: Collection[str], **_: Any) -> dict[str, Any]:
                return {event_id: events[event_id] for event_id in event_ids}

            async def get_auth_chain_difference(self, _room: str, _sets: Any, conflicted: Any, *_: Any) -> Any:
                subgraph = None if conflicted is None else set(ready_made.subgraph)
                return StateDifference(auth_difference=set(ready_made.difference), conflicted_subgraph=subgraph)

        store = Store()

        def resolve() -> Mapping[StateTuple, EventID]:
            call: Any = resolve_events_with_store(store, room_id, version, self.states, None, store)
            try:
                call.send(None)
            except StopIteration as finished:
                resolved: Mapping[StateTuple, EventID] = finished.value
                return resolved
            raise AssertionError("it waited")

        return resolve


class ReadyMade:
    """Answers about auth chains that were known before they were asked for."""

    def __init__(self, cell: Cell) -> None:
        common, others = cell.split()
        self.difference = cell.walked.auth_difference(common, others) | set().union(*others)
        self.subgraph = cell.walked.conflicted_subgraph(set().union(*others))

    def auth_difference(self, *_: Any) -> set[EventID]:
        return self.difference

    def conflicted_subgraph(self, *_: Any) -> set[EventID]:
        return self.subgraph


class Indexed:
    """Tabstead's index over auth chains, in a database in memory, with the events' numbers at hand."""

    def __init__(self, room: Room) -> None:
        self._db = sqlite3.connect(":memory:", isolation_level=None)
        while not migrate_step(self._db):
            pass
        first = next(iter(room.events.values()))
        stored_room = insert_room(self._db, first.room_id, room.version)
        self._numbers: dict[EventID, int] = {}
        for position, (event_id, event) in enumerate(room.events.items()):
            stored = insert_event(
                self._db,
                stored_room,
                event,
                stream_position=position,
                standing=Standing.ACCEPTED,
                state_before=0,
            )
            insert_auth_chain(self._db, stored.event_nid, event)
            self._numbers[event_id] = stored.event_nid
        self._event_ids = {number: event_id for event_id, number in self._numbers.items()}

    def auth_difference(
        self, unconflicted: Collection[EventID], conflicted: Sequence[Collection[EventID]]
    ) -> set[EventID]:
        sets = [[self._numbers[event_id] for event_id in event_ids] for event_ids in conflicted]
        agreed = (self._numbers[event_id] for event_id in unconflicted)
        return {self._event_ids[number] for number in select_auth_difference(self._db, sets, agreed)}

    def conflicted_subgraph(self, conflicted: Collection[EventID]) -> set[EventID]:
        subgraph = select_conflicted_subgraph(self._db, [self._numbers[event_id] for event_id in conflicted])
        return {self._event_ids[number] for number in subgraph}


def measure(cell: Cell, way: str) -> dict[str, Any]:
    """The fastest run's milliseconds, the peak of memory in bytes, and what tells the outcome."""
    resolve = cell.prepare(way)
    gc.collect()
    gc.freeze()
    times = list(_times(resolve))
    tracemalloc.start()
    resolved = resolve()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    outcome = sha256(repr(sorted(resolved.items())).encode()).hexdigest()
    return {"ms": min(times) * 1000, "bytes": peak, "outcome": outcome}


def _times(resolve: Resolve) -> Iterator[float]:
    spent = 0.0
    for run in range(ENOUGH_RUNS):
        gc.collect()
        began = time.process_time()
        resolve()
        spent += (took := time.process_time() - began)
        yield took
        if spent > ENOUGH_SECONDS and run >= 2:
            return


def measure_here(way: str, size: int, percent: int, forks: int, version: str) -> dict[str, Any]:
    room = found(get_room_version(version), size)
    return measure(Cell(room, [fork.state_ids for fork in part(room, forks, percent)]), way)


def measure_apart(*parameters: object) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--cell", *map(str, parameters)]
    measured: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return measured


def main(sizes: list[int], percents: list[int], forks: list[int], version: str) -> None:
    results = []
    columns = f"{'state':>6} {'conflict':>8} {'forks':>5} │{'':9}ms {WAYS[0]:>9} {WAYS[1]:>9} {WAYS[2]:>9} {WAYS[3]:>9}"
    print(f"{columns} │ {'faster':>7} │ MB {WAYS[0]:>8} {WAYS[1]:>8}")
    for size in sizes:
        for percent in percents:
            for amount in forks:
                cells = {way: measure_apart(way, size, percent, amount, version) for way in WAYS}
                assert len({cell["outcome"] for cell in cells.values()}) == 1, "they resolve different states"
                results.append(_result(size, percent, amount, cells))
                print(_row(results[-1]), flush=True)
    print(json.dumps({"measure": "state-resolution", "roomVersion": version, "results": results}))


def _result(size: int, percent: int, forks: int, cells: dict[str, dict[str, Any]]) -> dict[str, Any]:
    ours, theirs = cells["tabstead"], cells["synapse"]
    return {
        "state": size,
        "percent": percent,
        "forks": forks,
        "ms": {way: round(cell["ms"], 2) for way, cell in cells.items()},
        "faster": round(theirs["ms"] / ours["ms"], 1),
        "MB": {way: round(cell["bytes"] / 1e6, 1) for way, cell in cells.items()},
    }


def _row(result: dict[str, Any]) -> str:
    times = " ".join(f"{result['ms'][way]:9.1f}" for way in WAYS)
    memory = " ".join(f"{result['MB'][way]:8.1f}" for way in WAYS[:2])
    head = f"{result['state']:6} {result['percent']:6} % {result['forks']:5}"
    return f"{head} │{'':11} {times} │ {result['faster']:6.1f}x │    {memory}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--cell"]:
        way, size, percent, forks, version = sys.argv[2:]
        print(json.dumps(measure_here(way, int(size), int(percent), int(forks), version)))
    else:
        numbers = lambda text: [int(number) for number in text.split(",")]  # noqa: E731
        parser = argparse.ArgumentParser(prog="measure state-resolution")
        parser.add_argument("--sizes", type=numbers, default=[1_000, 10_000, 50_000])
        parser.add_argument("--percent", type=numbers, default=[1, 10, 100])
        parser.add_argument("--forks", type=numbers, default=[2, 5])
        parser.add_argument("--version", default="11")
        given = parser.parse_args()
        main(given.sizes, given.percent, given.forks, given.version)
