"""Two judges of a room's events: Tabstead's protocol, and Synapse's event_auth and state resolution as a library.

Both are asked the same: who an event is, which verdicts it gets, which state several states become. Nothing here
decides anything itself, but for the auth chains that Synapse asks its database for.
"""

from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Protocol

from synapse import event_auth
from synapse.api.errors import AuthError, SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import check_event_content_hash
from synapse.events import EventBase, make_event_from_dict
from synapse.state import v1, v2
from synapse.storage.databases.main.event_federation import StateDifference
from synapse.synapse_rust.events import redact_event_dict

from against_synapse.contents import State
from against_synapse.histories import StateIDs
from tabstead.protocol.auth_rules import (
    Rejected,
    StateEvents,
    Verdict,
    check_auth_events,
    check_event_auth,
    select_auth_event_types,
)
from tabstead.protocol.events import Event, redact_event
from tabstead.protocol.identifiers import EventID, StateTuple
from tabstead.protocol.room_versions import RoomVersion, StateResolution
from tabstead.protocol.signatures import check_content_hash
from tabstead.protocol.state_resolution import MissingEvents, WalkedAuthChains, resolve_state

CREATE: StateTuple = ("m.room.create", "")


class Failure(str):
    """Why something was not allowed, where that was no verdict but an accident: an exception of no such meaning."""


Opinion = str
"""An empty string for *allowed*, otherwise why not."""


@dataclass(frozen=True, slots=True)
class Opinions:
    """What a judge thinks of an event."""

    identity: tuple[Any, ...]
    """Its ID, its redacted copy, and whether its content hash is right."""
    selection: frozenset[StateTuple] | Failure
    """The auth events selection."""
    by_auth_events: Opinion
    """By what its auth events are."""
    by_their_state: Opinion
    """By the state that its auth events make."""
    by_state_before: Opinion


class Judge(Protocol):
    """One implementation, told of one room's events."""

    def judge(self, event: Event, auth_events: list[Event], state_before: State) -> Opinions: ...

    def keep(self, event: Event, *, accepted: bool) -> None:
        """Remember an event, and what became of it: from here on it may be cited."""

    def resolve(self, state_sets: list[StateIDs]) -> StateIDs | Failure: ...


@dataclass(slots=True)
class TabsteadJudge:
    room_version: RoomVersion
    events: dict[EventID, Event] = field(default_factory=dict)
    rejected: set[EventID] = field(default_factory=set)

    def judge(self, event: Event, auth_events: list[Event], state_before: State) -> Opinions:
        version = self.room_version
        their_state = {auth_event.state_tuple: auth_event for auth_event in auth_events if auth_event.is_state}
        if CREATE in state_before and version.room_id_is_create_hash:
            their_state[CREATE] = state_before[CREATE]
        selection = select_auth_event_types(event.type, event.state_key, event.sender, event.content, version)
        return Opinions(
            (event.event_id, redact_event(event.pdu, version), check_content_hash(event.pdu)),
            frozenset(selection),
            _reason(check_auth_events(event, auth_events, version, self.rejected)),
            _reason(check_event_auth(event, their_state, version)),
            _reason(check_event_auth(event, state_before, version)),
        )

    def keep(self, event: Event, *, accepted: bool) -> None:
        self.events[event.event_id] = event
        if not accepted:
            self.rejected.add(event.event_id)

    def resolve(self, state_sets: list[StateIDs]) -> StateIDs:
        auth_chains = WalkedAuthChains(lambda event_id: self.events[event_id].auth_events)
        resolved = resolve_state(
            state_sets,
            get_event=self.events.get,
            auth_chains=auth_chains,
            room_version=self.room_version,
            rejected=self.rejected,
        )
        assert not isinstance(resolved, MissingEvents)
        return resolved


def _reason(verdict: Verdict) -> Opinion:
    return verdict.reason if isinstance(verdict, Rejected) else ""


