"""The authorisation rules, told as quarrels: in which room versions who gets their way."""

import math

import pytest
from room_story import VERSIONS, RoomStory, between, reason, since, until, user

from tabstead.protocol.auth_rules import ALLOWED, RoomState, check_event_auth

every_version = pytest.mark.parametrize("version", VERSIONS)


def in_versions(versions):
    return pytest.mark.parametrize("version", versions)


class TestCreate:
    """Rule 1: `m.room.create`."""

    @every_version
    def test_a_create_event_begins_a_room(self, version):
        story = RoomStory(version)
        assert story.verdict("alice", "m.room.create", story.create_content()) is ALLOWED

    @every_version
    def test_nothing_comes_before_it(self, version):
        story = RoomStory(version)
        event = story.event("alice", "m.room.create", story.create_content(), prev_events=("$before",))
        assert reason(check_event_auth(event, {}, story.version)) == "a create event has no prev_events"

    @in_versions(until("11"))
    def test_the_room_id_is_of_the_senders_server(self, version):
        story = RoomStory(version)
        verdict = story.verdict("alice", "m.room.create", story.create_content(), room_id="!room:far.example")
        assert reason(verdict) == "the room ID is not of the sender's server"

    @in_versions(since("12"))
    def test_it_has_no_room_id_of_its_own(self, version):
        story = RoomStory(version)
        verdict = story.verdict("alice", "m.room.create", story.create_content(), pdu={"room_id": "!some"})
        assert reason(verdict) == "a create event has no room_id in this room version"

    @every_version
    @pytest.mark.parametrize("unknown", ["13", "org.example.future", 12, ["12"], None])
    def test_the_room_version_is_known(self, version, unknown):
        story = RoomStory(version)
        verdict = story.verdict("alice", "m.room.create", {**story.create_content(), "room_version": unknown})
        assert reason(verdict) == "the room version is not recognised"

    @every_version
    def test_a_room_version_need_not_be_named(self, version):
        story = RoomStory(version)
        content = story.create_content()
        del content["room_version"]
        assert story.verdict("alice", "m.room.create", content) is ALLOWED

    @every_version
    def test_the_creator_is_named_up_to_version_10(self, version):
        verdict = RoomStory(version).verdict("alice", "m.room.create", {"room_version": version})
        assert reason(verdict) == ("content has no creator" if version in until("10") else "")

    @every_version
    @pytest.mark.parametrize("additional", ["@bob:example.org", None, ["bob"], [7], {}])
    def test_additional_creators_are_user_ids_since_version_12(self, version, additional):
        story = RoomStory(version)
        verdict = story.verdict("alice", "m.room.create", story.create_content(additional_creators=additional))
        assert bool(reason(verdict)) is (version in since("12"))

    @in_versions(since("12"))
    def test_additional_creators_may_be_named(self, version):
        story = RoomStory(version)
        content = story.create_content(additional_creators=[user("bob"), "@:far.example"])
        assert story.verdict("alice", "m.room.create", content) is ALLOWED


class TestTheRoom:
    """Rules 2 to 4: the create event, federation, and aliases."""

    @every_version
    def test_nothing_happens_in_a_room_that_was_never_created(self, version):
        verdict = RoomStory(version).verdict("alice", "m.room.message", state_key=None)
        assert reason(verdict) == "there is no create event in the room state"

    @in_versions(since("12"))
    def test_the_room_id_is_the_create_events(self, version):
        verdict = RoomStory.founded(version).verdict("alice", "m.room.message", state_key=None, room_id="!another")
        assert reason(verdict) == "the room ID is not that of the create event"

    @every_version
    @pytest.mark.parametrize(("federate", "is_allowed"), [(False, False), (True, True), ("false", True)])
    def test_a_room_may_be_closed_to_other_servers(self, version, federate, is_allowed):
        story = RoomStory.founded(version, **{"m.federate": federate}).join_rule("public")
        verdict = story.verdict("bob@far.example", "m.room.member", {"membership": "join"}, user("bob@far.example"))
        assert (verdict is ALLOWED) is is_allowed

    @every_version
    def test_a_closed_room_is_open_to_its_own_server(self, version):
        story = RoomStory.founded(version, **{"m.federate": False}).join_rule("public")
        assert story.verdict("bob", "m.room.member", {"membership": "join"}, user("bob")) is ALLOWED

    @in_versions(until("5"))
    def test_anyone_may_set_the_aliases_of_their_server_up_to_version_5(self, version):
        story = RoomStory.founded(version)
        aliases = ("eve@far.example", "m.room.aliases", {"aliases": []})
        assert story.verdict(*aliases, "far.example") is ALLOWED
        assert reason(story.verdict(*aliases, "example.org")) == "the aliases are another server's"
        assert reason(story.verdict(*aliases, None)) == "aliases have a state key"

    @in_versions(since("6"))
    def test_aliases_are_like_any_state_since_version_6(self, version):
        story = RoomStory.founded(version)
        verdict = story.verdict("eve@far.example", "m.room.aliases", {"aliases": []}, "far.example")
        assert reason(verdict) == "the sender is not joined to the room"


