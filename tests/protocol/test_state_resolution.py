"""State resolution, by the specification's vectors and by quarrels between two views of a room."""

from hashlib import sha1

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from room_story import VERSIONS, RoomStory, since, user
from specification import vectors

from tabstead.protocol.events import Event
from tabstead.protocol.room_versions import get_room_version
from tabstead.protocol.state_resolution import (
    Conflict,
    MissingEvents,
    WalkedAuthChains,
    find_conflict,
    resolve_conflict,
    resolve_state,
)
from tabstead.protocol.state_resolution.conflict import Overlay

every_version = pytest.mark.parametrize("version", VERSIONS)
v2 = pytest.mark.parametrize("version", since("2"))
v2_0 = pytest.mark.parametrize("version", ["2", "5", "11"])
v2_1 = pytest.mark.parametrize("version", since("12"))


def auth_events_from(events):
    return lambda event_id: events[event_id].auth_events if event_id in events else None


def resolve(state_sets, events, version, rejected=frozenset()):
    """The resolution, which must not depend on the order of the states."""
    outcomes = [
        resolve_state(
            order,
            get_event=events.get,
            auth_chains=WalkedAuthChains(auth_events_from(events)),
            room_version=version,
            rejected=rejected,
        )
        for order in (state_sets, state_sets[::-1])
    ]
    assert outcomes[0] == outcomes[1]
    return outcomes[0]


def agreed(*stories):
    """What the stories' servers come to agree on: events by key."""
    story = stories[0]
    resolved = resolve([told.state_ids for told in stories], story.events, story.version)
    assert not isinstance(resolved, MissingEvents)
    return {key: story.events[event_id] for key, event_id in resolved.items()}


def membership(state, name):
    event = state.get(("m.room.member", user(name)))
    return event and event.membership


def topic(state):
    event = state.get(("m.room.topic", ""))
    return event and event.content["topic"]


class TestVectors:
    """The specification's cases: events with symbolic IDs."""

    def events(self, case, version):
        events = {}
        for pdu in (pdu for file in case["files"].values() for pdu in file if isinstance(pdu, dict)):
            fields = {key: value for key, value in pdu.items() if key != "test-comments"}
            fields.setdefault("room_id", "!" + pdu["event_id"][1:])
            for field in ("auth_events", "prev_events"):
                fields[field] = tuple(fields[field])
            events[pdu["event_id"]] = Event(**fields, depth=len(events), redacts=None, pdu={}, unsigned={})
        return events

    @pytest.mark.parametrize("case", vectors("state-resolution.json"), ids=lambda case: case["name"])
    def test_case(self, case):
        create = next(pdu for file in case["files"].values() for pdu in file if isinstance(pdu, dict))
        version = get_room_version(create["content"]["room_version"])
        events = self.events(case, version)
        if case["kind"] == "state_maps":
            lists = [file for file in case["files"].values() if isinstance(file[0], str)]
            state_sets = [{events[event_id].state_tuple: event_id for event_id in ids} for ids in lists]
        else:
            state_sets = self.states_after_the_last_events(events, version)
        resolved = resolve(state_sets, events, version)
        assert resolved == {(entry["type"], entry["state_key"]): entry["event_id"] for entry in case["resolved_state"]}

    @pytest.mark.parametrize(
        "case",
        vectors("state-resolution.json"),
        ids=lambda case: case["name"],
    )
    def test_all_at_once(self, case):
        """Each event as a state of its own: the same comes out."""
        if case["kind"] == "state_maps":
            pytest.skip("these states are given")
        events = self.events(case, None)
        state_sets = [{event.state_tuple: event.event_id} for event in events.values()]
        resolved = resolve(state_sets, events, get_room_version("10"))
        assert resolved == {(entry["type"], entry["state_key"]): entry["event_id"] for entry in case["resolved_state"]}

    def states_after_the_last_events(self, events, version):
        after = {}
        for event in events.values():
            before = resolve([after[prev] for prev in event.prev_events], events, version) if event.prev_events else {}
            after[event.event_id] = {**before, event.state_tuple: event.event_id}
        cited = {prev for event in events.values() for prev in event.prev_events}
        return [state for event_id, state in after.items() if event_id not in cited]


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("1234")), min_size=1, max_size=4))
def test_any_states_split_into_what_all_have_and_the_rest(states):
    state_sets = [{(key, ""): event_id for key, event_id in state.items()} for state in states]
    common = set.intersection(*(set(state_set.items()) for state_set in state_sets))
    conflict = find_conflict(state_sets)
    assert conflict.unconflicted == dict(common)
    assert conflict.conflicted == [dict(state_set.items() - common) for state_set in state_sets]


