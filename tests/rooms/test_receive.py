"""What becomes of events that another server sends: two servers, one room, each check in its order."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from two_servers import ALICE, BOB, Json, Side, TwoServers, accepted

from tabstead.protocol.events import redact_event
from tabstead.protocol.identifiers import EventID
from tabstead.protocol.room_versions import ROOM_VERSIONS
from tabstead.protocol.signatures import MissingKeys, sign_event
from tabstead.rooms.verdicts import Accepted, Dropped, MissingEvents, Rejected, SoftFailed
from tabstead.storage.events import Standing, find_event
from tabstead.storage.rooms import insert_room
from tabstead.storage.state_history import EMPTY, add_snapshot

every_version = pytest.mark.parametrize("version", ROOM_VERSIONS)


@pytest.fixture
def both() -> TwoServers:
    return TwoServers.open()


@pytest.fixture
def tab(both: TwoServers) -> Side:
    return both.tab


@pytest.fixture
def far(both: TwoServers) -> Side:
    return both.far


class TestTwoServersAgree:
    @every_version
    def test_on_a_conversation(self, version: str) -> None:
        both = TwoServers.open(version)
        both.tab.say(ALICE)
        both.exchange()
        both.far.say(BOB)
        both.exchange()

        both.assert_agreed()
        assert both.tab.state()[("m.room.member", BOB)] == both.far.state()[("m.room.member", BOB)]

    @every_version
    def test_on_a_quarrel_between_forks(self, version: str) -> None:
        both = TwoServers.open(version, state_default=0, events={})
        both.tab.send(ALICE, "m.room.topic", {"topic": "hers"}, "")
        both.far.send(BOB, "m.room.topic", {"topic": "his"}, "")
        both.far.send(BOB, "m.room.avatar", {"url": "mxc://far.test/1"}, "")
        both.exchange()

        both.assert_agreed()
        assert len(both.tab.tips()) == 2
        both.tab.say(ALICE, "and on")
        both.exchange()
        both.assert_agreed()
        assert len(both.tab.tips()) == 1

    @every_version
    def test_on_a_ban_that_meets_what_the_banned_say(self, version: str) -> None:
        both = TwoServers.open(version, state_default=0, events={})
        both.tab.set_member(ALICE, BOB, "ban")
        said = both.far.send(BOB, "m.room.topic", {"topic": "his"}, "")
        verdicts = both.exchange()

        assert [type(verdict) for verdict in verdicts] == [Accepted, SoftFailed]
        assert both.tab.state()[("m.room.member", BOB)] == both.far.state()[("m.room.member", BOB)]
        assert both.tab.current("m.room.member", BOB).membership == "ban"
        assert said.event_id not in both.tab.state().values()
        # Room version 1 takes what only one of several states has without a question.
        assert (said.event_id in both.far.state().values()) is (version == "1")

    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from(["tab", "far", "exchange"]), st.sampled_from(["say", "topic", "name", "member"])),
            max_size=12,
        ),
        st.sampled_from(["1", "5", "11", "12"]),
    )
    def test_on_whatever_happens_at_the_same_time(self, steps: list[tuple[str, str]], version: str) -> None:
        both = TwoServers.open(version, state_default=0, events={})
        sides = {"tab": (both.tab, ALICE), "far": (both.far, BOB)}
        for number, (where, what) in enumerate(steps):
            if where == "exchange":
                both.exchange()
            elif what == "say":
                sides[where][0].say(sides[where][1])
            elif what == "member":
                side, user_id = sides[where]
                profile = {"membership": "join", "displayname": f"{number}"}
                side.send(user_id, "m.room.member", profile, user_id)
            else:
                sides[where][0].send(sides[where][1], f"m.room.{what}", {what: f"{number}"}, "")
        both.exchange()
        both.exchange()
        both.assert_agreed()

    @settings(max_examples=25, deadline=None)
    @given(st.randoms(use_true_random=False), st.sampled_from(["1", "11", "12"]))
    def test_in_whatever_order_events_come(self, random: Random, version: str) -> None:
        both = TwoServers.open(version, state_default=0, events={})
        for number in range(4):
            both.far.say(BOB)
            both.far.send(BOB, "m.room.topic", {"topic": f"{number}"}, "")
            both.tab.send(ALICE, "m.room.topic", {"topic": f"{-number}"}, "")
        known = {stored.event_id for stored in both.tab.timeline()}
        waiting = [stored.event.pdu for stored in both.far.timeline() if stored.event_id not in known]
        while waiting:
            random.shuffle(waiting)
            waiting = [pdu for pdu in waiting if isinstance(both.tab.receive(pdu), MissingEvents)]
        both.exchange()
        both.assert_agreed()


class TestFormat:
    @pytest.mark.parametrize("pdu", [None, 1, "event", [], {}, {"type": "m.room.message"}])
    def test_what_is_no_event_is_dropped(self, tab: Side, pdu: object) -> None:
        assert isinstance(tab.receive(pdu), Dropped)
        assert isinstance(tab.receive_outlier(pdu), Dropped)

    def test_an_event_of_another_room_is_dropped(self, far: Side) -> None:
        other = TwoServers.open()
        verdict = far.receive(other.tab.craft(ALICE, after=[other.tab.tip()]))

        assert verdict == Dropped(reason="room_id: not of this room.")

    @pytest.mark.parametrize("field", ["prev_events", "auth_events"])
    def test_an_event_that_refers_to_itself_is_dropped(self, field: str) -> None:
        both = TwoServers.open("1")
        fields = {"event_id": "$self:tab.test", field: [["$self:tab.test", {"sha256": ""}]]}
        verdict = both.far.receive(both.tab.craft(ALICE, after=[both.tab.tip()], replacing=fields))

        assert isinstance(verdict, Dropped)
        assert "itself" in verdict.reason

    def test_events_that_refer_to_each_other_never_come_in(self) -> None:
        both = TwoServers.open("1")
        ids = ["$hen:tab.test", "$egg:tab.test"]
        for own, other in (ids, ids[::-1]):
            fields = {"event_id": own, "prev_events": [[other, {"sha256": ""}]]}
            verdict = both.far.receive(both.tab.craft(ALICE, after=[both.tab.tip()], replacing=fields))
            assert isinstance(verdict, MissingEvents)
            assert verdict.event_ids == {other}


class TestSignatures:
    def test_an_event_that_its_server_did_not_sign_is_dropped(self, tab: Side, far: Side) -> None:
        pdu = tab.craft(ALICE, after=[tab.tip()])

        assert isinstance(far.receive({**pdu, "signatures": {}}), Dropped)
        forged = sign_event({**pdu, "signatures": {}}, far.room.version, "tab.test", far.server.signing_key)
        assert isinstance(far.receive(forged), Dropped)

    def test_an_event_that_was_changed_where_it_matters_is_dropped(self, tab: Side, far: Side) -> None:
        pdu = tab.craft(ALICE, after=[tab.tip()])
        verdict = far.receive({**pdu, "depth": 1})

        assert isinstance(verdict, Dropped)
        assert verdict.reason.startswith("tab.test: ")

    def test_a_verdict_waits_for_keys(self, both: TwoServers) -> None:
        pdu = both.tab.craft(ALICE, after=[both.tab.tip()])
        key = both.known_keys.pop("tab.test")
        verdict = both.far.receive(pdu)
        assert verdict == MissingKeys(server_name="tab.test", key_ids=("ed25519:1",))  # type: ignore[arg-type]

        both.known_keys["tab.test"] = key
        accepted(both.far.receive(pdu))


class TestContentHash:
    @every_version
    def test_of_an_event_that_was_changed_otherwise_the_redacted_copy_is_used(self, version: str) -> None:
        both = TwoServers.open(version)
        pdu = both.tab.craft(ALICE, content={"body": "yes"}, after=[both.tab.tip()])
        event = accepted(both.far.receive({**pdu, "content": {"body": "no"}}))

        assert event.event_id == both.tab.parse(pdu).event_id
        assert event.pdu == redact_event(pdu, both.far.room.version)
        assert event.content == {}

    def test_a_copy_that_was_cut_is_judged_as_it_is_redacted(self, tab: Side, far: Side) -> None:
        """What the rules read survives a redaction."""
        banned = tab.craft(ALICE, "m.room.member", {"membership": "ban", "reason": "rude"}, BOB, after=[tab.tip()])
        event = accepted(far.receive({**banned, "content": {"membership": "ban", "reason": "kind"}}))

        assert event.content == {"membership": "ban"}
        assert far.current("m.room.member", BOB).membership == "ban"


class TestMissingEvents:
    @every_version
    def test_a_verdict_waits_for_prev_events(self, version: str) -> None:
        both = TwoServers.open(version)
        first, second = both.tab.say(ALICE), both.tab.say(ALICE)
        stored = both.far.stored()
        verdict = both.far.receive(second.pdu)

        assert verdict == MissingEvents(auth_events=frozenset(), prev_events=frozenset({first.event_id}))
        assert both.far.stored() == stored
        accepted(both.far.receive(first.pdu))
        accepted(both.far.receive(second.pdu))

    def test_and_for_auth_events_and_names_both_at_once(self, tab: Side, far: Side) -> None:
        joined = tab.set_member("@carol:tab.test", "@carol:tab.test", "join")
        said = tab.say("@carol:tab.test")
        again = tab.say("@carol:tab.test")
        verdict = far.receive(again.pdu)
        assert isinstance(verdict, MissingEvents)
        assert (verdict.auth_events, verdict.prev_events) == ({joined.event_id}, {said.event_id})

        for event in (joined, said, again):
            accepted(far.receive(event.pdu))

    def test_an_outlier_is_no_prev_event(self, tab: Side, far: Side) -> None:
        named = tab.send(ALICE, "m.room.name", {"name": "…"}, "")
        said = tab.say(ALICE)
        accepted(far.receive_outlier(named.pdu))
        verdict = far.receive(said.pdu)

        assert isinstance(verdict, MissingEvents)
        assert verdict.prev_events == {named.event_id}

    def test_a_room_begins_with_its_create_event(self, tab: Side) -> None:
        late = Side.open("late.test", tab.known_keys)
        late.room_nid = insert_room(late.db, tab.room.room_id, tab.room.version).room_nid
        verdict = late.receive(tab.say(ALICE).pdu)

        assert isinstance(verdict, MissingEvents)
        assert EventID("$" + tab.room.room_id[1:]) in verdict.auth_events

    def test_a_prev_event_of_another_room_is_none(self, both: TwoServers) -> None:
        elsewhere = TwoServers.open()
        pdu = both.tab.craft(ALICE, after=[elsewhere.tab.tip()], auth_events=[])
        other = insert_room(both.far.db, elsewhere.tab.room.room_id, elsewhere.tab.room.version)
        both.far.room_nid, own = other.room_nid, both.far.room_nid
        for stored in elsewhere.tab.timeline():
            both.far.receive(stored.event.pdu)
        both.far.room_nid = own

        assert both.far.receive(pdu) == Dropped(reason="a prev event is of another room")


class TestRules:
    def test_an_event_that_its_auth_events_do_not_allow_is_rejected(self, tab: Side, far: Side) -> None:
        pdu = tab.craft(ALICE, after=[tab.tip()], auth_events=[])
        verdict = far.receive(pdu)

        assert isinstance(verdict, Rejected)
        assert verdict.reason == "the sender is not joined to the room"
        assert tab.parse(pdu).event_id not in far.tips()

    @pytest.mark.parametrize("version", ["1", "6", "11"])
    def test_an_event_that_names_no_create_event_is_rejected(self, version: str) -> None:
        both = TwoServers.open(version)
        alice = both.tab.current("m.room.member", ALICE)
        verdict = both.far.receive(both.tab.craft(ALICE, after=[both.tab.tip()], auth_events=[alice]))

        assert isinstance(verdict, Rejected)
        assert verdict.reason == "there is no create event among the auth events"

    @pytest.mark.parametrize("version", ["1", "6", "11"])
    def test_in_a_room_without_a_create_event_everything_is_rejected(self, version: str) -> None:
        both = TwoServers.open(version)
        late = Side.open("late.test", both.known_keys)
        late.room_nid = insert_room(late.db, both.tab.room.room_id, both.tab.room.version).room_nid
        verdict = late.receive(both.tab.craft(ALICE, after=[], auth_events=[]))

        assert isinstance(verdict, Rejected)
        assert late.state() == {}

    def test_an_event_by_a_rejected_auth_event_is_rejected(self, tab: Side, far: Side) -> None:
        eve = "@eve:tab.test"
        tip = tab.tip()
        claim = tab.craft(eve, "m.room.member", {"membership": "join"}, eve, after=[tip], auth_events=[])
        assert isinstance(far.receive(claim), Rejected)
        said = tab.craft(eve, after=[tip], auth_events=[tab.parse(claim), tab.current("m.room.power_levels")])
        verdict = far.receive(said)

        assert isinstance(verdict, Rejected)
        assert verdict.reason == "the auth event m.room.member @eve:tab.test was rejected"

    @every_version
    def test_who_is_banned_in_the_state_before_is_rejected_whatever_auth_events_say(self, version: str) -> None:
        both = TwoServers.open(version)
        before = both.far.tip()
        both.tab.set_member(ALICE, BOB, "ban")
        both.exchange()
        auth_events = [
            both.far.state_after(before)[key]
            for key in [("m.room.create", ""), ("m.room.power_levels", ""), ("m.room.member", BOB)]
            if not (both.far.room.version.room_id_is_create_hash and key[0] == "m.room.create")
        ]
        verdict = both.tab.receive(both.far.craft(BOB, after=[both.far.tip()], auth_events=auth_events))

        assert isinstance(verdict, Rejected)
        assert verdict.reason == "the sender is not joined to the room"

    @every_version
    def test_who_is_banned_by_now_is_soft_failed(self, version: str) -> None:
        both = TwoServers.open(version)
        before = both.far.tip()
        ban = both.tab.set_member(ALICE, BOB, "ban")
        late = both.far.craft(BOB, after=[before])
        verdict = both.tab.receive(late)

        assert isinstance(verdict, SoftFailed)
        assert verdict.reason == "the sender is not joined to the room"
        assert both.tab.tips() == {ban.event_id}

    def test_what_follows_a_soft_failed_event_may_be_accepted(self, both: TwoServers) -> None:
        before = both.far.tip()
        both.tab.set_member(ALICE, BOB, "ban")
        late = both.far.parse(both.far.craft(BOB, after=[before]))
        both.tab.receive(late.pdu)
        after = both.tab.craft(
            ALICE,
            after=[late, both.tab.tip()],
            auth_events=[both.tab.current("m.room.power_levels"), both.tab.current("m.room.member", ALICE)],
        )

        assert accepted(both.tab.receive(after)).event_id in both.tab.tips()

    def test_an_event_after_a_rejected_one_sees_the_state_before_that(self, tab: Side, far: Side) -> None:
        rejected = tab.craft(ALICE, "m.room.name", {"name": "no"}, "", after=[tab.tip()], auth_events=[])
        assert isinstance(far.receive(rejected), Rejected)
        levels, alice = tab.current("m.room.power_levels"), tab.current("m.room.member", ALICE)
        said = tab.craft(ALICE, after=[tab.parse(rejected)], auth_events=[levels, alice])

        accepted(far.receive(said))
        assert ("m.room.name", "") not in far.state()

    @pytest.mark.parametrize("version", ["1", "6", "11"])
    def test_a_room_that_has_begun_does_not_begin_again(self, version: str) -> None:
        both = TwoServers.open(version)
        content = {"creator": ALICE, "room_version": version}
        verdict = both.far.receive(both.tab.craft(ALICE, "m.room.create", content, "", after=[]))

        assert isinstance(verdict, SoftFailed)
        assert both.far.state() == both.tab.state()


class TestWhatCameBefore:
    def test_gets_the_verdict_that_it_got_and_is_stored_once(self, both: TwoServers) -> None:
        tab, far = both.tab, both.far
        before = far.tip()
        tab.set_member(ALICE, BOB, "ban")
        soft_failed = far.craft(BOB, after=[before])
        rejected = far.craft(BOB, after=[before], auth_events=[])
        fine = tab.say(ALICE).pdu
        first = [type(tab.receive(pdu)) for pdu in (soft_failed, rejected, fine)]
        stored = tab.stored()

        assert first == [SoftFailed, Rejected, Accepted]
        assert [type(tab.receive(pdu)) for pdu in (soft_failed, rejected, fine)] == first
        assert tab.stored() == stored

    def test_is_known_by_its_id_without_its_keys(self, both: TwoServers) -> None:
        said = both.tab.say(ALICE)
        accepted(both.far.receive(said.pdu))
        both.known_keys.clear()

        accepted(both.far.receive(said.pdu))

    @pytest.mark.parametrize("version", ["1", "2"])
    def test_another_event_under_a_known_id_is_the_one_that_is_known(self, version: str) -> None:
        both = TwoServers.open(version)
        before = both.tab.tip()
        said = both.tab.say(ALICE, "first")
        accepted(both.far.receive(said.pdu))
        fields = {"event_id": said.event_id}
        other = both.tab.craft(ALICE, content={"body": "second"}, after=[before], replacing=fields)

        assert accepted(both.far.receive(other)).content == {"body": "first"}


class TestOutliers:
    def test_an_outlier_has_no_place_until_it_comes_with_its_prev_events(self, tab: Side, far: Side) -> None:
        named = tab.send(ALICE, "m.room.name", {"name": "…"}, "")
        outlier = accepted(far.receive_outlier(named.pdu))
        assert ("m.room.name", "") not in far.state()
        assert far.tips() != {outlier.event_id}

        accepted(far.receive(named.pdu))
        assert far.state()[("m.room.name", "")] == outlier.event_id
        assert far.tips() == {outlier.event_id}

    def test_an_outlier_is_judged_by_its_auth_events(self, tab: Side, far: Side) -> None:
        pdu = tab.craft("@eve:tab.test", "m.room.name", {"name": "…"}, "", after=[tab.tip()])
        verdict = far.receive_outlier(pdu)
        assert isinstance(verdict, Rejected)
        assert isinstance(far.receive_outlier(pdu), Rejected)
        assert isinstance(far.receive(pdu), Rejected)

    def test_an_outlier_waits_for_its_auth_events(self, tab: Side, far: Side) -> None:
        joined = tab.set_member("@carol:tab.test", "@carol:tab.test", "join")
        left = tab.set_member("@carol:tab.test", "@carol:tab.test", "leave")
        verdict = far.receive_outlier(left.pdu)
        assert isinstance(verdict, MissingEvents)
        assert verdict.auth_events == {joined.event_id}

    @every_version
    def test_a_server_may_begin_with_a_state_that_it_is_told(self, version: str) -> None:
        """As when it joins: the state and its auth chain come as outliers, then the event with the state before it."""
        both = TwoServers.open(version)
        tab = both.tab
        before = [stored.event for stored in tab.timeline() if stored.event.is_state]
        state = tab.state()
        said = tab.say(ALICE)
        late = Side.open("late.test", both.known_keys)
        late.room_nid = insert_room(late.db, tab.room.room_id, tab.room.version).room_nid
        for event in before:
            accepted(late.receive_outlier(event.pdu))
        told = {key: find_event(late.db, event_id) for key, event_id in state.items()}
        nids: dict[Any, int | None] = {key: stored.event_nid for key, stored in told.items() if stored is not None}
        snapshot = add_snapshot(late.db, late.room_nid, EMPTY, nids)
        accepted(late.receive(said.pdu, state_before=snapshot))

        assert late.state() == tab.state()
        assert late.tips() == tab.tips()
        accepted(late.receive(tab.say(ALICE).pdu))

    @pytest.mark.parametrize("version", ["8", "11", "12"])
    def test_a_restricted_join_needs_the_signature_of_the_server_that_vouches(self, version: str) -> None:
        both = TwoServers.open(version)
        rule = {"join_rule": "restricted", "allow": []}
        both.tab.send(ALICE, "m.room.join_rules", rule, "")
        both.exchange()
        dave = "@dave:far.test"
        join: Json = {"membership": "join", "join_authorised_via_users_server": ALICE}
        pdu = both.far.craft(dave, "m.room.member", join, dave, after=[both.far.tip()])

        verdict = both.tab.receive(pdu)
        assert isinstance(verdict, Dropped)
        assert verdict.reason.startswith("tab.test: ")
        vouched = sign_event(pdu, both.tab.room.version, "tab.test", both.tab.server.signing_key)
        accepted(both.tab.receive(vouched))
        assert both.tab.current("m.room.member", dave).membership == "join"


def test_standings_are_stored(both: TwoServers) -> None:
    rejected = both.tab.craft(ALICE, after=[both.tab.tip()], auth_events=[])
    both.far.receive(rejected)

    stored = find_event(both.far.db, both.tab.parse(rejected).event_id)
    assert stored is not None
    assert stored.standing is Standing.REJECTED
