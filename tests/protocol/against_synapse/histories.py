"""The history of a room, by chance: a few servers that say things at the same time, part, and meet again.

A history is told step by step to a `Listener`, who says what the room's state is after each; so what is told next fits
what became of what was told before. The same number tells the same history.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from against_synapse.contents import ALICE, BOB, CAROL, DAVE, Author, Dice, Draft, State
from tabstead.errors import MatrixError
from tabstead.protocol.auth_rules import select_auth_event_types
from tabstead.protocol.events import Event, build_event, content_hash, parse_event, reference_hash
from tabstead.protocol.identifiers import EventID, RoomID, StateTuple, UserID, server_name_of
from tabstead.protocol.room_versions import ROOM_VERSIONS, RoomVersion

UNCHECKED_SIGNATURE = "dGhpcyBpcyBubyBzaWduYXR1cmU"
"""Signatures are not checked here, on either side: that the right servers signed is all that is looked at."""

StateIDs = Mapping[StateTuple, EventID]


class Listener(Protocol):
    """Who is told a history."""

    def accepts(self, event: Event, auth_events: list[Event], state_before: State) -> bool:
        """Whether the event becomes part of the room."""

    def resolve(self, state_sets: list[StateIDs]) -> StateIDs:
        """The state that these become."""


@dataclass(frozen=True, slots=True)
class Branch:
    """What a server knows of the room: its last events, and the state after them."""

    latest: tuple[EventID, ...]
    state: State
    depth: int


@dataclass(slots=True)
class History:
    """One room. `tell` tells all of it."""

    number: str
    """Which history: any text. The room version is drawn from it, too."""
    events: dict[EventID, Event] = field(default_factory=dict)
    accepted: set[EventID] = field(default_factory=set)
    room_version: RoomVersion = field(init=False)
    _dice: Dice = field(init=False)
    _author: Author = field(init=False)
    _listener: Listener = field(init=False)
    _room_id: RoomID | None = field(init=False)
    _hashes: dict[EventID, bytes] = field(default_factory=dict)
    _by_key: dict[StateTuple, list[Event]] = field(default_factory=dict)
    _serial: Any = field(default_factory=count)

    def tell(self, listener: Listener) -> None:
        self._dice = Dice(self.number)
        self.room_version = ROOM_VERSIONS[self._dice.choice([*ROOM_VERSIONS])]
        self._author = Author(self._dice, self.room_version)
        self._listener = listener
        self._room_id = None if self.room_version.room_id_is_create_hash else RoomID("!room:a.example")
        branch = self._beginning()
        for _ in range(self._dice.choice((1, 1, 2, 3))):
            branch = self._meet(self._part(branch))
        self._meet_at_random()

    def _beginning(self) -> Branch:
        branch = Branch((), {}, 0)
        while not branch.state:  # the first create event that is accepted
            draft = self._author.odd_create() if self._dice.chance(0.05) else self._author.create()
            branch = self._say(branch, draft)
        self._room_id = branch.state["m.room.create", ""].room_id
        branch = self._say(branch, self._author.join(ALICE))
        if self._dice.chance(0.9):
            branch = self._say(branch, self._author.levels(branch.state))
        if self._dice.chance(0.8):
            rules = {"join_rule": self._dice.choice(("public", "public", "invite", "restricted"))}
            branch = self._say(branch, Draft(type="m.room.join_rules", sender=ALICE, state_key="", content=rules))
        for user in (BOB, CAROL, DAVE):
            branch = self._say(branch, self._author.join(user))
        return branch

    def _part(self, branch: Branch) -> list[Branch]:
        """Several servers go on from here, each alone."""
        branches = [branch] * self._dice.choice((2, 2, 2, 3, 5))
        return [self._go_on(branch, self._dice.randrange(1, 8)) for branch in branches]

    def _go_on(self, branch: Branch, steps: int) -> Branch:
        for _ in range(steps):
            branch = self._say(branch, self._author.next(branch.state))
        return branch

    def _meet(self, branches: list[Branch]) -> Branch:
        """All of them are known at last: the next event follows all."""
        state = self._resolve(branches)
        latest = tuple({event_id: None for branch in branches for event_id in branch.latest})
        met = Branch(latest, state, max(branch.depth for branch in branches))
        return self._go_on(met, self._dice.randrange(1, 3))

    def _meet_at_random(self) -> None:
        """States that nobody has at the same time are resolved, too: any accepted events, as if each were alone."""
        state_events = [self.events[event_id] for event_id in self.accepted if self.events[event_id].is_state]
        state_events.sort(key=lambda event: event.event_id)
        create = next(event for event in state_events if event.type == "m.room.create")
        state_sets: list[StateIDs] = []
        for _ in range(self._dice.choice((2, 3))):
            some = self._dice.sample(state_events, self._dice.randrange(len(state_events)))
            state_sets.append({event.state_tuple: event.event_id for event in (*some, create)})
        self._listener.resolve(state_sets)

    def _resolve(self, branches: list[Branch]) -> State:
        state_sets = [{key: event.event_id for key, event in branch.state.items()} for branch in branches]
        return {key: self.events[event_id] for key, event_id in self._listener.resolve(state_sets).items()}

    def _say(self, branch: Branch, draft: Draft) -> Branch:
        """The branch after someone said this. What is not even an event is never sent."""
        auth_events = self._auth_events(branch.state, draft)
        try:
            event = self._event(branch, draft, auth_events)
        except MatrixError:
            return branch
        if event.event_id in self.events:  # said before, word for word, at the same time
            return branch
        self.events[event.event_id] = event
        self._hashes[event.event_id] = reference_hash(event.pdu, self.room_version)
        if not self._listener.accepts(event, auth_events, branch.state):
            return branch
        self.accepted.add(event.event_id)
        state = branch.state
        if event.is_state:
            self._by_key.setdefault(event.state_tuple, []).append(event)
            state = {**state, event.state_tuple: event}
        return Branch((event.event_id,), state, event.depth)

    def _auth_events(self, state: State, draft: Draft) -> list[Event]:
        """As selected from the state, most of the time."""
        version = self.room_version
        keys = select_auth_event_types(draft.type, draft.state_key, draft.sender, draft.content, version)
        auth_events = [state[key] for key in keys if key in state]
        if auth_events and self._dice.chance(0.12):
            self._tamper(auth_events)
        return auth_events

    def _tamper(self, auth_events: list[Event]) -> None:
        """One is left out, twice there, an old one, or one that does not belong there."""
        index = self._dice.randrange(len(auth_events))
        what = self._dice.one_of({"old": 6, "missing": 3, "double": 1, "any": 1})
        if what == "missing":
            del auth_events[index]
        elif what == "double":
            auth_events.append(auth_events[index])
        elif what == "old":
            auth_events[index] = self._dice.choice(self._by_key[auth_events[index].state_tuple])
        else:
            auth_events.append(self._dice.choice([*self.events.values()]))

    def _event(self, branch: Branch, draft: Draft, auth_events: list[Event]) -> Event:
        version = self.room_version
        server = server_name_of(draft.sender)
        begins_room = version.room_id_is_create_hash and draft.type == "m.room.create"
        pdu = build_event(
            room_version=version,
            room_id=None if begins_room else self._room_id,
            event_type=draft.type,
            sender=draft.sender,
            content=draft.content,
            state_key=draft.state_key,
            prev_events=branch.latest,
            auth_events=[event.event_id for event in auth_events],
            depth=max(1, branch.depth + (1 if self._dice.chance(0.9) else self._dice.randrange(-5, 5))),
            # Clocks are not the same everywhere, and some events happen at the same time.
            origin_server_ts=1000 + branch.depth * 10 + self._dice.choice((0, 0, 0, 5, 40, -40)),
            redacts=draft.redacts,
            event_id=EventID(f"${self._dice.randrange(100)}-{next(self._serial)}:{server}"),
            reference_hashes=self._hashes,
        )
        pdu["hashes"] = {"sha256": content_hash(pdu)}
        signers = {server}
        authoriser = draft.content.get("join_authorised_via_users_server")
        if isinstance(authoriser, str) and ":" in authoriser and self._dice.chance(0.9):
            signers.add(server_name_of(UserID(authoriser)))
        pdu["signatures"] = {signer: {"ed25519:1": UNCHECKED_SIGNATURE} for signer in sorted(signers)}
        return parse_event(pdu, version)