class TestMembership:
    """Rule 5: what any `m.room.member` must have."""

    @every_version
    @pytest.mark.parametrize("content", [{}, {"membership": 1}, {"membership": None}])
    def test_it_says_which_membership(self, version, content):
        verdict = RoomStory.founded(version).verdict("alice", "m.room.member", content, user("alice"))
        assert reason(verdict) == "a membership has a state key and content.membership"

    @every_version
    def test_it_says_whose(self, version):
        verdict = RoomStory.founded(version).verdict("alice", "m.room.member", {"membership": "join"}, None)
        assert reason(verdict) == "a membership has a state key and content.membership"

    @every_version
    def test_it_is_one_that_is_known(self, version):
        verdict = RoomStory.founded(version).verdict("alice", "m.room.member", {"membership": "lurk"}, user("alice"))
        assert reason(verdict) == "the membership is unknown"


def joins(story, name, sender=None, **content):
    return story.verdict(sender or name, "m.room.member", {"membership": "join", **content}, user(name))


class TestJoin:
    """Rule 5.2 or 5.3: becoming `join`."""

    @every_version
    def test_the_creator_joins_first(self, version):
        story = RoomStory(version)
        story.happens("alice", "m.room.create", story.create_content())
        assert joins(story, "alice") is ALLOWED
        assert joins(story, "bob") is not ALLOWED

    @every_version
    def test_the_creator_joins_uninvited_only_right_after_the_create_event(self, version):
        story = RoomStory.founded(version).member("alice", "leave")
        create = story.state["m.room.create", ""].event_id
        assert joins(story, "alice") is not ALLOWED
        back_then = story.event("alice", "m.room.member", {"membership": "join"}, user("alice"), prev_events=(create,))
        assert check_event_auth(back_then, story.state, story.version) is ALLOWED
        forked = story.event(
            "alice", "m.room.member", {"membership": "join"}, user("alice"), prev_events=(create, "$other")
        )
        assert check_event_auth(forked, story.state, story.version) is not ALLOWED

    @in_versions(until("10"))
    def test_up_to_version_10_the_creator_is_who_the_content_says(self, version):
        story = RoomStory(version)
        story.happens("alice", "m.room.create", {**story.create_content(), "creator": user("bob")})
        assert joins(story, "bob") is ALLOWED
        assert joins(story, "alice") is not ALLOWED

    @in_versions(since("11"))
    def test_since_version_11_the_creator_is_who_sent_the_create_event(self, version):
        story = RoomStory(version)
        story.happens("alice", "m.room.create", {**story.create_content(), "creator": user("bob")})
        assert joins(story, "alice") is ALLOWED
        assert joins(story, "bob") is not ALLOWED

    @in_versions(since("12"))
    def test_an_additional_creator_does_not_join_uninvited(self, version):
        story = RoomStory(version)
        story.happens("alice", "m.room.create", story.create_content(additional_creators=[user("bob")]))
        assert joins(story, "bob") is not ALLOWED

    @every_version
    def test_nobody_is_joined_by_another(self, version):
        story = RoomStory.founded(version).join_rule("public")
        assert reason(joins(story, "bob", sender="alice")) == "nobody can be joined by another user"

    @every_version
    def test_the_banned_stay_outside(self, version):
        story = RoomStory.founded(version).join_rule("public").member("bob", "ban")
        assert reason(joins(story, "bob")) == "the user is banned"

    @every_version
    @pytest.mark.parametrize("membership", [None, "leave", "invite", "join"])
    def test_a_public_room_is_open(self, version, membership):
        story = RoomStory.founded(version).join_rule("public")
        if membership:
            story.member("bob", membership)
        assert joins(story, "bob") is ALLOWED

    @every_version
    @pytest.mark.parametrize(
        ("join_rule", "first_version"),
        [("invite", "1"), ("knock", "7"), ("restricted", "8"), ("knock_restricted", "10")],
    )
    @pytest.mark.parametrize(("membership", "is_welcome"), [("invite", True), ("join", True), ("leave", False)])
    def test_the_invited_join_if_the_room_version_knows_the_join_rule(
        self, version, join_rule, first_version, membership, is_welcome
    ):
        story = RoomStory.founded(version).join_rule(join_rule).member("bob", membership)
        assert (joins(story, "bob") is ALLOWED) is (is_welcome and version in since(first_version))

    @every_version
    def test_a_room_without_a_join_rule_is_by_invitation(self, version):
        story = RoomStory.founded(version)
        assert joins(story, "bob") is not ALLOWED
        assert joins(story.member("bob", "invite"), "bob") is ALLOWED

    @every_version
    @pytest.mark.parametrize("join_rule", ["private", "", None, 7, ["public"]])
    def test_an_unknown_join_rule_opens_to_nobody(self, version, join_rule):
        story = RoomStory.founded(version).join_rule(join_rule).member("bob", "invite")
        assert joins(story, "bob") is not ALLOWED

    @every_version
    @pytest.mark.parametrize("membership", [None, "knock"])
    def test_a_knock_is_no_invitation(self, version, membership):
        story = RoomStory.founded(version).join_rule("knock").member("bob", "knock")
        assert joins(story, "bob") is not ALLOWED


