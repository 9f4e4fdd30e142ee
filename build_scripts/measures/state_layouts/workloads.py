"""Histories of rooms' states, the same for every layout.

N members join, and then the state changes: mostly members, now and then a setting or somebody new. A share of the
changes comes in pairs, both made of the same state; the next state is what both make of it together. Seven of ten
events are messages, which only use up event numbers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from state_layouts.layout import StateTuple

SETTINGS: Final = (
    "m.room.create",
    "m.room.power_levels",
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.name",
    "m.room.topic",
    "m.room.canonical_alias",
    "m.room.encryption",
)
TOPIC: Final = SETTINGS.index("m.room.topic") + 1


@dataclass(frozen=True, slots=True)
class Step:
    """A snapshot: what changes (event 0: removed) make of the snapshot of an earlier step, None for the empty one."""

    base: int | None
    changes: Mapping[int, int]
    resolved: bool = False


@dataclass(slots=True)
class History:
    """Steps, and the tuples that their numbers stand for, from 1."""

    tuples: list[StateTuple] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    joined: int = 0
    """The steps until all members had joined."""

    def states(self) -> Iterator[tuple[Step, dict[int, int], dict[int, int]]]:
        """Each step with the state before and after; both are only good until the next step."""
        uses = [0] * len(self.steps)
        for step in self.steps:
            if step.base is not None:
                uses[step.base] += 1
        kept: dict[int, dict[int, int]] = {}
        for number, step in enumerate(self.steps):
            before = {} if step.base is None else kept[step.base]
            if step.base is not None:
                uses[step.base] -= 1
                if not uses[step.base]:
                    del kept[step.base]
            after = apply(before, step.changes)
            kept[number] = after
            yield step, before, after

    def state_of(self, number: int) -> dict[int, int]:
        """The state after a step, by the definition."""
        chain = []
        at: int | None = number
        while at is not None:
            chain.append(self.steps[at].changes)
            at = self.steps[at].base
        state: dict[int, int] = {}
        for changes in reversed(chain):
            state.update(changes)
        return {key: event for key, event in state.items() if event}


def apply(state: Mapping[int, int], changes: Mapping[int, int]) -> dict[int, int]:
    after = {**state, **changes}
    for number, event in changes.items():
        if not event:
            del after[number]
    return after


class Room:
    """Makes a history."""

    def __init__(self, members: int, seed: int = 7) -> None:
        self.history = History()
        self.random = Random(seed)
        self.event = 0
        self.last: int | None = None
        for setting in SETTINGS:
            self.change(self.new_tuple(setting, ""))
        self.members = [self.join() for _ in range(members)]
        self.history.joined = len(self.history.steps)

    def new_tuple(self, event_type: str, state_key: str) -> int:
        self.history.tuples.append((event_type, state_key))
        return len(self.history.tuples)

    def new_member(self) -> int:
        number = len(self.history.tuples)
        return self.new_tuple("m.room.member", f"@user{number:07}:server{number % 211:03}.example.org")

    def join(self) -> int:
        number = self.new_member()
        self.change(number)
        return number

    def new_event(self) -> int:
        self.event += 1
        return self.event

    def add(self, base: int | None, changes: Mapping[int, int], *, resolved: bool = False) -> int:
        self.history.steps.append(Step(base, changes, resolved))
        self.last = len(self.history.steps) - 1
        return self.last

    def change(self, number: int) -> None:
        self.add(self.last, {number: self.new_event()})

    def churn(self, events: int, forked: float) -> None:
        end = len(self.history.steps) + events
        while len(self.history.steps) < end:
            self.event += self.messages()
            if self.random.random() < forked:
                self.fork()
            else:
                self.change(self.pick())

    def fork(self) -> None:
        base = self.last
        one, two = {self.pick(): self.new_event()}, {self.pick(): self.new_event()}
        tip = self.add(base, one)
        self.add(base, two)
        both = {number: event for number, event in two.items() if number not in one}
        if both:
            self.add(tip, both, resolved=True)
        else:
            self.last = tip

    def messages(self) -> int:
        count = 0
        while self.random.random() < 0.7:
            count += 1
        return count

    def pick(self) -> int:
        if self.random.random() < 0.93:
            return self.random.choice(self.members)
        return self.random.randrange(len(SETTINGS)) + 1 if self.random.random() < 0.5 else self.new_member()


def churn(members: int, events: int, forked: float) -> History:
    room = Room(members)
    room.churn(events, forked)
    return room.history


def order_hazard(members: int, events: int) -> History:
    """The topic goes back to the event that it had once, while whole states may have been written in between."""
    room = Room(members)
    while len(room.history.steps) < events:
        first = room.new_event()
        room.add(room.last, {TOPIC: first})
        room.churn(50, 0)
        room.change(TOPIC)
        room.churn(50, 0)
        room.add(room.last, {TOPIC: first})
        room.churn(10, 0)
    return room.history


def workload(name: str, scale: float) -> History:
    """W1 to W5, with so much less of everything."""
    members, events, forked = {
        "W1": (10, 10_000, 0.1),
        "W2": (2_000, 10_000, 0.1),
        "W3": (10_000, 10_000, 0.1),
        "W4": (500, 10_000, 0.3),
        "W5": (10, 10_000, 0.0),
    }[name]
    members, events = max(10, int(members * scale)), int(events * scale)
    return order_hazard(members, events) if name == "W5" else churn(members, events, forked)