class SynapseJudge:
    """Also the store and the clock that Synapse's state resolution wants."""

    def __init__(self, room_version: RoomVersion) -> None:
        self._resolves_v1 = room_version.state_resolution is StateResolution.V1
        self._version = KNOWN_ROOM_VERSIONS[room_version.name]
        self._events: dict[str, EventBase] = {}
        self._chains: dict[str, frozenset[str]] = {}

    def judge(self, event: Event, auth_events: list[Event], state_before: State) -> Opinions:
        theirs = make_event_from_dict(event.pdu, self._version)

        def by_auth_events() -> None:
            _run(event_auth.check_state_independent_auth_rules(self, theirs))  # type: ignore[arg-type]

        def by_their_state() -> None:
            event_auth.validate_event_for_room_version(theirs)  # among its rules is one on memberships' signatures
            events = [self._events[event_id] for event_id in theirs.auth_event_ids()]
            event_auth.check_state_dependent_auth_rules(theirs, events)

        def by_state_before() -> None:
            event_auth.validate_event_for_room_version(theirs)
            keys = event_auth.auth_types_for_event(self._version, theirs)
            events = [self._events[state_before[key].event_id] for key in keys if key in state_before]
            event_auth.check_state_dependent_auth_rules(theirs, events)

        try:
            selection = self._selection(theirs)
        except Exception as error:
            selection = _failure(error)
        is_whole = check_event_content_hash(theirs)
        redacted = redact_event_dict(self._version, event.pdu)
        redacted.pop("unsigned", None)
        return Opinions(
            (theirs.event_id, redacted, is_whole),
            selection,
            _opinion(by_auth_events),
            _opinion(by_their_state),
            _opinion(by_state_before),
        )

    def _selection(self, event: EventBase) -> frozenset[StateTuple]:
        selected = frozenset(event_auth.auth_types_for_event(self._version, event))
        # Synapse selects the create event always, and then leaves it out of the event where it is implied; and it
        # selects the membership of an authoriser who is no text, which there never is.
        implied = {CREATE} if self._version.msc4291_room_ids_as_hashes else frozenset()
        return frozenset(key for key in selected - implied if isinstance(key[1], str))

    def keep(self, event: Event, *, accepted: bool) -> None:
        theirs = make_event_from_dict(event.pdu, self._version, rejected_reason=None if accepted else "rejected")
        self._events[event.event_id] = theirs
        if accepted:
            chains = (self._chains[event_id] for event_id in theirs.auth_event_ids())
            self._chains[event.event_id] = frozenset({event.event_id}).union(*chains)

    def judge_in_replay(self, event: Event, state: StateEvents) -> Opinion:
        """What its state resolution thinks of an event whose turn it is. There all but AuthError is an accident."""
        theirs = self._events[event.event_id]
        try:
            keys = event_auth.auth_types_for_event(self._version, theirs)
            found = [state.get(key) for key in keys]
            events = [self._events[auth_event.event_id] for auth_event in found if auth_event is not None]
            event_auth.check_state_dependent_auth_rules(theirs, events)
        except AuthError as error:
            return str(error)
        except Exception as error:
            return _failure(error)
        return ""

    def resolve(self, state_sets: list[StateIDs]) -> StateIDs | Failure:
        room_id = self._events[state_sets[0][CREATE]].room_id
        try:
            if self._resolves_v1:
                call = v1.resolve_events_with_store(room_id, self._version, state_sets, None, self.get_events)
            else:
                call = v2.resolve_events_with_store(self, room_id, self._version, state_sets, None, self)
            return dict(_run(call))
        except Exception as error:
            return _failure(error)

    # What state resolution asks for.

    async def sleep(self, duration: object) -> None:
        """The clock's: nobody waits for anything here."""

    async def get_events(self, event_ids: Collection[str], **_: Any) -> dict[str, EventBase]:
        return {event_id: self._events[event_id] for event_id in event_ids if event_id in self._events}

    async def get_auth_chain_difference(
        self, room_id: str, state_sets: list[set[str]], conflicted: set[str] | None, *_: Any
    ) -> StateDifference:
        chains = [self._chain(state_set) for state_set in state_sets]
        difference = reduce(frozenset.union, chains) - reduce(frozenset.intersection, chains)
        return StateDifference(
            auth_difference=set(difference),
            conflicted_subgraph=None if conflicted is None else self._subgraph(conflicted),
        )

    def _chain(self, event_ids: Iterable[str]) -> frozenset[str]:
        return frozenset().union(*(self._chains[event_id] for event_id in event_ids))

    def _subgraph(self, conflicted: set[str]) -> set[str]:
        return {event_id for event_id in self._chain(conflicted) if not conflicted.isdisjoint(self._chains[event_id])}


def _run(call: Coroutine[Any, Any, Any]) -> Any:
    """Run what is `async` and never waits."""
    try:
        call.send(None)
    except StopIteration as finished:
        return finished.value
    raise AssertionError("it waited")


def _opinion(check: Callable[[], None]) -> Opinion:
    try:
        check()
    except SynapseError as error:
        return str(error)
    except Exception as error:
        return _failure(error)
    return ""


def _failure(error: Exception) -> Failure:
    return Failure(f"{type(error).__name__}: {error}")