class TestRestrictedJoin:
    """Since version 8: someone who may invite vouches for who joins, and their server signs."""

    vouched = {"join_authorised_via_users_server": user("carol@far.example")}  # noqa: RUF012
    signed = {"pdu": {"signatures": {"far.example": {"ed25519:1": "…"}}}}  # noqa: RUF012

    def story(self, version, carol="join", **levels):
        story = RoomStory.founded(version).levels(**levels).join_rule("restricted")
        return story.member("carol@far.example", carol)

    def joins(self, story, content=vouched, signed=signed):
        event = story.event("bob", "m.room.member", {"membership": "join", **content}, user("bob"), **signed)
        return check_event_auth(event, story.state, story.version)

    @every_version
    def test_a_member_who_may_invite_vouches(self, version):
        assert (self.joins(self.story(version)) is ALLOWED) is (version in since("8"))

    @in_versions(since("10"))
    def test_also_where_one_could_knock(self, version):
        assert self.joins(self.story(version).join_rule("knock_restricted")) is ALLOWED

    @in_versions(since("8"))
    def test_somebody_must_vouch(self, version):
        assert reason(self.joins(self.story(version), content={})).endswith("nobody in it authorises the join")

    @in_versions(since("8"))
    @pytest.mark.parametrize("carol", ["leave", "invite", "ban"])
    def test_who_vouches_is_a_member(self, version, carol):
        verdict = self.joins(self.story(version, carol))
        assert reason(verdict) == "the user who authorises the join is not joined"

    @in_versions(since("8"))
    def test_who_vouches_may_invite(self, version):
        verdict = self.joins(self.story(version, invite=1))
        assert reason(verdict) == "the user who authorises the join may not invite"
        assert self.joins(self.story(version, invite=1, users={"carol@far.example": 1})) is ALLOWED

    @in_versions(since("8"))
    @pytest.mark.parametrize("signatures", [{}, {"example.org": {"ed25519:1": "…"}}, {"far.example": {}}])
    def test_their_server_signs(self, version, signatures):
        verdict = self.joins(self.story(version), signed={"pdu": {"signatures": signatures}})
        assert reason(verdict) == "the server that is said to authorise the join has not signed it"

    @in_versions(since("8"))
    @pytest.mark.parametrize("authoriser", [7, None, "carol", ["@carol:far.example"]])
    def test_who_vouches_is_a_user(self, version, authoriser):
        content = {"join_authorised_via_users_server": authoriser}
        assert self.joins(self.story(version), content=content) is not ALLOWED

    @in_versions(since("8"))
    def test_the_signature_is_wanted_wherever_someone_is_said_to_vouch(self, version):
        story = self.story(version).join_rule("public")
        assert self.joins(story, signed={"pdu": {}}) is not ALLOWED

    @in_versions(until("7"))
    def test_before_version_8_the_name_means_nothing(self, version):
        assert self.joins(self.story(version).join_rule("public"), signed={"pdu": {}}) is ALLOWED