class TestConflict:
    def test_what_all_have_is_unconflicted(self):
        a, b, c = ("a", ""), ("b", ""), ("c", "")
        conflict = find_conflict([{a: "$1", b: "$2", c: "$3"}, {a: "$1", b: "$4"}, {a: "$1", b: "$2", c: "$3"}])
        assert conflict.unconflicted == {a: "$1"}
        assert conflict.conflicted == [{b: "$2", c: "$3"}, {b: "$4"}, {b: "$2", c: "$3"}]
        assert conflict.event_ids == {"$2", "$3", "$4"}

    def test_states_that_grew_from_one_are_split_wherever_they_changed(self):
        """Most entries stand at the same place in both; some changed there, some came later, in another order."""
        grown = {("m.room.member", str(number)): f"${number}" for number in range(20)}
        one = {**grown, ("m.room.member", "3"): "$one", ("a", ""): "$a", ("b", ""): "$b"}
        other = {**grown, ("m.room.member", "5"): "$other", ("b", ""): "$b", ("c", ""): "$c"}
        conflict = find_conflict([one, other])
        changed = {("m.room.member", "3"), ("m.room.member", "5")}
        assert conflict.unconflicted == {key: grown.get(key, "$b") for key in (grown.keys() - changed) | {("b", "")}}
        assert [state.keys() for state in conflict.conflicted] == [changed | {("a", "")}, changed | {("c", "")}]

    def test_a_resolved_state_reads_like_the_whole(self):
        a, b, c, d = ("a", ""), ("b", ""), ("c", ""), ("d", "")
        state = Overlay(Overlay({a: "$1", b: "$2", c: "$3"}, hidden={b, c}), {b: "$4", d: "$5"})
        assert dict(state) == {a: "$1", b: "$4", d: "$5"}
        assert sorted(state.values()) == ["$1", "$4", "$5"]
        assert [state.get(key) for key in (a, b, c, d)] == ["$1", "$4", None, "$5"]
        assert [key in state for key in (a, b, c, d)] == [True, True, False, True]
        assert len(state) == 3
        assert state.get(c, "$0") == "$0"
        with pytest.raises(KeyError):
            state[c]

    def test_one_state_has_no_conflict(self):
        assert find_conflict([{("a", ""): "$1"}]) == Conflict(unconflicted={("a", ""): "$1"}, conflicted=[{}])

    @every_version
    def test_without_a_conflict_no_event_is_looked_at(self, version):
        state = {("a", ""): "$1"}
        resolved = resolve_state(
            [state, dict(state)], get_event=None, auth_chains=None, room_version=get_room_version(version)
        )
        assert resolved == state

    @every_version
    def test_only_the_conflict_comes_out_of_a_conflict(self, version):
        story = RoomStory.founded(version)
        other = story.fork()
        story.happens("alice", "m.room.topic", {"topic": "x"})
        resolved = resolve_conflict(
            find_conflict([story.state_ids, other.state_ids]),
            get_event=story.events.get,
            auth_chains=WalkedAuthChains(auth_events_from(story.events)),
            room_version=story.version,
        )
        assert resolved == {("m.room.topic", ""): story.state["m.room.topic", ""].event_id}


