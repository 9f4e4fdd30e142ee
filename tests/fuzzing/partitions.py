"""Three servers in one room on a rough network: after it has healed, all must have the same events and the same state.

    build_scripts/fuzz-federation [COUNT [FIRST_SEED]] [--bug NAME]

A story is drawn from its seed: people say things, change the room's settings and each other's power, come and go, are
invited, thrown out and banned, while the network loses, repeats and delays requests, servers are cut off from each
other and killed. Then everything is mended, everybody comes back into the room, and each server reads the room's whole
history. What must be equal then: the current state, event for event; the events that lead to the room's newest ones,
all of which must be there; which of those are rejected. (Others are what a server that had been thrown out went on
saying: who heard it depends on when, as does whether an event is soft-failed.)

`--bug` puts one of the known mistakes of federation into the servers, to see that it is noticed.
"""

import argparse
import asyncio
import logging
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final
from unittest.mock import patch

from deliberate_bugs import BUGS
from rough_network import RoughNetwork, RoughServer
from virtual_time import VirtualTimeLoop

from helpers.homeserver import Client, quoted
from tabstead.errors import StorageUnavailable
from tabstead.protocol.identifiers import EventID
from tabstead.protocol.room_versions import ROOM_VERSIONS
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, Standing, select_event_ids, select_events
from tabstead.storage.rooms import find_room, select_forward_extremities
from tabstead.storage.state_history import read_state

SERVERS: Final = ("one.test", "two.test", "three.test")
_ACTIONS: Final = 40
_LONG_ENOUGH_S: Final = 3 * 24 * 3600
"""For every pause after a failure to be over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a server holds of the room."""

    state: dict[tuple[str, str], str]
    events: frozenset[str]
    """The newest, and all that lead to them."""
    missing: frozenset[str]
    """Those of them that are not here."""
    rejected: frozenset[str]
    told: dict[str, str]
    """What each event is, for who looks for a mistake."""