def invites(story, sender, target, **content):
    return story.verdict(sender, "m.room.member", {"membership": "invite", **content}, user(target))


class TestInvite:
    """Rule 5.3 or 5.4: making someone `invite`."""

    @every_version
    def test_a_member_invites(self, version):
        assert invites(RoomStory.founded(version), "alice", "bob") is ALLOWED

    @every_version
    @pytest.mark.parametrize("membership", ["leave", "invite", "ban", "knock"])
    def test_only_members_invite(self, version, membership):
        story = RoomStory.founded(version).member("bob", membership)
        assert reason(invites(story, "bob", "carol")) == "the sender is not joined to the room"

    @every_version
    @pytest.mark.parametrize(
        ("membership", "is_allowed"), [("join", False), ("ban", False), ("leave", True), ("invite", True)]
    )
    def test_the_joined_and_the_banned_are_not_invited(self, version, membership, is_allowed):
        story = RoomStory.founded(version).member("bob", membership)
        assert (invites(story, "alice", "bob") is ALLOWED) is is_allowed

    @every_version
    def test_inviting_takes_a_power_level(self, version):
        story = RoomStory.founded(version).levels(invite=10, users={"bob": 9, "carol": 10})
        story.member("bob", "join").member("carol", "join")
        assert reason(invites(story, "bob", "dave")) == "the sender may not invite"
        assert invites(story, "carol", "dave") is ALLOWED


def leaves(story, sender, target):
    return story.verdict(sender, "m.room.member", {"membership": "leave"}, user(target))


class TestLeave:
    """Rule 5.4 or 5.5: making someone `leave`: leaving, kicking, unbanning, taking an invitation back."""

    @every_version
    @pytest.mark.parametrize("membership", ["join", "invite", "knock", "leave", "ban"])
    def test_one_leaves_where_one_is(self, version, membership):
        story = RoomStory.founded(version).member("bob", membership)
        may_leave = membership in ("join", "invite") or (membership == "knock" and version in since("7"))
        assert (leaves(story, "bob", "bob") is ALLOWED) is may_leave

    @every_version
    def test_who_never_was_there_cannot_leave(self, version):
        assert reason(leaves(RoomStory.founded(version), "bob", "bob")) == "the user is not in the room"

    @every_version
    @pytest.mark.parametrize("membership", ["leave", "invite"])
    def test_only_members_kick(self, version, membership):
        story = RoomStory.founded(version).levels(users={"bob": 90}).member("bob", membership).member("carol", "join")
        assert reason(leaves(story, "bob", "carol")) == "the sender is not joined to the room"

    @every_version
    @pytest.mark.parametrize(
        ("bob", "carol", "is_allowed"), [(50, 49, True), (49, 0, False), (50, 50, False), (60, 70, False)]
    )
    def test_kicking_takes_the_kick_level_and_more_than_the_target_has(self, version, bob, carol, is_allowed):
        story = RoomStory.founded(version).levels(users={"bob": bob, "carol": carol})
        story.member("bob", "join").member("carol", "join")
        assert (leaves(story, "bob", "carol") is ALLOWED) is is_allowed

    @every_version
    @pytest.mark.parametrize(("bob", "is_allowed"), [(50, False), (69, False), (70, True)])
    def test_unbanning_takes_the_ban_level_too(self, version, bob, is_allowed):
        story = RoomStory.founded(version).levels(ban=70, kick=50, users={"bob": bob})
        story.member("bob", "join").member("carol", "ban")
        assert (leaves(story, "bob", "carol") is ALLOWED) is is_allowed

    @every_version
    def test_the_ban_level_is_not_for_kicking(self, version):
        story = RoomStory.founded(version).levels(ban=70, kick=50, users={"bob": 50})
        story.member("bob", "join").member("carol", "join")
        assert leaves(story, "bob", "carol") is ALLOWED

    @in_versions(since("12"))
    def test_nobody_kicks_a_creator_not_even_another(self, version):
        story = RoomStory.founded(version, additional_creators=[user("bob")]).levels(users={"carol": 10**9})
        story.member("bob", "join").member("carol", "join")
        assert leaves(story, "carol", "alice") is not ALLOWED
        assert leaves(story, "bob", "alice") is not ALLOWED
        assert leaves(story, "bob", "carol") is ALLOWED