class TestAuthChains:
    """The graph 1 <- 2 <- 3, 2 <- 4, 3 <- 5, 4 <- 5 and 6 on its own above 1."""

    graph = {"1": [], "2": ["1"], "3": ["2"], "4": ["2"], "5": ["3", "4"], "6": ["1"]}  # noqa: RUF012

    def difference(self, unconflicted, *conflicted):
        return WalkedAuthChains(self.graph.get).auth_difference(unconflicted, conflicted)

    def test_the_difference_is_what_some_chains_have(self):
        assert self.difference([], ["3"], ["4"]) == set()
        assert self.difference([], ["5"], ["6"]) == {"2", "3", "4"}
        assert self.difference([], ["5"], ["5"]) == set()
        assert self.difference([], ["3"], []) == {"1", "2"}
        assert self.difference([], ["3"], ["4"], ["6"]) == {"2"}

    def test_what_is_in_the_common_partss_chain_is_in_all(self):
        assert self.difference(["3"], ["5"], ["6"]) == {"4"}
        assert self.difference(["5"], ["3"], ["6"]) == set()
        assert self.difference(["1"], ["3"], []) == {"2"}
        assert self.difference(["2"], ["3"], []) == set()

    def test_the_subgraph_is_what_lies_between(self):
        subgraph = WalkedAuthChains(self.graph.get).conflicted_subgraph
        assert subgraph(["5", "2"]) == {"2", "3", "4", "5"}
        assert subgraph(["5", "3"]) == {"3", "5"}
        assert subgraph(["6", "5"]) == {"5", "6"}
        assert subgraph(["5", "3", "1"]) == {"1", "2", "3", "4", "5"}

    def test_what_is_missing_is_told(self):
        chains = WalkedAuthChains({"3": ["2"], "4": []}.get)
        assert chains.auth_difference([], [["3"], ["4"]]) == {"2"}
        assert chains.missing == {"2"}

    def test_long_chains_and_cycles_end(self):
        long = {str(number): [str(number - 1)] for number in range(1, 50_000)} | {"0": []}
        assert len(WalkedAuthChains(long.get).auth_difference([], [["49999"], []])) == 49_999
        cycle = {"a": ["b"], "b": ["a"]}
        assert WalkedAuthChains(cycle.get).auth_difference([], [["a"], []]) == {"b"}
        assert WalkedAuthChains(cycle.get).conflicted_subgraph(["a"]) == {"a", "b"}


