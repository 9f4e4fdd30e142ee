"""Auth events: which part of the room state an event names, and what is wrong with naming others."""

import dataclasses

import pytest
from room_story import VERSIONS, RoomStory, reason, since, until, user

from tabstead.protocol.auth_rules import ALLOWED, check_auth_events, select_auth_event_types
from tabstead.protocol.room_versions import get_room_version

every_version = pytest.mark.parametrize("version", VERSIONS)
CREATE, LEVELS, JOIN_RULES = ("m.room.create", ""), ("m.room.power_levels", ""), ("m.room.join_rules", "")


def member(name):
    return "m.room.member", user(name)


def selected(version, event_type, state_key, sender, content):
    """What is selected beside the create event."""
    keys = select_auth_event_types(event_type, state_key, user(sender), content, get_room_version(version))
    assert len(keys) == len(set(keys))
    assert (CREATE in keys) is (version in until("11"))
    return {key for key in keys if key != CREATE}


class TestSelection:
    @every_version
    def test_a_create_event_needs_none(self, version):
        assert select_auth_event_types("m.room.create", "", user("alice"), {}, get_room_version(version)) == []

    @every_version
    @pytest.mark.parametrize("state_key", [None, "", user("bob")])
    def test_a_sender_speaks_by_their_membership_and_level(self, version, state_key):
        assert selected(version, "org.example", state_key, "alice", {}) == {LEVELS, member("alice")}

    @every_version
    @pytest.mark.parametrize(
        ("membership", "looks_at_join_rules"),
        [("join", True), ("invite", True), ("knock", True), ("leave", False), ("ban", False), (["join"], False)],
    )
    def test_a_membership_is_about_its_target(self, version, membership, looks_at_join_rules):
        keys = selected(version, "m.room.member", user("bob"), "alice", {"membership": membership})
        assert keys == {LEVELS, member("alice"), member("bob")} | ({JOIN_RULES} if looks_at_join_rules else set())

    @every_version
    def test_a_membership_of_nobody_has_no_target(self, version):
        assert selected(version, "m.room.member", None, "alice", {"membership": "join"}) == {LEVELS, member("alice")}

    @every_version
    @pytest.mark.parametrize("membership", ["invite", "join"])
    def test_a_third_party_invite_names_the_promise(self, version, membership):
        content = {"membership": membership, "third_party_invite": {"signed": {"token": "t"}}}
        keys = selected(version, "m.room.member", user("bob"), "alice", content)
        assert (("m.room.third_party_invite", "t") in keys) is (membership == "invite")

    @every_version
    @pytest.mark.parametrize("broken", [None, "x", {}, {"signed": []}, {"signed": {"token": 7}}])
    def test_a_broken_third_party_invite_names_none(self, version, broken):
        content = {"membership": "invite", "third_party_invite": broken}
        keys = selected(version, "m.room.member", user("bob"), "alice", content)
        assert keys == {LEVELS, JOIN_RULES, member("alice"), member("bob")}

    @every_version
    @pytest.mark.parametrize("membership", ["join", "invite", "leave"])
    def test_a_restricted_join_names_who_vouches_since_version_8(self, version, membership):
        content = {"membership": membership, "join_authorised_via_users_server": user("carol")}
        keys = selected(version, "m.room.member", user("bob"), "bob", content)
        assert (member("carol") in keys) is (membership == "join" and version in since("8"))

    @every_version
    def test_who_vouches_must_be_named_by_text(self, version):
        content = {"membership": "join", "join_authorised_via_users_server": ["x"]}
        assert selected(version, "m.room.member", user("bob"), "bob", content) == {LEVELS, JOIN_RULES, member("bob")}


class TestChecks:
    def setup(self, version):
        story = RoomStory.founded(version).levels()
        event = story.event("alice", "m.room.message", state_key=None)
        return story, event, [story.events[event_id] for event_id in event.auth_events]

    @every_version
    def test_what_was_selected_is_right(self, version):
        story, event, auth_events = self.setup(version)
        assert check_auth_events(event, auth_events, story.version) is ALLOWED

    @every_version
    def test_a_create_event_has_none_to_check(self, version):
        story = RoomStory(version)
        create = story.event("alice", "m.room.create", story.create_content())
        assert check_auth_events(create, [], story.version) is ALLOWED

    @every_version
    def test_none_is_there_twice(self, version):
        story, event, auth_events = self.setup(version)
        verdict = check_auth_events(event, [*auth_events, auth_events[-1]], story.version)
        assert reason(verdict) == f"two auth events are m.room.member {user('alice')}"

    @every_version
    def test_none_is_beside_the_point(self, version):
        story, event, auth_events = self.setup(version)
        topic = story.happens("alice", "m.room.topic")
        verdict = check_auth_events(event, [*auth_events, topic], story.version)
        assert reason(verdict) == "the auth event m.room.topic says nothing about this event"

    @every_version
    def test_none_is_a_message(self, version):
        story, event, auth_events = self.setup(version)
        message = story.happens("alice", "m.room.power_levels", state_key=None)
        assert (
            reason(check_auth_events(event, [*auth_events, message], story.version))
            == "an auth event is no state event"
        )

    @every_version
    def test_none_was_rejected(self, version):
        story, event, auth_events = self.setup(version)
        verdict = check_auth_events(event, auth_events, story.version, rejected={auth_events[-1].event_id})
        assert reason(verdict) == f"the auth event m.room.member {user('alice')} was rejected"

    @every_version
    def test_none_is_of_another_room(self, version):
        story, event, auth_events = self.setup(version)
        stray = dataclasses.replace(auth_events[-1], room_id="!elsewhere")
        verdict = check_auth_events(event, [*auth_events[:-1], stray], story.version)
        assert reason(verdict) == f"the auth event m.room.member {user('alice')} is of another room"

    @every_version
    def test_the_create_event_is_among_them_up_to_version_11(self, version):
        story, event, auth_events = self.setup(version)
        without_create = [auth_event for auth_event in auth_events if auth_event.type != "m.room.create"]
        verdict = check_auth_events(event, without_create, story.version)
        if version in until("11"):
            assert reason(verdict) == "there is no create event among the auth events"
        else:
            assert verdict is ALLOWED

    @pytest.mark.parametrize("version", since("12"))
    def test_the_create_event_is_not_among_them_since_version_12(self, version):
        story, event, auth_events = self.setup(version)
        verdict = check_auth_events(event, [*auth_events, story.state[CREATE]], story.version)
        assert reason(verdict) == "the auth event m.room.create says nothing about this event"