def bans(story, sender, target):
    return story.verdict(sender, "m.room.member", {"membership": "ban"}, user(target))


class TestBan:
    """Rule 5.5 or 5.6: making someone `ban`."""

    @every_version
    @pytest.mark.parametrize("membership", ["leave", "invite"])
    def test_only_members_ban(self, version, membership):
        story = RoomStory.founded(version).levels(users={"bob": 90}).member("bob", membership)
        assert reason(bans(story, "bob", "carol")) == "the sender is not joined to the room"

    @every_version
    @pytest.mark.parametrize(
        ("bob", "carol", "is_allowed"), [(50, 49, True), (49, 0, False), (50, 50, False), (60, 70, False)]
    )
    def test_banning_takes_the_ban_level_and_more_than_the_target_has(self, version, bob, carol, is_allowed):
        story = RoomStory.founded(version).levels(users={"bob": bob, "carol": carol})
        story.member("bob", "join").member("carol", "join")
        assert (bans(story, "bob", "carol") is ALLOWED) is is_allowed

    @every_version
    def test_who_is_not_there_can_be_banned(self, version):
        assert bans(RoomStory.founded(version), "alice", "mallory@far.example") is ALLOWED


class TestKnock:
    """Since version 7: asking to be let in."""

    def knocks(self, story, sender="bob", target="bob"):
        return story.verdict(sender, "m.room.member", {"membership": "knock"}, user(target))

    @every_version
    def test_one_knocks_where_that_is_the_rule(self, version):
        story = RoomStory.founded(version).join_rule("knock")
        assert (self.knocks(story) is ALLOWED) is (version in since("7"))

    @in_versions(until("6"))
    def test_before_version_7_knocking_is_unknown(self, version):
        assert reason(self.knocks(RoomStory.founded(version).join_rule("knock"))) == "the membership is unknown"

    @in_versions(since("7"))
    def test_the_restricted_are_knocked_at_since_version_10(self, version):
        story = RoomStory.founded(version).join_rule("knock_restricted")
        assert (self.knocks(story) is ALLOWED) is (version in since("10"))

    @in_versions(since("7"))
    @pytest.mark.parametrize("join_rule", ["public", "invite", "restricted"])
    def test_nowhere_else(self, version, join_rule):
        story = RoomStory.founded(version).join_rule(join_rule)
        assert reason(self.knocks(story)) == "the room does not take knocks"

    @in_versions(since("7"))
    def test_nobody_knocks_for_another(self, version):
        story = RoomStory.founded(version).join_rule("knock")
        assert reason(self.knocks(story, sender="alice")) == "nobody can knock for another user"

    @in_versions(since("7"))
    @pytest.mark.parametrize(
        ("membership", "is_allowed"),
        [("ban", False), ("invite", False), ("join", False), ("leave", True), ("knock", True)],
    )
    def test_only_from_outside(self, version, membership, is_allowed):
        story = RoomStory.founded(version).join_rule("knock").member("bob", membership)
        assert (self.knocks(story) is ALLOWED) is is_allowed