class TestQuarrels:
    @v2
    def test_ban_vs_topic(self, version):
        alice = RoomStory.founded(version).levels(users={"bob": 50}).join_rule("public")
        alice.happens("alice", "m.room.topic", {"topic": "by alice"})
        alice.happens("bob", "m.room.member", {"membership": "join"}, user("bob"))
        bob = alice.fork()
        alice.happens("alice", "m.room.member", {"membership": "ban"}, user("bob"))
        bob.happens("bob", "m.room.topic", {"topic": "by bob"})
        state = agreed(alice, bob)
        assert membership(state, "bob") == "ban"
        assert topic(state) == "by alice"

    @v2
    def test_ban_vs_join(self, version):
        alice = RoomStory.founded(version).levels().join_rule("public")
        bob = alice.fork()
        alice.happens("alice", "m.room.member", {"membership": "ban"}, user("bob"))
        bob.happens("bob", "m.room.member", {"membership": "join"}, user("bob"))
        assert membership(agreed(alice, bob), "bob") == "ban"

    @v2
    def test_join_rules_vs_join(self, version):
        alice = RoomStory.founded(version).levels().join_rule("public")
        bob = alice.fork()
        alice.join_rule("invite")
        bob.happens("bob", "m.room.member", {"membership": "join"}, user("bob"))
        assert membership(agreed(alice, bob), "bob") is None

    @v2
    def test_demotion_vs_promotion(self, version):
        alice = (
            RoomStory.founded(version).join_rule("public").levels(users={"bob": 50}, events={"m.room.power_levels": 50})
        )
        alice.happens("bob", "m.room.member", {"membership": "join"}, user("bob"))
        bob = alice.fork()
        alice.levels(users={"bob": 0}, events={"m.room.power_levels": 50})
        levels = bob.state["m.room.power_levels", ""].content
        bob.happens("bob", "m.room.power_levels", {**levels, "users": {**levels["users"], user("carol"): 50}})
        resolved = agreed(alice, bob)["m.room.power_levels", ""]
        assert resolved == alice.state["m.room.power_levels", ""]

    @v2
    def test_the_mightier_wins_even_when_later(self, version):
        """Bob bans carol; alice, who is mightier, unseats bob, by a later clock. Alice's word is replayed first."""
        alice = RoomStory.founded(version).join_rule("public").levels(users={"bob": 50})
        for name in ("bob", "carol"):
            alice.happens(name, "m.room.member", {"membership": "join"}, user(name))
        bob = alice.fork()
        bob.happens("bob", "m.room.member", {"membership": "ban"}, user("carol"))
        alice.levels(users={"bob": 0})
        state = agreed(alice, bob)
        assert membership(state, "carol") == "join"

    @v2
    def test_among_equals_the_earlier_power_event_is_replayed_first(self, version):
        alice = RoomStory.founded(version).levels()
        other = alice.fork()
        alice.happens("alice", "m.room.join_rules", {"join_rule": "public"}, origin_server_ts=900)
        other.happens("alice", "m.room.join_rules", {"join_rule": "knock"}, origin_server_ts=800)
        assert agreed(alice, other)["m.room.join_rules", ""].content == {"join_rule": "public"}

    @v2
    def test_of_the_same_time_the_lesser_event_id_is_replayed_first(self, version):
        alice = RoomStory.founded(version).levels()
        other = alice.fork()
        alice.happens("alice", "m.room.join_rules", {"join_rule": "public"}, origin_server_ts=800, event_id="$b")
        other.happens("alice", "m.room.join_rules", {"join_rule": "knock"}, origin_server_ts=800, event_id="$a")
        assert agreed(alice, other)["m.room.join_rules", ""].event_id == "$b"

    @v2
    @pytest.mark.parametrize(("clocks", "winner"), [((900, 800), "one"), ((800, 900), "other"), ((800, 800), "other")])
    def test_topics_go_by_the_clock_and_then_by_event_id(self, version, clocks, winner):
        one = RoomStory.founded(version).levels()
        other = one.fork()
        one.happens("alice", "m.room.topic", {"topic": "one"}, origin_server_ts=clocks[0], event_id="$a")
        other.happens("alice", "m.room.topic", {"topic": "other"}, origin_server_ts=clocks[1], event_id="$b")
        assert topic(agreed(one, other)) == winner

    @v2
    def test_topics_go_by_the_mainline_before_the_clock(self, version):
        """A topic under older power levels loses to one under newer ones, whatever the clocks say."""
        alice = RoomStory.founded(version).levels()
        behind = alice.fork()
        behind.happens("alice", "m.room.topic", {"topic": "behind"}, origin_server_ts=10**6)
        alice.levels(ban=60)
        alice.happens("alice", "m.room.topic", {"topic": "ahead"}, origin_server_ts=1)
        assert topic(agreed(alice, behind)) == "ahead"

    @v2
    def test_a_topic_under_no_power_levels_is_the_oldest(self, version):
        alice = RoomStory.founded(version)
        behind = alice.fork()
        behind.happens("alice", "m.room.topic", {"topic": "behind"}, origin_server_ts=10**6)
        alice.levels()
        alice.happens("alice", "m.room.topic", {"topic": "ahead"}, origin_server_ts=1)
        assert topic(agreed(alice, behind)) == "ahead"

    @v2
    def test_without_any_power_levels_the_clock_decides(self, version):
        one = RoomStory.founded(version)
        other = one.fork()
        one.happens("alice", "m.room.topic", {"topic": "one"}, origin_server_ts=800)
        other.happens("alice", "m.room.topic", {"topic": "other"}, origin_server_ts=900)
        assert topic(agreed(one, other)) == "other"

    @v2
    def test_concurrent_joins_both_hold(self, version):
        one = RoomStory.founded(version).levels().join_rule("public")
        other = one.fork()
        one.happens("bob", "m.room.member", {"membership": "join"}, user("bob"))
        other.happens("carol", "m.room.member", {"membership": "join"}, user("carol"))
        state = agreed(one, other)
        assert (membership(state, "bob"), membership(state, "carol")) == ("join", "join")

    @v2
    def test_leaving_of_ones_own_is_no_power_event(self, version):
        """Bob leaves at a fork and comes back there; elsewhere alice kicked him and he came back: the clock decides."""
        one = RoomStory.founded(version).levels().join_rule("public")
        one.happens("bob", "m.room.member", {"membership": "join"}, user("bob"))
        other = one.fork()
        one.happens("bob", "m.room.member", {"membership": "leave"}, user("bob"), origin_server_ts=900)
        other.happens(
            "bob", "m.room.member", {"membership": "join", "displayname": "B"}, user("bob"), origin_server_ts=800
        )
        assert membership(agreed(one, other), "bob") == "leave"

    @v2
    def test_three_forks(self, version):
        alice = RoomStory.founded(version).levels(users={"bob": 50}).join_rule("public")
        for name in ("bob", "carol"):
            alice.happens(name, "m.room.member", {"membership": "join"}, user(name))
        bob, carol = alice.fork(), alice.fork()
        alice.happens("alice", "m.room.member", {"membership": "ban"}, user("bob"))
        bob.happens("bob", "m.room.member", {"membership": "ban"}, user("carol"))
        carol.happens("carol", "m.room.member", {"membership": "join", "displayname": "C"}, user("carol"))
        state = agreed(alice, bob, carol)
        assert membership(state, "bob") == "ban"
        assert state["m.room.member", user("carol")].content == {"membership": "join", "displayname": "C"}

    @v2
    def test_what_is_agreed_on_stays_whatever_is_replayed(self, version):
        alice = RoomStory.founded(version).levels().join_rule("public")
        alice.happens("alice", "m.room.topic", {"topic": "agreed"})
        other = alice.fork()
        alice.happens("alice", "m.room.name", {"name": "x"})
        assert topic(agreed(alice, other)) == "agreed"

    @v2
    def test_power_levels_in_another_key_are_no_power_event(self, version):
        alice = RoomStory.founded(version).levels(users={"bob": 50}).join_rule("public")
        alice.happens("bob", "m.room.member", {"membership": "join"}, user("bob"))
        bob = alice.fork()
        alice.happens("alice", "m.room.member", {"membership": "ban"}, user("bob"))
        bob.happens("bob", "m.room.join_rules", {"join_rule": "public"}, "side")
        assert ("m.room.join_rules", "side") not in agreed(alice, bob)


