"""Tell a history to both judges, and keep what they do not agree on.

Where the resolved states differ, the resolution is repeated with Tabstead's algorithm and Synapse's verdicts. If that
makes Synapse's state, the algorithms agree, and it is the verdicts that differ; if not, the difference is the states.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from against_synapse.contents import State
from against_synapse.histories import History, StateIDs
from against_synapse.judges import Failure, Opinion, Opinions, SynapseJudge, TabsteadJudge
from tabstead.protocol.auth_rules import ALLOWED, Rejected, StateEvents, Verdict, check_event_auth
from tabstead.protocol.auth_rules.room_state import CREATE, JOIN_RULES, POWER_LEVELS
from tabstead.protocol.events import Event
from tabstead.protocol.room_versions import RoomVersion
from tabstead.protocol.state_resolution import v1, v2

ALLOWS = "allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that the two see differently."""

    what: str
    """A field of Opinions, `verdict` (all of them together), `verdict in a replay`, or `resolution`."""
    ours: Any
    theirs: Any
    room_version: RoomVersion
    event: Event | None = None
    state: State = field(default_factory=dict)
    """The state before the event, or of the replay. For a resolution, the power levels ever accepted, by event ID."""

    def __str__(self) -> str:
        shown = "" if self.event is None else f"\n  event:  {self.event.pdu}"
        return f"{self.what} (version {self.room_version.name})\n  ours:   {self.ours}\n  theirs: {self.theirs}{shown}"


@dataclass(slots=True)
class Comparison:
    """Listens to one history. Tabstead's verdicts say how it goes on."""

    history: History
    differences: list[Difference] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _judges: tuple[TabsteadJudge, SynapseJudge] | None = None

    def accepts(self, event: Event, auth_events: list[Event], state_before: State) -> bool:
        ours, theirs = (judge.judge(event, auth_events, state_before) for judge in self._both())
        self._compare(ours, theirs, event, auth_events, state_before)
        is_accepted = not _all(ours)
        self.counts["allowed" if is_accepted else "rejected"] += 1
        for judge in self._both():
            judge.keep(event, accepted=is_accepted)
        return is_accepted

    def resolve(self, state_sets: list[StateIDs]) -> StateIDs:
        ours, theirs = (judge.resolve(state_sets) for judge in self._both())
        assert not isinstance(ours, Failure)
        self.counts["resolutions"] += any(state_set != state_sets[0] for state_set in state_sets)
        if ours != theirs:
            self._resolve_by_their_verdicts(state_sets, ours, theirs)
        return ours

    def _both(self) -> tuple[TabsteadJudge, SynapseJudge]:
        if self._judges is None:  # the history knows its version once it is told
            version = self.history.room_version
            self._judges = (TabsteadJudge(version), SynapseJudge(version))
        return self._judges

    def _compare(self, ours: Opinions, theirs: Opinions, event: Event, auth_events: list[Event], state: State) -> None:
        if ours.identity != theirs.identity:
            self._differ("identity", ours.identity, theirs.identity, event, state)
        if ours.selection != theirs.selection and not isinstance(theirs.selection, Failure):
            self._differ("selection", ours.selection, theirs.selection, event, state)
        # Which step rejects a create event is Synapse's own choice, and where it fails, it fails too early.
        if event.type == "m.room.create" or isinstance(_all(theirs), Failure):
            self._compare_verdicts("verdict", _all(ours), _all(theirs), event, state)
            return
        self._compare_verdicts("by_auth_events", ours.by_auth_events, theirs.by_auth_events, event, state)
        if not ours.by_auth_events:  # otherwise they make no state
            their_state = {CREATE: state[CREATE]} | {auth_event.state_tuple: auth_event for auth_event in auth_events}
            self._compare_verdicts("by_their_state", ours.by_their_state, theirs.by_their_state, event, their_state)
        self._compare_verdicts("by_state_before", ours.by_state_before, theirs.by_state_before, event, state)

    def _compare_verdicts(self, what: str, ours: Opinion, theirs: Opinion, event: Event, state: State) -> None:
        self.counts["verdicts"] += 1
        if bool(ours) != bool(theirs):
            self._differ(what, ours or ALLOWS, theirs or ALLOWS, event, state)

    def _resolve_by_their_verdicts(
        self, state_sets: list[StateIDs], ours: StateIDs, theirs: StateIDs | Failure
    ) -> None:
        judge, synapse = self._both()
        failures: list[Opinion] = []

        def their_verdict(event: Event, state: StateEvents, room_version: RoomVersion) -> Verdict:
            opinion = synapse.judge_in_replay(event, state)
            if isinstance(opinion, Failure):
                failures.append(opinion)
            our_opinion = _opinion(check_event_auth(event, state, room_version))
            self._compare_verdicts("verdict in a replay", our_opinion, opinion, event, _settings(state))
            return Rejected(opinion) if opinion else ALLOWED

        with _verdicts_in_replays_by(their_verdict):
            again = judge.resolve(state_sets)
        if again != theirs and theirs not in failures:
            self._differ("resolution", *_what_differs(ours, theirs), None, self._power_levels())

    def _power_levels(self) -> State:
        events = (self.history.events[event_id] for event_id in self.history.accepted)
        return {(event.type, event.event_id): event for event in events if event.type == POWER_LEVELS[0]}

    def _differ(self, what: str, ours: Any, theirs: Any, event: Event | None, state: State) -> None:
        version = self.history.room_version
        self.differences.append(
            Difference(what=what, ours=ours, theirs=theirs, room_version=version, event=event, state=state)
        )


def compare_history(number: str) -> Comparison:
    """Both judges on the history with this number."""
    history = History(number)
    comparison = Comparison(history)
    history.tell(comparison)
    return comparison


def _all(opinions: Opinions) -> Opinion:
    return opinions.by_auth_events or opinions.by_their_state or opinions.by_state_before


def _opinion(verdict: Verdict) -> Opinion:
    return verdict.reason if isinstance(verdict, Rejected) else ""


def _settings(state: StateEvents) -> State:
    """Of a state that can only be asked, what says how the room is."""
    found = {key: state.get(key) for key in (CREATE, JOIN_RULES, POWER_LEVELS)}
    return {key: event for key, event in found.items() if event is not None}


@contextmanager
def _verdicts_in_replays_by(check: Any) -> Iterator[None]:
    with patch.object(v1, "check_event_auth", check), patch.object(v2, "check_event_auth", check):
        yield


def _what_differs(ours: StateIDs, theirs: StateIDs | Failure) -> tuple[Any, Any]:
    if isinstance(theirs, Failure):
        return "a state", theirs
    keys = {key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)}
    return {key: ours.get(key) for key in keys}, {key: theirs.get(key) for key in keys}
