"""The index over auth chains gives the answers that walking the auth events would give, whatever the graph."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import EventID, RoomID, StateTuple, UserID
from tabstead.protocol.room_versions import get_room_version
from tabstead.protocol.state_resolution import WalkedAuthChains
from tabstead.storage import auth_chains
from tabstead.storage.auth_chains import insert_auth_chain, select_auth_difference, select_conflicted_subgraph
from tabstead.storage.events import Standing, insert_event
from tabstead.storage.migrations import migrate_step
from tabstead.storage.rooms import insert_room

MESSAGE = "m.room.message"


class Graph:
    """Events of one room that name each other as auth events; all else about them is of no matter."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        while not migrate_step(self.db):
            pass
        self.room = insert_room(self.db, RoomID("!room"), get_room_version("12"))
        self.events: dict[EventID, Event] = {}
        self.nids: dict[EventID, int] = {}

    def add(
        self,
        name: str,
        auth_events: Iterable[str] = (),
        state_tuple: StateTuple | None = ("type", ""),
        standing: Standing = Standing.ACCEPTED,
    ) -> str:
        event = Event(
            event_id=EventID(name),
            room_id=self.room.room_id,
            type=MESSAGE if state_tuple is None else state_tuple[0],
            sender=UserID("@alice:tab.test"),
            state_key=None if state_tuple is None else state_tuple[1],
            content={},
            prev_events=(),
            auth_events=tuple(map(EventID, auth_events)),
            depth=1,
            origin_server_ts=1,
            redacts=None,
            pdu={
                "type": MESSAGE if state_tuple is None else state_tuple[0],
                "sender": "@alice:tab.test",
                "room_id": self.room.room_id,
                "content": {},
                "depth": 1,
                "origin_server_ts": 1,
                "prev_events": [],
                "auth_events": list(auth_events),
            },
            unsigned={},
        )
        stored = insert_event(
            self.db,
            self.room,
            event,
            stream_position=None if standing is Standing.REJECTED else len(self.events),
            standing=standing,
            state_before=0,
        )
        self.events[event.event_id], self.nids[event.event_id] = event, stored.event_nid
        insert_auth_chain(self.db, stored.event_nid, event)
        return name

    def difference(self, *conflicted: Iterable[str], agreed: Iterable[str] = ()) -> set[str]:
        found = select_auth_difference(self.db, [self._nids(each) for each in conflicted], self._nids(agreed))
        return self._names(found)

    def subgraph(self, *conflicted: str) -> set[str]:
        return self._names(select_conflicted_subgraph(self.db, self._nids(conflicted)))

    def walked(self) -> WalkedAuthChains:
        return WalkedAuthChains(lambda event_id: self.events[event_id].auth_events)

    def rows(self) -> int:
        return int(self.db.execute("SELECT COUNT(*) FROM auth_chains").fetchone()[0])

    def reaches(self) -> int:
        return int(self.db.execute("SELECT COUNT(*) FROM auth_chains WHERE reach IS NOT NULL").fetchone()[0])

    def bytes(self) -> int:
        return int(
            self.db.execute("SELECT SUM(LENGTH(auth_events) + IFNULL(LENGTH(reach), 0)) FROM auth_chains").fetchone()[0]
        )

    def events_read(self, ask: Callable[[], object]) -> int:
        """How many rows of the index are read, counted as what is decoded of them."""
        read = 0

        decode = auth_chains._decode

        def count(encoded: bytes) -> tuple[int, ...]:
            nonlocal read
            read += 1
            return decode(encoded)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(auth_chains, "_decode", count)
            ask()
        return read

    def _nids(self, names: Iterable[str]) -> list[int]:
        return [self.nids[EventID(name)] for name in names]

    def _names(self, nids: Iterable[int]) -> set[str]:
        names = {nid: str(name) for name, nid in self.nids.items()}
        return {names[nid] for nid in nids}


TUPLES: Sequence[StateTuple | None] = (
    ("m.room.power_levels", ""),
    ("m.room.member", "@alice:tab.test"),
    ("m.room.member", "@bob:tab.test"),
    ("m.room.topic", ""),
    None,
)
STANDINGS = (Standing.ACCEPTED, Standing.ACCEPTED, Standing.REJECTED)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A graph, its events coming in any order that has auth events first."""
    size = draw(st.integers(1, 24))
    names = [f"${number}" for number in range(size)]
    cited = {
        name: [names[number - 1 - back] for back in sorted(draw(st.sets(st.integers(0, number - 1), max_size=4)))]
        if number
        else []
        for number, name in enumerate(names)
    }
    tuples = {name: draw(st.sampled_from(TUPLES)) for name in names}
    standings = {name: draw(st.sampled_from(STANDINGS)) for name in names}
    graph = Graph()
    waiting = draw(st.permutations(names))
    while waiting:
        ready = next(name for name in waiting if all(auth_event in graph.events for auth_event in cited[name]))
        graph.add(ready, cited[ready], tuples[ready], standings[ready])
        waiting = [name for name in waiting if name != ready]
    return graph


@pytest.fixture(params=[0, 3, 32], ids="light={}".format)
def light(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small graphs are all light; so the same with a reach in every row that is named, and in some."""
    monkeypatch.setattr(auth_chains, "_LIGHT", request.param)