class TestVersion2_1:  # noqa: N801
    def reset(self, version):
        """Two servers agree on a join rule; each has a member the other lacks, from before that rule.

        The rule is unconflicted but no one's auth event: 2.0 judges the old joins by it, 2.1 as they were judged then.
        """
        one = RoomStory.founded(version).levels().join_rule("public")
        other = one.fork()
        one.happens("bob", "m.room.member", {"membership": "join"}, user("bob"))
        other.happens("carol", "m.room.member", {"membership": "join"}, user("carol"))
        rule = one.event("alice", "m.room.join_rules", {"join_rule": "invite"})
        for story in (one, other):
            story._keep(rule)
        return agreed(one, other)

    @v2_0
    def test_2_starts_from_what_is_agreed(self, version):
        state = self.reset(version)
        assert (membership(state, "bob"), membership(state, "carol")) == (None, None)

    @v2_1
    def test_2_1_starts_from_nothing(self, version):
        state = self.reset(version)
        assert (membership(state, "bob"), membership(state, "carol")) == ("join", "join")
        assert state["m.room.join_rules", ""].content == {"join_rule": "invite"}

    def between(self, version):
        """One view is far behind: it has the first power levels where the other has the third.

        The second ones, which the third need, are in no state and, by bob's membership, in everybody's auth chain.
        """
        behind = RoomStory.founded(version).levels(users={"bob": 50}).join_rule("public")
        ahead = behind.fork()
        ahead.levels(users={"bob": 100}, events={"m.room.power_levels": 50})
        ahead.happens("bob", "m.room.member", {"membership": "join"}, user("bob"))
        content = ahead.state["m.room.power_levels", ""].content
        ahead.happens("bob", "m.room.power_levels", {**content, "ban": 77})
        behind._keep(ahead.state["m.room.member", user("bob")])
        return agreed(behind, ahead)["m.room.power_levels", ""].content

    @v2_0
    def test_2_forgets_what_lies_between(self, version):
        assert "ban" not in self.between(version)

    @v2_1
    def test_2_1_replays_what_lies_between(self, version):
        assert self.between(version)["ban"] == 77


class TestRejected:
    @v2
    def test_a_rejected_auth_event_gives_no_right(self, version):
        """Carol named herself moderator, which no state allows, and sent a topic that names this as its auth event."""
        alice = RoomStory.founded(version).join_rule("public")
        alice.happens("carol", "m.room.member", {"membership": "join"}, user("carol"))
        carol = alice.fork()
        levels = carol.event("carol", "m.room.power_levels", {"users": {user("carol"): 50}})
        carol._keep(levels)
        carol.happens("carol", "m.room.topic", {"topic": "mine"})
        del carol.state["m.room.power_levels", ""]
        states = [alice.state_ids, carol.state_ids]
        resolved = resolve(states, alice.events, alice.version, rejected={levels.event_id})
        assert ("m.room.topic", "") not in resolved
        believed = resolve(states, alice.events, alice.version)
        assert ("m.room.topic", "") in believed


