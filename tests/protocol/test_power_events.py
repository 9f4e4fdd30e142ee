"""What state resolution replays first, and what decides about the rest: power events and the mainline."""

import pytest
from room_story import RoomStory, since, user
from test_state_resolution import agreed, membership, topic

from tabstead.protocol.auth_rules.room_state import POWER_LEVELS
from tabstead.protocol.state_resolution import WalkedAuthChains
from tabstead.protocol.state_resolution.conflict import Overlay
from tabstead.protocol.state_resolution.v2 import is_power_event

v2 = pytest.mark.parametrize("version", since("2"))
v2_0 = pytest.mark.parametrize("version", ["2", "5", "11"])

MEMBER = "m.room.member"


@pytest.mark.parametrize(
    ("sender", "event_type", "state_key", "content", "is_power"),
    [
        ("alice", "m.room.power_levels", "", {}, True),
        ("alice", "m.room.join_rules", "", {}, True),
        ("alice", "m.room.power_levels", "x", {}, False),
        ("alice", "m.room.join_rules", "x", {}, False),
        ("alice", MEMBER, user("bob"), {"membership": "leave"}, True),
        ("alice", MEMBER, user("bob"), {"membership": "ban"}, True),
        ("alice", MEMBER, user("bob"), {"membership": "invite"}, False),
        ("alice", MEMBER, user("bob"), {"membership": ["ban"]}, False),
        ("alice", MEMBER, user("bob"), {}, False),
        ("alice", MEMBER, user("alice"), {"membership": "leave"}, False),
        ("alice", MEMBER, user("alice"), {"membership": "join"}, False),
        ("alice", "m.room.topic", user("bob"), {"membership": "ban"}, False),
        ("alice", "m.room.create", "", {}, False),
    ],
)
def test_power_events_are_those_that_might_take_an_ability_away(sender, event_type, state_key, content, is_power):
    event = RoomStory("11").event(sender, event_type, content, state_key)
    assert is_power_event(event) is is_power


@v2
def test_what_a_power_event_rests_on_is_replayed_with_it(version):
    """Bob, who is mightier than carol, joins and bans dave while carol closes the room: bob was in before it closed."""
    story = RoomStory.founded(version).join_rule("public")
    story.levels(users={"bob": 60, "carol": 50}, events={"m.room.join_rules": 50})
    for name in ("carol", "dave"):
        story.happens(name, MEMBER, {"membership": "join"}, user(name))
    other = story.fork()
    story.happens("carol", "m.room.join_rules", {"join_rule": "invite"})
    other.happens("bob", MEMBER, {"membership": "join"}, user("bob"))
    other.happens("bob", MEMBER, {"membership": "ban"}, user("dave"))

    state = agreed(story, other)
    assert membership(state, "dave") == "ban"
    assert membership(state, "bob") == "join"
    assert state["m.room.join_rules", ""].content == {"join_rule": "invite"}


@v2
def test_the_mainline_goes_back_through_all_power_levels(version):
    """Two topics under the first and the second of three power levels: the second's wins, whatever the clocks say."""
    first = RoomStory.founded(version).levels(ban=51)
    second = first.fork()
    first.happens("alice", "m.room.topic", {"topic": "first"}, origin_server_ts=10**6)
    second.levels(ban=52)
    third = second.fork()
    second.happens("alice", "m.room.topic", {"topic": "second"}, origin_server_ts=1)
    third.levels(ban=53)

    assert topic(agreed(first, second, third)) == "second"


@v2
def test_power_levels_off_the_mainline_stand_where_they_parted_from_it(version):
    """Two power levels follow the same ones; a topic under those that lost is as old as one under what both follow."""
    base = RoomStory.founded(version).levels(ban=51)
    lost, won = base.fork(), base.fork()
    base.happens("alice", "m.room.topic", {"topic": "base"}, origin_server_ts=800)
    levels = base.state[POWER_LEVELS].content
    lost.happens("alice", "m.room.power_levels", {**levels, "ban": 52}, origin_server_ts=100)
    lost.happens("alice", "m.room.topic", {"topic": "lost"}, origin_server_ts=900)
    won.happens("alice", "m.room.power_levels", {**levels, "ban": 53}, origin_server_ts=200)

    state = agreed(base, lost, won)
    assert state[POWER_LEVELS].content["ban"] == 53
    assert topic(state) == "lost"