class TestSending:
    """Rules 6 to 9: what a sender must be and have, whatever they send."""

    @every_version
    @pytest.mark.parametrize("membership", [None, "leave", "invite", "ban", "knock"])
    def test_only_members_send(self, version, membership):
        story = RoomStory.founded(version)
        if membership:
            story.member("bob", membership)
        assert reason(story.verdict("bob", "m.room.message", state_key=None)) == "the sender is not joined to the room"

    @every_version
    def test_promising_an_invite_takes_the_invite_level_alone(self, version):
        story = RoomStory.founded(version).levels(invite=10, state_default=90, users={"bob": 9, "carol": 10})
        story.member("bob", "join").member("carol", "join")
        assert story.verdict("carol", "m.room.third_party_invite", {}, "token") is ALLOWED
        assert reason(story.verdict("bob", "m.room.third_party_invite", {}, "token")) == "the sender may not invite"

    @every_version
    @pytest.mark.parametrize(
        ("event_type", "state_key", "required"),
        [("m.room.message", None, 5), ("m.room.topic", "", 20), ("special", None, 30), ("special", "", 30)],
    )
    def test_an_event_takes_the_level_of_its_type(self, version, event_type, state_key, required):
        story = RoomStory.founded(version).levels(
            events_default=5,
            state_default=20,
            events={"special": 30},
            users={"bob": required - 1, "carol": required},
        )
        story.member("bob", "join").member("carol", "join")
        assert reason(story.verdict("bob", event_type, {}, state_key)).startswith(f"sending {event_type} needs")
        assert story.verdict("carol", event_type, {}, state_key) is ALLOWED

    @every_version
    def test_state_under_a_users_id_is_theirs(self, version):
        story = RoomStory.founded(version).levels(users={"bob": 50}).member("bob", "join")
        assert story.verdict("bob", "org.example.mood", {}, user("bob")) is ALLOWED
        assert (
            reason(story.verdict("bob", "org.example.mood", {}, user("alice"))) == "the state key is another user's ID"
        )
        assert reason(story.verdict("bob", "org.example.mood", {}, "@")) == "the state key is another user's ID"
        assert story.verdict("bob", "org.example.mood", {}, "x@") is ALLOWED


class TestDefaults:
    """A room without power levels, and power levels that say little."""

    @every_version
    def test_without_power_levels_the_creator_is_mighty_and_the_others_talk(self, version):
        story = RoomStory.founded(version).member("bob", "join")
        assert story.verdict("alice", "m.room.topic") is ALLOWED
        assert story.verdict("bob", "m.room.message", state_key=None) is ALLOWED
        assert story.verdict("bob", "m.room.topic") is not ALLOWED
        assert bans(story, "bob", "carol") is not ALLOWED
        assert invites(story, "bob", "carol") is ALLOWED

    @every_version
    def test_the_creators_level(self, version):
        state = RoomState(RoomStory.founded(version).state, RoomStory(version).version)
        expected = math.inf if version in since("12") else 100
        assert state.power_levels.user_power_level(user("alice")) == expected
        assert state.power_levels.user_power_level(user("bob")) == 0

    @in_versions(until("11"))
    def test_up_to_version_11_power_levels_can_unseat_the_creator(self, version):
        story = RoomStory.founded(version).levels(users={"alice": 10})
        levels = RoomState(story.state, story.version).power_levels
        assert levels.user_power_level(user("alice")) == 10

    @every_version
    def test_what_power_levels_leave_out_is_the_default(self, version):
        story = RoomStory.founded(version).levels(users_default=3)
        levels = RoomState(story.state, story.version).power_levels
        assert (levels.ban, levels.kick, levels.redact, levels.invite) == (50, 50, 50, 0)
        assert levels.event_power_level_required("any", is_state=True) == 50
        assert levels.event_power_level_required("any", is_state=False) == 0
        assert levels.user_power_level(user("anyone")) == 3
        assert levels.notification_power_level_required("room") == 50


def sets_levels(story, sender, content):
    return story.verdict(sender, "m.room.power_levels", content)


class TestFormOfPowerLevels:
    """Rule 10, first part: what the content looks like."""

    names = ("users_default", "events_default", "state_default", "ban", "redact", "kick", "invite")

    @every_version
    @pytest.mark.parametrize("name", names)
    @pytest.mark.parametrize("level", ["50", 50.5, None, True, [], {}])
    def test_levels_are_integers_since_version_10(self, version, name, level):
        verdict = sets_levels(RoomStory.founded(version), "alice", {name: level})
        assert reason(verdict) == (f"{name} is not an integer" if version in since("10") else "")

    @every_version
    @pytest.mark.parametrize("group", ["events", "notifications"])
    @pytest.mark.parametrize("levels", [{"x": "50"}, {"x": 1.5}, {"x": True}, {"x": None}, [], None, 5])
    def test_groups_of_levels_are_objects_of_integers_since_version_10(self, version, group, levels):
        verdict = sets_levels(RoomStory.founded(version), "alice", {group: levels})
        assert reason(verdict) == (f"{group} is not an object of integers" if version in since("10") else "")

    @every_version
    @pytest.mark.parametrize(
        "users", [[], None, "x", {"bob": 1}, {"@bob:example.org": None}, {"@bob:example.org": True}, {"@b:x": "much"}]
    )
    def test_users_have_levels(self, version, users):
        verdict = sets_levels(RoomStory.founded(version), "alice", {"users": users})
        assert reason(verdict) == "users is not an object of user IDs and integers"

    @every_version
    @pytest.mark.parametrize("level", ["50", " +050 ", "-3", 50.9])
    def test_a_users_level_is_an_integer_since_version_10(self, version, level):
        verdict = sets_levels(RoomStory.founded(version), "alice", {"users": {user("bob"): level}})
        assert (verdict is ALLOWED) is (version in until("9"))

    @in_versions(since("12"))
    @pytest.mark.parametrize("creator", ["alice", "bob"])
    def test_creators_are_not_listed(self, version, creator):
        story = RoomStory.founded(version, additional_creators=[user("bob")])
        verdict = sets_levels(story, "alice", {"users": {user(creator): 100}})
        assert reason(verdict) == "users lists a room creator, whose power level cannot be changed"