class TestMissing:
    def forks(self, version):
        alice = RoomStory.founded(version).levels().join_rule("public")
        other = alice.fork()
        alice.join_rule("invite")
        other.happens("bob", "m.room.member", {"membership": "join"}, user("bob"))
        return alice, other

    @every_version
    def test_a_missing_conflicted_event_is_named(self, version):
        alice = RoomStory.founded(version).levels()
        other = alice.fork()
        for story, name in ((alice, "one"), (other, "other")):
            story.happens("alice", "m.room.topic", {"topic": name})
        missing = alice.state["m.room.topic", ""].event_id
        del alice.events[missing]
        resolved = resolve([alice.state_ids, other.state_ids], alice.events, alice.version)
        assert resolved == MissingEvents(frozenset({missing}))

    @v2
    def test_missing_auth_events_are_named_together(self, version):
        alice, other = self.forks(version)
        keys = [("m.room.power_levels", ""), ("m.room.member", user("alice"))]
        missing = {alice.state[key].event_id for key in keys}
        for event_id in missing:
            del alice.events[event_id]
        resolved = resolve([alice.state_ids, other.state_ids], alice.events, alice.version)
        assert isinstance(resolved, MissingEvents)
        assert resolved.event_ids >= missing

    @v2_1
    def test_the_create_event_is_needed_though_no_one_names_it(self, version):
        alice, other = self.forks(version)
        create = alice.state["m.room.create", ""].event_id
        del alice.events[create]
        resolved = resolve([alice.state_ids, other.state_ids], alice.events, alice.version)
        assert resolved == MissingEvents(frozenset({create}))