@dataclass
class Story:
    """One seed's."""

    random: Random
    network: RoughNetwork
    people: list[Client] = field(default_factory=list)
    room_id: str = ""
    said: int = 0

    @property
    def founder(self) -> Client:
        """Who made the room, and is never thrown out."""
        return self.people[0]

    async def tell(self, folder: Path) -> dict[str, View]:
        """Play it, and look at what is left of it."""
        await self._begin(folder)
        self.network.roughness = self.random.uniform(0.05, 0.4)
        trouble = asyncio.ensure_future(self._trouble())
        for _ in range(_ACTIONS):
            await asyncio.sleep(self.random.expovariate(0.2))
            await self._act()
        await trouble
        await self._heal()
        return {name: await self.network.servers[name].read(self._look) for name in SERVERS}

    async def _begin(self, folder: Path) -> None:
        for name in SERVERS:
            await self.network.open(folder, name)
        for name, localpart in zip((*SERVERS, SERVERS[1]), ("ann", "bob", "cat", "dan"), strict=True):
            self.people.append(await self.network.servers[name].register(localpart))
        version = self.random.choice([name for name in ROOM_VERSIONS if name not in {"1", "2"}])
        power = {"users": {} if version == "12" else {self.founder.user_id: 100}, "invite": 0, "state_default": 0}
        self.room_id = await self.founder.create_room(
            preset="public_chat", room_version=version, power_level_content_override=power
        )
        for person in self.people[1:]:
            await person.post(f"/v3/join/{quoted(self.room_id)}", server_name=SERVERS[0])
        await asyncio.sleep(60)

    async def _trouble(self) -> None:
        """Cut servers off and kill them, for a while each."""
        for _ in range(self.random.randrange(2, 7)):
            await asyncio.sleep(self.random.uniform(0, 60))
            name, other = self.random.sample(SERVERS, 2)
            pause = self.random.choice((1, 20, 120, 5000))
            if self.random.random() < 0.4:
                server = self.network.servers[name]
                await server.kill()
                await asyncio.sleep(self.random.uniform(0, pause))
                await server.start()
            else:
                self.network.cuts.add(frozenset((name, other)))
                await asyncio.sleep(self.random.uniform(0, pause))
                self.network.cuts.discard(frozenset((name, other)))

    async def _act(self) -> None:
        """Somebody does something; it may be refused, or nobody be there to do it."""
        person = self.random.choice(self.people)
        other = self.random.choice([each for each in self.people if each is not person])
        often = [*[self._say] * 6, *[self._name] * 3, *[self._come] * 2]
        seldom = [self._empower, self._go, self._throw_out, self._ban, self._invite, self._redact]
        action: Callable[[Client, Client], Awaitable[Any]] = self.random.choice([*often, *seldom])
        server = person.server
        assert isinstance(server, RoughServer)
        if server.is_running:
            doing = server.spawn(self._attempt(action, person, other))
            await asyncio.wait([doing], timeout=self.random.choice((0, 1, 30)))

    async def _attempt(self, action: Callable[[Client, Client], Awaitable[Any]], person: Client, other: Client) -> None:
        with suppress(AssertionError, StorageUnavailable):  # refused
            await action(person, other)

    def _path(self, *segments: str) -> str:
        return "/".join(["/v3/rooms", quoted(self.room_id), *map(quoted, segments)])

    async def _say(self, person: Client, other: Client) -> None:
        self.said += 1
        await person.send(self.room_id, f"{self.said}")

    async def _name(self, person: Client, other: Client) -> None:
        self.said += 1
        kind = self.random.choice(("m.room.name", "m.room.topic", "org.example.thing"))
        await person.send_state(self.room_id, kind, {kind.rpartition(".")[2]: f"{self.said}"})

    async def _empower(self, person: Client, other: Client) -> None:
        levels = await person.state(self.room_id, "m.room.power_levels")
        if other is self.founder:
            return
        users = {**levels.get("users", {}), other.user_id: self.random.choice((0, 50, 99))}
        await person.send_state(self.room_id, "m.room.power_levels", {**levels, "users": users})

    async def _come(self, person: Client, other: Client) -> None:
        await person.post(f"/v3/join/{quoted(self.room_id)}", server_name=other.server.name)

    async def _go(self, person: Client, other: Client) -> None:
        if person is not self.founder:
            await person.leave(self.room_id)

    async def _throw_out(self, person: Client, other: Client) -> None:
        if other is not self.founder:
            await person.post(self._path("kick"), {"user_id": other.user_id})

    async def _ban(self, person: Client, other: Client) -> None:
        if other is not self.founder:
            await person.post(self._path("ban"), {"user_id": other.user_id})

    async def _invite(self, person: Client, other: Client) -> None:
        await person.invite(self.room_id, other)

    async def _redact(self, person: Client, other: Client) -> None:
        page = await person.messages(self.room_id, limit=10)
        messages = [event["event_id"] for event in page["chunk"] if event["type"] == "m.room.message"]
        if messages:
            await person.redact(self.room_id, self.random.choice(messages))

    async def _heal(self) -> None:
        """Mend everything, bring everybody back, have each server say something and read all."""
        self.network.roughness = 0
        self.network.cuts.clear()
        await asyncio.sleep(_LONG_ENOUGH_S)
        await self._say(self.founder, self.founder)
        await asyncio.sleep(_LONG_ENOUGH_S)
        for person in self.people[1:]:
            await self._bring_back(person)
        for person in self.people:
            await self._say(person, person)
            await asyncio.sleep(60)
        await asyncio.sleep(_LONG_ENOUGH_S)
        for person in self.people:
            await self._read_all(person)
        await asyncio.sleep(60)

    async def _bring_back(self, person: Client) -> None:
        """Have a person joined. One whose join crossed a ban believes to be, and nobody tells: they leave first."""
        member = await self.founder.state(self.room_id, "m.room.member", person.user_id)
        if member["membership"] != "join":
            await self._attempt(self._go, person, self.founder)
        for path, body in (("unban", {"user_id": person.user_id}), ("invite", {"user_id": person.user_id})):
            answer = await self.founder.answer("POST", self._path(path), body)
            assert answer.status in (200, 403), answer.body
            await asyncio.sleep(60)
        await person.post(f"/v3/join/{quoted(self.room_id)}", server_name=SERVERS[0])
        await asyncio.sleep(60)

    async def _read_all(self, person: Client) -> None:
        token: str | None = None
        for _ in range(200):
            page = await person.messages(self.room_id, limit=50, **({} if token is None else {"from": token}))
            token = page.get("end")
            if token is None:
                return
        raise AssertionError("the room's history has no end")

    def _look(self, db: Db) -> View:
        room = find_room(db, self.room_id)
        assert room is not None
        nids = db.execute(
            "SELECT event_nid FROM events WHERE room_nid = ? AND stream_position IS NOT NULL", (room.room_nid,)
        )
        events = {each.event_id: each for each in select_events(db, [nid for (nid,) in nids.fetchall()]).values()}
        leading = _leading_to(events, select_event_ids(db, select_forward_extremities(db, room.room_nid)).values())
        state = read_state(db, room.state_snapshot)
        held = select_events(db, state.values())
        return View(
            state={key: held[nid].event_id for key, nid in state.items()},
            events=leading,
            missing=leading - events.keys(),
            rejected=frozenset(name for name in leading & events.keys() if events[name].standing is Standing.REJECTED),
            told={name: _tell(stored) for name, stored in events.items()},
        )