class TestChangingPowerLevels:
    """Rule 10, second part: nobody gives what they do not have, or takes from those who have as much."""

    def story(self, version, **levels):
        story = RoomStory.founded(version).levels(
            **{"events": {"m.room.power_levels": 50}, "users": {"bob": 50, "carol": 40, "dave": 50}, **levels}
        )
        return story.member("bob", "join")

    def changed(self, story, **changes):
        """The room's power levels with these changes; None takes a property away."""
        content = {**story.state["m.room.power_levels", ""].content, **changes}
        return {name: value for name, value in content.items() if value is not None}

    def bob_changes(self, story, **changes):
        return sets_levels(story, "bob", self.changed(story, **changes))

    @every_version
    def test_who_founds_the_order_is_free(self, version):
        story = RoomStory.founded(version)
        assert (
            sets_levels(story, "alice", {"ban": 10**6, "events": {"x": 10**6}, "users": {user("bob"): 99}}) is ALLOWED
        )

    @every_version
    def test_saying_the_same_again_changes_nothing(self, version):
        story = self.story(version, ban=99, events={"m.room.power_levels": 50, "x": 99}, notifications={"room": 99})
        assert self.bob_changes(story) is ALLOWED

    @every_version
    @pytest.mark.parametrize("name", TestFormOfPowerLevels.names)
    def test_levels_of_actions_stay_within_the_senders(self, version, name):
        low, high = (
            self.story(version, **{name: 50}),
            self.story(version, **{name: 51, "users_default": 0} | {name: 51}),
        )
        assert self.bob_changes(low, **{name: 49}) is ALLOWED
        assert self.bob_changes(low, **{name: 50}) is ALLOWED
        assert reason(self.bob_changes(low, **{name: 51})) == f"the new level of {name} is above the sender's"
        if name not in ("users_default",):
            assert reason(self.bob_changes(high, **{name: 50})) == f"the level of {name} is above the sender's"
            assert reason(self.bob_changes(high, **{name: None})) == f"the level of {name} is above the sender's"

    @every_version
    @pytest.mark.parametrize("name", TestFormOfPowerLevels.names)
    def test_levels_of_actions_are_added_within_the_senders(self, version, name):
        story = self.story(version)
        assert self.bob_changes(story, **{name: 50}) is ALLOWED
        assert reason(self.bob_changes(story, **{name: 51})) == f"the new level of {name} is above the sender's"

    @every_version
    @pytest.mark.parametrize("group", ["events", "notifications"])
    def test_levels_of_groups_stay_within_the_senders(self, version, group):
        guarded = group == "events" or version in since("6")
        keep = {"m.room.power_levels": 50} if group == "events" else {}
        story = self.story(version, **{group: {**keep, "low": 50, "high": 51}})

        def changes(**entries):
            levels = {**keep, "low": 50, "high": 51, **entries}
            return self.bob_changes(
                story, **{group: {key: level for key, level in levels.items() if level is not None}}
            )

        assert changes(low=1, new=50) is ALLOWED
        assert changes(low=None) is ALLOWED
        assert (changes(low=51) is ALLOWED) is not guarded
        assert (changes(new=51) is ALLOWED) is not guarded
        assert (changes(high=50) is ALLOWED) is not guarded
        assert (changes(high=None) is ALLOWED) is not guarded

    @every_version
    def test_users_are_raised_to_the_senders_level_at_most(self, version):
        story = self.story(version)
        users = story.state["m.room.power_levels", ""].content["users"]
        assert self.bob_changes(story, users={**users, user("carol"): 50}) is ALLOWED
        assert self.bob_changes(story, users={**users, user("erin"): 50}) is ALLOWED
        for name in ("carol", "erin", "bob"):
            verdict = self.bob_changes(story, users={**users, user(name): 51})
            assert reason(verdict) == f"the new level of users {user(name)} is above the sender's"

    @every_version
    def test_equals_are_left_alone_but_oneself(self, version):
        story = self.story(version)
        users = story.state["m.room.power_levels", ""].content["users"]
        assert self.bob_changes(story, users={**users, user("bob"): 1}) is ALLOWED
        without_bob = {name: level for name, level in users.items() if name != user("bob")}
        assert self.bob_changes(story, users=without_bob) is ALLOWED
        without_carol = {name: level for name, level in users.items() if name != user("carol")}
        assert self.bob_changes(story, users=without_carol) is ALLOWED
        without_dave = {name: level for name, level in users.items() if name != user("dave")}
        for verdict in (
            self.bob_changes(story, users={**users, user("dave"): 1}),
            self.bob_changes(story, users=without_dave),
        ):
            assert reason(verdict) == f"users {user('dave')} has a power level that the sender does not exceed"

    @in_versions(until("9"))
    def test_a_level_in_another_notation_is_the_same_level(self, version):
        story = self.story(version, ban="99", events={"m.room.power_levels": 50, "x": 99.9})
        assert self.bob_changes(story, ban=99, events={"m.room.power_levels": "50", "x": " 099 "}) is ALLOWED

    @in_versions(until("9"))
    @pytest.mark.parametrize("changes", [{"ban": "much"}, {"events": {"x": None}}, {"events": [50]}, {"events": 50}])
    def test_a_level_that_is_none_is_not_set(self, version, changes):
        assert reason(self.bob_changes(self.story(version), **changes)).endswith("is not an integer")

    @in_versions(until("9"))
    @pytest.mark.parametrize("empty", [[], ""])
    def test_what_is_empty_is_an_empty_object(self, version, empty):
        assert self.bob_changes(self.story(version), events=empty) is ALLOWED
        story = self.story(version, events={"m.room.power_levels": 50, "x": 99})
        assert reason(self.bob_changes(story, events=empty)) == "the level of events x is above the sender's"

    @in_versions(until("9"))
    def test_a_level_that_is_none_can_be_removed(self, version):
        story = self.story(version, ban="much")
        assert self.bob_changes(story, ban=None) is ALLOWED
        assert self.bob_changes(story, ban=50) is ALLOWED

    @in_versions(since("12"))
    def test_a_creator_is_above_all_levels(self, version):
        story = self.story(version, ban=10**9)
        assert sets_levels(story, "alice", self.changed(story, ban=10**10, users={user("bob"): 10**9})) is ALLOWED