class TestVersion1:
    """The first algorithm, by depth."""

    def forks(self):
        alice = RoomStory.founded("1").levels(users={"bob": 50}).join_rule("public")
        alice.happens("bob", "m.room.member", {"membership": "join"}, user("bob"))
        return alice, alice.fork()

    def test_what_only_one_has_is_taken_as_it_is(self):
        alice, bob = self.forks()
        alice.happens("alice", "m.room.name", {"name": "x"})
        bob.happens("bob", "m.room.topic", {"topic": "y"})
        assert {("m.room.name", ""), ("m.room.topic", "")} <= agreed(alice, bob).keys()

    def test_the_deepest_topic_wins(self):
        alice, bob = self.forks()
        alice.happens("alice", "m.room.topic", {"topic": "deep"}, depth=90)
        bob.happens("bob", "m.room.topic", {"topic": "shallow"}, depth=80)
        assert topic(agreed(alice, bob)) == "deep"

    def test_of_the_same_depth_the_least_hash_of_the_id_wins(self):
        alice, bob = self.forks()
        alice.happens("alice", "m.room.topic", {"topic": "a"}, depth=90, event_id="$a:x")
        bob.happens("bob", "m.room.topic", {"topic": "b"}, depth=90, event_id="$b:x")
        assert topic(agreed(alice, bob)) == min("ab", key=lambda name: sha1_of(f"${name}:x"))

    def test_a_topic_that_is_not_allowed_loses_however_deep(self):
        alice, bob = self.forks()
        alice.happens("alice", "m.room.topic", {"topic": "allowed"}, depth=80)
        alice.happens("alice", "m.room.power_levels", {"users": {user("alice"): 100}}, depth=81)
        bob.happens("bob", "m.room.topic", {"topic": "not"}, depth=90)
        bob.happens("bob", "m.room.name", {"name": "not in doubt"})
        assert topic(agreed(alice, bob)) == "allowed"

    def test_where_none_is_allowed_the_earliest_stays(self):
        alice, bob = self.forks()
        for story, depth in ((alice, 80), (bob, 90)):
            story.happens("bob", "m.room.topic", {"topic": str(depth)}, depth=depth)
        for story in (alice, bob):
            del story.state["m.room.member", user("bob")]
        assert topic(agreed(alice, bob)) == "80"

    def test_power_levels_follow_each_other_until_one_is_not_allowed(self):
        alice, other = self.forks()
        third, fourth = other.fork(), other.fork()
        mine = {user("alice"): 100}
        alice.happens("alice", "m.room.power_levels", {"users": mine, "ban": 1}, depth=80)
        other.happens("alice", "m.room.power_levels", {"users": mine, "ban": 2}, depth=81)
        not_allowed = third.event("bob", "m.room.power_levels", {"users": {user("bob"): 100}}, depth=82)
        third._keep(not_allowed)
        fourth.happens("alice", "m.room.power_levels", {"users": mine, "ban": 4}, depth=83)
        assert agreed(alice, other, third, fourth)["m.room.power_levels", ""].content["ban"] == 2

    def test_power_levels_with_a_state_key_are_like_any_setting(self):
        alice, other = self.forks()
        third = other.fork()
        same = alice.state["m.room.power_levels", ""].content
        alice.happens("alice", "m.room.power_levels", same, "elsewhere", depth=80)
        other._keep(other.event("bob", "m.room.power_levels", {"users": {}}, "elsewhere", depth=81))
        deepest = third.happens("alice", "m.room.power_levels", same, "elsewhere", depth=82)
        assert agreed(alice, other, third)["m.room.power_levels", "elsewhere"] == deepest

    def test_power_levels_come_before_join_rules_and_these_before_members(self):
        alice, bob = self.forks()
        alice.happens("alice", "m.room.power_levels", {"users": {user("alice"): 100}}, depth=80)
        bob.happens("alice", "m.room.power_levels", {"users": {user("alice"): 100}, "ban": 2}, depth=81)
        alice.happens("alice", "m.room.join_rules", {"join_rule": "invite"}, depth=82)
        bob_sets_rules = bob.event("bob", "m.room.join_rules", {"join_rule": "public"}, depth=83)
        bob._keep(bob_sets_rules)
        for story, depth in ((alice, 84), (bob, 85)):
            content = {"membership": "leave" if story is alice else "join"}
            story._keep(story.event("carol", "m.room.member", content, user("carol"), depth=depth))
        state = agreed(alice, bob)
        assert state["m.room.power_levels", ""].content["ban"] == 2
        assert state["m.room.join_rules", ""].content == {"join_rule": "invite"}
        assert membership(state, "carol") == "leave"

    def test_members_do_not_see_what_becomes_of_each_other(self):
        """Bob is in the room on both forks, but not by the same event: so his kick is that of nobody."""
        alice, bob = self.forks()
        for story in (alice, bob):
            name = "a" if story is alice else "b"
            story.happens("bob", "m.room.member", {"membership": "join", "displayname": name}, user("bob"), depth=80)
        alice.happens("carol", "m.room.member", {"membership": "join"}, user("carol"), depth=81)
        kick = bob.event("bob", "m.room.member", {"membership": "leave"}, user("carol"), depth=90)
        bob._keep(kick)
        assert membership(agreed(alice, bob), "carol") == "join"


def sha1_of(text):
    return sha1(text.encode()).digest()


class TestHugeRooms:
    @pytest.mark.parametrize("version", ["1", "2", "11", "12"])
    def test_a_long_history_of_power_levels_is_no_recursion(self, version):
        alice = RoomStory.founded(version)
        behind = alice.fork()
        for number in range(3_000):
            alice.levels(ban=number % 50)
        behind.levels(ban=99)
        resolved = agreed(alice, behind)["m.room.power_levels", ""]
        assert resolved.event_id in {story.state["m.room.power_levels", ""].event_id for story in (alice, behind)}

    @v2
    def test_of_many_members_only_the_quarrelling_are_loaded(self, version):
        alice = RoomStory.founded(version).levels().join_rule("public")
        for number in range(300):
            name = f"user{number}"
            alice.happens(name, "m.room.member", {"membership": "join"}, user(name))
        other = alice.fork()
        alice.happens("alice", "m.room.topic", {"topic": "x"})
        other.happens("alice", "m.room.topic", {"topic": "y"})
        loaded = []

        def get_event(event_id):
            loaded.append(event_id)
            return alice.events[event_id]

        resolve_state(
            [alice.state_ids, other.state_ids],
            get_event=get_event,
            auth_chains=WalkedAuthChains(auth_events_from(alice.events)),
            room_version=alice.version,
        )
        assert len(loaded) == len(set(loaded)) < 10