@pytest.mark.usefixtures("light")
@settings(deadline=None)
@given(graphs(), st.data())
def test_the_auth_difference_is_what_walking_finds(graph: Graph, data: st.DataObject) -> None:
    state_events = [event_id for event_id, event in graph.events.items() if event.is_state]
    if not state_events:
        return
    some = st.lists(st.sampled_from(state_events), unique=True, max_size=5)
    conflicted = data.draw(st.lists(some, min_size=2, max_size=4))
    agreed = data.draw(some)

    walked = graph.walked().auth_difference(agreed, conflicted)
    assert graph.difference(*conflicted, agreed=agreed) == walked.difference(*conflicted)
    graph.db.close()


@pytest.mark.usefixtures("light")
@settings(deadline=None)
@given(graphs(), st.data())
def test_the_conflicted_subgraph_is_what_walking_finds(graph: Graph, data: st.DataObject) -> None:
    conflicted = data.draw(st.lists(st.sampled_from(list(graph.events)), unique=True, max_size=6))
    conflicted = [event_id for event_id in conflicted if graph.events[event_id].is_state]

    assert graph.subgraph(*conflicted) == graph.walked().conflicted_subgraph(conflicted)
    graph.db.close()


def test_message_events_write_nothing_until_one_is_named_as_an_auth_event() -> None:
    graph = Graph()
    graph.add("$hello", state_tuple=None)
    graph.add("$again", ["$hello"], state_tuple=None)
    assert graph.rows() == 0

    graph.add("$rejected", ["$again"], standing=Standing.REJECTED)
    assert graph.rows() == 3
    assert graph.difference(["$rejected"], []) == {"$hello", "$again"}


def test_what_is_agreed_on_takes_its_auth_chain_out_of_the_difference() -> None:
    graph = Graph()
    graph.add("$create", state_tuple=("m.room.create", ""))
    graph.add("$levels", ["$create"], ("m.room.power_levels", ""))
    graph.add("$more levels", ["$create", "$levels"], ("m.room.power_levels", ""))
    graph.add("$topic", ["$more levels"], ("m.room.topic", ""))
    graph.add("$name", ["$more levels"], ("m.room.name", ""))

    assert graph.difference(["$topic"], ["$create"]) == {"$levels", "$more levels"}
    assert graph.difference(["$topic"], ["$create"], agreed=["$levels"]) == {"$more levels"}
    assert graph.difference(["$topic"], ["$create"], agreed=["$name"]) == set()


def test_two_events_that_follow_the_same_one_are_of_two_chains() -> None:
    graph = Graph()
    graph.add("$first")
    graph.add("$left", ["$first"])
    graph.add("$right", ["$first"])
    graph.add("$more right", ["$right"])

    assert graph.difference(["$left"], ["$more right"]) == {"$right"}


class TestALongHistory:
    """What is stored and what is read stay small where auth chains are long."""

    def test_a_thousand_power_levels_events_are_one_chain(self) -> None:
        graph = Graph()
        graph.add("$0", state_tuple=("m.room.power_levels", ""))
        for number in range(1, 1000):
            graph.add(f"${number}", [f"${number - 1}"], ("m.room.power_levels", ""))
        graph.add("$topic", ["$999"], ("m.room.topic", ""))

        assert graph.events_read(lambda: graph.difference(["$topic"], ["$999"])) < 50
        assert graph.difference(["$topic"], ["$990"]) == {f"${number}" for number in range(991, 1000)}
        assert graph.reaches() < 40

    def test_members_who_name_the_same_power_levels_hold_no_reach(self) -> None:
        graph = Graph()
        graph.add("$0", state_tuple=("m.room.power_levels", ""))
        for number in range(1, 100):
            graph.add(f"${number}", [f"${number - 1}"], ("m.room.power_levels", ""))
        before = graph.reaches()
        for number in range(200):
            graph.add(f"$member {number}", ["$99"], ("m.room.member", f"@{number}:tab.test"))

        assert graph.reaches() <= before + 1

    def test_users_who_invite_each_other_in_a_row_take_room_in_proportion(self) -> None:
        graph = Graph()
        graph.add("$0", state_tuple=("m.room.member", "@0:tab.test"))
        for number in range(1, 2000):
            graph.add(f"${number}", [f"${number - 1}"], ("m.room.member", f"@{number}:tab.test"))

        assert graph.bytes() < 25 * 2000
