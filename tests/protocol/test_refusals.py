"""Every refusal says why, in words for the sender; and rights that some versions give to more people than others."""

import pytest
from room_story import VERSIONS, RoomStory, reason, since, until, user

from tabstead.protocol.auth_rules import ALLOWED, RoomState, check_auth_events

every_version = pytest.mark.parametrize("version", VERSIONS)
MEMBER = "m.room.member"


def peopled(version, **create_content):
    """Alice's public room with bob, a moderator, carol, joined, and dave, banned."""
    story = RoomStory.founded(version, **create_content).join_rule("public").levels(users={"bob": 50}, invite=50)
    for name in ("bob", "carol"):
        story.happens(name, MEMBER, {"membership": "join"}, user(name))
    return story.member("dave", "ban")


@every_version
@pytest.mark.parametrize(
    ("sender", "target", "membership", "why"),
    [
        ("bob", "carol", "invite", "the invited user is joined or banned"),
        ("bob", "dave", "invite", "the invited user is joined or banned"),
        ("carol", "dave", "leave", "the sender may not unban"),
        ("carol", "bob", "leave", "the sender may not kick this user"),
        ("bob", "alice", "leave", "the sender may not kick this user"),
        ("carol", "bob", "ban", "the sender may not ban this user"),
        ("bob", "alice", "ban", "the sender may not ban this user"),
    ],
)
def test_of_what_one_does_to_others(version, sender, target, membership, why):
    assert reason(peopled(version).verdict(sender, MEMBER, {"membership": membership}, user(target))) == why


@every_version
@pytest.mark.parametrize("join_rule", ["invite", "x" * 50])
def test_of_a_join_without_an_invite(version, join_rule):
    story = RoomStory.founded(version).join_rule(join_rule)
    verdict = story.verdict("bob", MEMBER, {"membership": "join"}, user("bob"))
    assert reason(verdict) == f"the join rule is '{join_rule[:40]}' and the user is not invited"


@pytest.mark.parametrize("version", since("7"))
@pytest.mark.parametrize("name", ["carol", "dave"])
def test_of_a_knock_by_who_needs_none(version, name):
    story = peopled(version).join_rule("knock")
    verdict = story.verdict(name, MEMBER, {"membership": "knock"}, user(name))
    assert reason(verdict) == "the user is banned, invited or joined"


@every_version
def test_of_a_stranger_in_a_room_that_is_not_federated(version):
    story = RoomStory.founded(version, **{"m.federate": False})
    verdict = story.verdict("eve@far.example", MEMBER, {"membership": "join"}, user("eve@far.example"))
    assert reason(verdict) == "the room is not federated and the sender is on another server"


@pytest.mark.parametrize("version", ["1", "2"])
def test_of_a_redaction_across_servers(version):
    verdict = peopled(version).verdict("carol", "m.room.redaction", {}, None, redacts="$event:far.example")
    assert reason(verdict) == "the sender may not redact events of another server"


def test_of_creators_that_are_none():
    verdict = RoomStory("12").verdict("alice", "m.room.create", {"additional_creators": ["bob"]}, prev_events=())
    assert reason(verdict) == "additional_creators is not an array of user IDs"


@pytest.mark.parametrize("version", until("11"))
def test_additional_creators_are_nobody_before_version_12(version):
    story = RoomStory.founded(version, additional_creators=[user("bob")]).member("bob", "join")
    assert reason(story.verdict("bob", "m.room.topic", {"topic": "mine"}))
    assert RoomState(story.state, story.version).power_levels.user_power_level(user("bob")) == 0


@every_version
def test_the_level_to_notify_everyone_is_50_unless_the_room_says_otherwise(version):
    story = RoomStory.founded(version)
    assert story_levels(story).notification_power_level_required("room") == 50
    story.levels(notifications={"room": 20})
    assert story_levels(story).notification_power_level_required("room") == 20
    assert story_levels(story).notification_power_level_required("else") == 50


def story_levels(story):
    return RoomState(story.state, story.version).power_levels


@every_version
@pytest.mark.parametrize("membership", ["join", "invite"])
def test_none_of_the_auth_events_of_a_membership(version, membership):
    story = peopled(version).member("erin", "leave").member("bob", "join")
    sender = "erin" if membership == "join" else "bob"
    event = story.event(sender, MEMBER, {"membership": membership}, user("erin"))
    auth_events = [story.events[event_id] for event_id in event.auth_events]
    assert len({auth_event.state_tuple for auth_event in auth_events} & {("m.room.join_rules", "")}) == 1
    assert check_auth_events(event, auth_events, story.version) is ALLOWED