@v2
def test_no_power_levels_are_older_than_any_off_the_mainline(version):
    none = RoomStory.founded(version)
    lost = none.fork().levels(ban=51)
    won = lost.fork()
    none.happens("alice", "m.room.topic", {"topic": "none"}, origin_server_ts=10**6)
    levels = lost.state[POWER_LEVELS].content
    lost.happens("alice", "m.room.power_levels", {**levels, "ban": 52}, origin_server_ts=100)
    lost.happens("alice", "m.room.topic", {"topic": "lost"}, origin_server_ts=900)
    won.happens("alice", "m.room.power_levels", {**levels, "ban": 53}, origin_server_ts=200)

    assert topic(agreed(lost, won, none)) == "lost"


@v2_0
def test_the_mainline_begins_at_power_levels_that_all_agree_on(version):
    old = RoomStory.founded(version).levels(ban=51)
    new = old.fork()
    old.happens("alice", "m.room.topic", {"topic": "old"}, origin_server_ts=10**6)
    new.levels(ban=52)
    old._keep(new.state[POWER_LEVELS])
    new.happens("alice", "m.room.topic", {"topic": "new"}, origin_server_ts=1)

    assert topic(agreed(old, new)) == "new"


def test_version_1_judges_power_levels_by_those_before_them():
    """Bob may change the levels by those that the other state still has."""
    behind = RoomStory.founded("1").join_rule("public")
    behind.happens("bob", MEMBER, {"membership": "join"}, user("bob"))
    behind.levels(users={"bob": 50}, events={"m.room.power_levels": 50})
    ahead = behind.fork()
    levels = ahead.state[POWER_LEVELS].content
    ahead.happens("bob", "m.room.power_levels", {**levels, "kick": 40})

    assert agreed(behind, ahead)[POWER_LEVELS].content["kick"] == 40


def test_version_1_settles_power_levels_before_it_judges_members():
    """Carol changes her name, and bob bans her, who by the levels that win has no right to it any more."""
    story = RoomStory.founded("1").join_rule("public")
    for name in ("bob", "carol"):
        story.happens(name, MEMBER, {"membership": "join"}, user(name))
    story.levels(users={"bob": 50})
    other = story.fork()
    story.levels(users={"bob": 0})
    story.happens("carol", MEMBER, {"membership": "join", "displayname": "C"}, user("carol"))
    other.happens("bob", MEMBER, {"membership": "ban"}, user("carol"), depth=100)

    state = agreed(story, other)
    assert state[POWER_LEVELS].content["users"][user("bob")] == 0
    assert membership(state, "carol") == "join"


def test_version_1_judges_members_by_the_power_levels_that_won():
    story = RoomStory.founded("1").join_rule("public")
    for name in ("bob", "carol"):
        story.happens(name, MEMBER, {"membership": "join"}, user(name))
    other = story.fork()
    story.levels(users={"bob": 50})
    story.happens("carol", MEMBER, {"membership": "join", "displayname": "C"}, user("carol"))
    other.levels(users={"bob": 50}, kick=40)
    other.happens("bob", MEMBER, {"membership": "ban"}, user("carol"), depth=100)

    assert membership(agreed(story, other), "carol") == "ban"


def test_an_overlay_is_a_state_like_any_other():
    a, b, c = ("a", ""), ("b", ""), ("c", "")
    overlay = Overlay({a: "$1", b: "$2"}, {b: "$3", c: "$4"}, hidden=[a])
    assert dict(overlay) == {b: "$3", c: "$4"}
    assert len(overlay) == 2
    assert sorted(overlay.event_ids()) == ["$3", "$4"]
    assert (overlay.get(a, "none"), overlay.get(b, "none"), overlay.get(("d", ""), "none")) == ("none", "$3", "none")
    assert repr(overlay) == "Overlay({('b', ''): '$3', ('c', ''): '$4'})"
    with pytest.raises(KeyError, match="'a'"):
        overlay[a]


def test_what_is_agreed_on_reaches_as_far_as_its_auth_chain():
    graph = {"1": [], "2": ["1"], "3": ["2"], "4": ["3"], "other": ["1"]}
    assert WalkedAuthChains(graph.get).auth_difference(["4"], [["other"], []]) == set()