def _leading_to(events: Mapping[EventID, PersistedEvent], newest: Iterable[EventID]) -> frozenset[EventID]:
    found: set[EventID] = set()
    unvisited = list(newest)
    while unvisited:
        event_id = unvisited.pop()
        if event_id not in found:
            found.add(event_id)
            unvisited += events[event_id].event.prev_events if event_id in events else ()
    return frozenset(found)


def _tell(stored: PersistedEvent) -> str:
    event = stored.event
    what = " ".join(filter(None, (event.type, event.state_key, event.membership)))
    return f"{what} by {event.sender}, depth {event.depth}, at {stored.stream_position}, {stored.standing.name}"


def differences(views: dict[str, View]) -> list[str]:
    """What the servers don't agree on, a line each."""
    found = []
    first_name, first = next(iter(views.items()))
    for name, view in views.items():
        for key in sorted(first.state.keys() | view.state.keys()):
            if first.state.get(key) != view.state.get(key):
                found.append(f"{key}: {first_name} {first.state.get(key)}, {name} {view.state.get(key)}")
        found += [f"missing: {name} lacks {event_id}" for event_id in sorted(view.missing)]
        for what in ("events", "rejected"):
            ours, theirs = getattr(first, what), getattr(view, what)
            told = {**view.told, **first.told}
            found += [f"{what}: {first_name}, not {name}: {each} {told.get(each)}" for each in sorted(ours - theirs)]
            found += [f"{what}: {name}, not {first_name}: {each} {told.get(each)}" for each in sorted(theirs - ours)]
    return found


@contextmanager
def _drawn_secrets(random: Random) -> Iterator[None]:
    """Let ids, tokens and keys come from the seed, too."""

    def token_urlsafe(length: int = 32) -> str:
        return random.randbytes(length).hex()

    with (
        patch.object(secrets, "token_bytes", random.randbytes),
        patch.object(secrets, "token_hex", token_urlsafe),
        patch.object(secrets, "token_urlsafe", token_urlsafe),
    ):
        yield


def run(seed: int) -> list[str]:
    """Tell the story of a seed; what the servers don't agree on in the end."""
    random = Random(seed)

    async def tell(folder: Path) -> list[str]:
        network = RoughNetwork(random)
        try:
            return differences(await Story(random, network).tell(folder))
        finally:
            await network.close()

    with (
        tempfile.TemporaryDirectory() as folder,
        _drawn_secrets(random),
        asyncio.Runner(loop_factory=VirtualTimeLoop) as runner,
    ):
        return runner.run(tell(Path(folder)))


def main() -> int:
    parser = argparse.ArgumentParser(description="Partition fuzzer of the federation.")
    parser.add_argument("count", type=int, nargs="?", default=500)
    parser.add_argument("first_seed", type=int, nargs="?", default=1)
    parser.add_argument("--bug", choices=sorted(BUGS), help="put this mistake in, and stop when it is found")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO if options.verbose else logging.CRITICAL)
    if options.bug:
        BUGS[options.bug]()
    began, number, failed = time.monotonic(), 0, []
    for number, seed in enumerate(range(options.first_seed, options.first_seed + options.count), 1):
        try:
            found = run(seed)
        except Exception as error:  # a story that can't be told to its end is a failure, too
            if options.verbose:
                logging.exception("seed %d", seed)
            found = [f"{type(error).__name__}: {error}"]
        if found:
            failed.append(seed)
            print(f"seed {seed}: {len(found)} differences", *found[:10], sep="\n    ", flush=True)
            if options.bug:
                break
        if number % 10 == 0:
            seconds = time.monotonic() - began
            print(f"{number} of {options.count} seeds, {len(failed)} failed, {seconds:.0f} s", flush=True)
    print(f"{number} seeds from {options.first_seed}: {len(failed)} failed {failed[:20]}")
    return 1 if failed else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # or sets would have another order each time
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"})
    sys.exit(main())