class TestRedaction:
    """Rule 11 of versions 1 and 2: redactions are judged by the rules; later, when they are applied."""

    def redacts(self, story, event_id):
        return story.verdict("bob@far.example", "m.room.redaction", {}, None, redacts=event_id)

    @every_version
    def test_of_another_servers_events_up_to_version_2(self, version):
        story = RoomStory.founded(version).member("bob@far.example", "join")
        assert (self.redacts(story, "$other:example.org") is ALLOWED) is (version in since("3"))
        assert (self.redacts(story, None) is ALLOWED) is (version in since("3"))

    @every_version
    def test_of_the_own_servers_events(self, version):
        story = RoomStory.founded(version).member("bob@far.example", "join")
        assert self.redacts(story, "$own:far.example") is ALLOWED

    @in_versions(until("2"))
    @pytest.mark.parametrize(("level", "is_allowed"), [(49, False), (50, True)])
    def test_with_the_redact_level_of_anything(self, version, level, is_allowed):
        story = RoomStory.founded(version).levels(users={"bob@far.example": level})
        story.member("bob@far.example", "join")
        assert (self.redacts(story, "$other:example.org") is ALLOWED) is is_allowed


def test_the_versions_between_are_a_slice_of_all():
    assert between("6", "9") == ("6", "7", "8", "9")
