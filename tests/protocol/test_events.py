"""Events: built, hashed, parsed; and what is wrong with those that are not taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from room_story import VERSIONS, since, until

from tabstead.errors import BadJson, TooLarge
from tabstead.protocol.canonical_json import encode_canonical_json
from tabstead.protocol.events import (
    build_event,
    content_hash,
    event_id_of,
    load_event,
    parse_event,
    redact_event,
    reference_hash,
    room_id_of_create,
    to_client_event,
    to_stripped_state,
)
from tabstead.protocol.room_versions import EventIDFormat, get_room_version

every_version = pytest.mark.parametrize("version", VERSIONS)


def room_id(version):
    return "!room" if version in since("12") else "!room:example.org"


def built(version, **changes):
    """A PDU of a message, as sent by alice, without a signature."""
    room_version = get_room_version(version)
    pdu = build_event(
        room_version=room_version,
        **{
            "room_id": room_id(version),
            "event_type": "m.room.message",
            "sender": "@alice:example.org",
            "content": {"body": "hello"},
            "prev_events": ["$prev:example.org"],
            "auth_events": ["$auth:example.org"],
            "depth": 7,
            "origin_server_ts": 1234,
            "event_id": "$event:example.org" if room_version.references_have_hashes else None,
            "reference_hashes": {"$prev:example.org": b"p" * 32, "$auth:example.org": b"a" * 32},
            **changes,
        },
    )
    return {**pdu, "hashes": {"sha256": content_hash(pdu)}, "signatures": {}}


def without(pdu, field):
    return {key: value for key, value in pdu.items() if key != field}


class TestBuild:
    @every_version
    def test_what_is_built_is_parsed(self, version):
        room_version = get_room_version(version)
        pdu = built(version, state_key="")
        event = parse_event(pdu, room_version)
        assert event.event_id == event_id_of(pdu, room_version)
        assert (event.room_id, event.type, event.sender) == (room_id(version), "m.room.message", "@alice:example.org")
        assert (event.state_key, event.is_state, event.state_tuple) == ("", True, ("m.room.message", ""))
        assert (event.prev_events, event.auth_events) == (("$prev:example.org",), ("$auth:example.org",))
        assert (event.depth, event.origin_server_ts, event.redacts) == (7, 1234, None)
        assert event.content == {"body": "hello"}
        assert event.pdu == pdu

    @every_version
    def test_a_message_has_no_state_key(self, version):
        assert not parse_event(built(version), get_room_version(version)).is_state

    @pytest.mark.parametrize("version", until("2"))
    def test_old_references_have_hashes(self, version):
        pdu = built(version)
        assert pdu["prev_events"] == [["$prev:example.org", {"sha256": "cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHA"}]]
        assert pdu["event_id"] == "$event:example.org"

    @pytest.mark.parametrize("version", since("3"))
    def test_new_references_are_event_ids(self, version):
        pdu = built(version)
        assert pdu["auth_events"] == ["$auth:example.org"]
        assert "event_id" not in pdu

    @every_version
    def test_depth_ends_at_the_versions_limit(self, version):
        assert built(version, depth=2**70)["depth"] == (2**63 - 1 if version in until("5") else 2**53 - 1)

    @every_version
    def test_a_redaction_says_what_it_redacts_where_the_version_has_it(self, version):
        pdu = built(version, event_type="m.room.redaction", redacts="$bad", content={"reason": "x"})
        in_content = version in since("11")
        assert ("redacts" in pdu["content"], "redacts" in pdu) == (in_content, not in_content)
        assert parse_event(pdu, get_room_version(version)).redacts == "$bad"

    @every_version
    @pytest.mark.parametrize("redacts", [None, 7, ["$bad"]])
    def test_a_redaction_of_nothing_redacts_nothing(self, version, redacts):
        pdu = built(version, event_type="m.room.redaction")
        broken = {**pdu, "redacts": redacts, "content": {"redacts": redacts}}
        assert parse_event(broken, get_room_version(version)).redacts is None

    @every_version
    def test_other_events_redact_nothing(self, version):
        pdu = built(version)
        assert (
            parse_event({**pdu, "redacts": "$x", "content": {"redacts": "$x"}}, get_room_version(version)).redacts
            is None
        )

    @every_version
    def test_a_create_event_begins_its_room(self, version):
        room_version = get_room_version(version)
        own_id = version in since("12")
        pdu = built(version, event_type="m.room.create", room_id=None if own_id else "!room:example.org", state_key="")
        event = parse_event(pdu, room_version)
        assert ("room_id" in pdu) is not own_id
        assert event.room_id == (room_id_of_create(pdu, room_version) if own_id else "!room:example.org")
        assert not own_id or event.room_id[1:] == event.event_id[1:]


class TestHashes:
    @every_version
    def test_the_content_hash_covers_everything_but_what_is_added_later(self, version):
        pdu = built(version)
        assert content_hash({**pdu, "unsigned": {"age": 1}, "signatures": {"x": {}}, "hashes": {}}) == content_hash(pdu)
        assert content_hash({**pdu, "content": {}}) != content_hash(pdu)
        assert content_hash({**pdu, "anything": 1}) != content_hash(pdu)

    @every_version
    def test_the_reference_hash_survives_redaction(self, version):
        room_version = get_room_version(version)
        pdu = built(version)
        redacted = redact_event(pdu, room_version)
        assert redacted["content"] == {}
        assert reference_hash(redacted, room_version) == reference_hash(pdu, room_version)
        signed = {**pdu, "signatures": {"x": {"ed25519:1": "y"}}, "unsigned": {"age": 1}}
        assert reference_hash(signed, room_version) == reference_hash(pdu, room_version)
        assert reference_hash({**pdu, "depth": 8}, room_version) != reference_hash(pdu, room_version)

    @every_version
    def test_event_ids(self, version):
        room_version = get_room_version(version)
        event_id = event_id_of(built(version, content={"body": "?" * 3}, origin_server_ts=6), room_version)
        if room_version.event_id_format is EventIDFormat.IN_EVENT:
            assert event_id == "$event:example.org"
        else:
            assert len(event_id) == 44

    def test_only_version_3_has_slashes_and_pluses_in_event_ids(self):
        ids = {
            version: "".join(event_id_of(built(version, depth=depth), get_room_version(version)) for depth in range(40))
            for version in since("3")
        }
        assert {version for version, text in ids.items() if "/" in text or "+" in text} == {"3"}
        assert {version for version, text in ids.items() if "-" in text or "_" in text} == set(since("4"))

    @given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))))
    def test_nothing_that_redaction_takes_changes_the_id(self, content):
        room_version = get_room_version("12")
        pdu = built("12")
        assert event_id_of({**pdu, "content": content}, room_version) == event_id_of(pdu, room_version)


class TestFormat:
    """Step 1 of the checks on receipt: an event of the wrong form is dropped, and the error names the field."""

    def refused(self, pdu, version, error=BadJson):
        with pytest.raises(error) as caught:
            parse_event(pdu, get_room_version(version))
        return str(caught.value)

    @every_version
    @pytest.mark.parametrize(
        "field",
        [
            "type",
            "sender",
            "content",
            "depth",
            "origin_server_ts",
            "prev_events",
            "auth_events",
            "hashes",
            "signatures",
        ],
    )
    def test_fields_that_must_be_there(self, version, field):
        assert self.refused(without(built(version), field), version) == f"{field}: missing."

    @every_version
    def test_the_room_id_must_be_there(self, version):
        assert self.refused(without(built(version), "room_id"), version) == "room_id: missing."
        create = without(built(version, event_type="m.room.create"), "room_id")
        if version in until("11"):
            assert self.refused(create, version) == "room_id: missing."

    @pytest.mark.parametrize("version", until("2"))
    @pytest.mark.parametrize("event_id", [None, 7, "event", "$", ""])
    def test_the_event_id_must_be_there_in_versions_1_and_2(self, version, event_id):
        assert self.refused({**built(version), "event_id": event_id}, version) == "event_id: not an event ID."

    @every_version
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("type", 1),
            ("sender", None),
            ("room_id", []),
            ("state_key", None),
            ("state_key", 0),
            ("content", []),
            ("content", None),
            ("depth", "7"),
            ("depth", True),
            ("origin_server_ts", False),
            ("origin_server_ts", None),
            ("prev_events", {}),
            ("auth_events", "$auth"),
            ("hashes", []),
            ("signatures", None),
            ("unsigned", []),
        ],
    )
    def test_fields_of_the_wrong_type(self, version, field, value):
        assert self.refused({**built(version), field: value}, version).startswith(f"{field}: not a")

    @every_version
    @pytest.mark.parametrize("sender", ["alice", "@alice", "@alice:", "@a:b:c:d", "@alice:exa mple"])
    def test_a_sender_is_a_user(self, version, sender):
        assert self.refused({**built(version), "sender": sender}, version) == "sender: not a user ID."

    @every_version
    def test_a_sender_of_the_old_kind_is_a_user(self, version):
        parse_event({**built(version), "sender": "@Älice B:example.org"}, get_room_version(version))

    @every_version
    @pytest.mark.parametrize("wrong", ["room", "!", "#room:example.org"])
    def test_a_room_id_is_one(self, version, wrong):
        assert self.refused({**built(version), "room_id": wrong}, version) == "room_id: not a room ID."

    @every_version
    def test_a_room_id_has_the_form_of_its_version(self, version):
        other = "!room:example.org" if version in since("12") else "!room"
        assert (
            self.refused({**built(version), "room_id": other}, version) == "room_id: not of this room version's form."
        )

    @every_version
    def test_depth_has_a_limit_by_version(self, version):
        room_version = get_room_version(version)
        parse_event({**built(version), "depth": room_version.max_depth}, room_version)
        parse_event({**built(version), "depth": 0}, room_version)
        assert self.refused({**built(version), "depth": -1}, version).startswith("depth: not within 0")
        beyond = {**built(version), "depth": room_version.max_depth + 1}
        assert ("depth" in self.refused(beyond, version)) or version in since("6")

    @every_version
    @pytest.mark.parametrize(("field", "limit"), [("prev_events", 20), ("auth_events", 10)])
    def test_references_are_few(self, version, field, limit):
        pdu = built(version)
        parse_event({**pdu, field: pdu[field] * limit}, get_room_version(version))
        assert self.refused({**pdu, field: pdu[field] * (limit + 1)}, version) == f"{field}: more than {limit}."

    @every_version
    @pytest.mark.parametrize("field", ["prev_events", "auth_events"])
    @pytest.mark.parametrize(
        "wrong", [None, 7, "prev", {}, [], ["$x:y"], ["$x:y", []], [7, {}], ["x", {}], ["$x:y", {}, {}]]
    )
    def test_references_have_the_form_of_their_version(self, version, field, wrong):
        assert self.refused({**built(version), field: [wrong]}, version).startswith(f"{field}: not all are")

    @every_version
    def test_references_of_the_other_form(self, version):
        other = ["$x:y"] if version in until("2") else [["$x:y", {"sha256": "…"}]]
        assert self.refused({**built(version), "prev_events": other}, version).startswith("prev_events: not all are")

    @every_version
    @pytest.mark.parametrize("by_key", [None, [], "x", {"ed25519:1": None}])
    def test_signatures_are_strings_by_server_and_key(self, version, by_key):
        pdu = {**built(version), "signatures": {"example.org": by_key}}
        assert self.refused(pdu, version) == "signatures: not an object of strings for 'example.org'."

    @every_version
    def test_an_event_has_65536_bytes_at_most(self, version):
        pdu = built(version, content={"body": ""})
        room = 65_536 - len(encode_canonical_json(pdu))
        parse_event({**pdu, "content": {"body": "x" * room}}, get_room_version(version))
        too_large = {**pdu, "content": {"body": "x" * (room + 1)}}
        assert self.refused(too_large, version, TooLarge) == "The event is larger than 65536 bytes."

    @every_version
    @pytest.mark.parametrize("field", ["type", "state_key"])
    def test_a_field_has_255_bytes_at_most(self, version, field):
        parse_event({**built(version), field: "é" * 127 + "x"}, get_room_version(version))
        too_long = {**built(version), field: "é" * 128}
        assert self.refused(too_long, version, TooLarge) == f"{field}: longer than 255 bytes."

    @every_version
    @pytest.mark.parametrize("field", ["sender", "room_id"])
    def test_an_identifier_has_255_bytes_at_most(self, version, field):
        sigil = {"sender": "@", "room_id": "!"}[field]
        too_long = {**built(version), field: f"{sigil}{'x' * 250}:example.org"}
        assert self.refused(too_long, version, TooLarge) == f"{field}: longer than 255 bytes."

    @every_version
    @pytest.mark.parametrize("value", [2**53, -(2**53), 1.5])
    def test_numbers_are_safe_integers_since_version_6(self, version, value):
        pdu = {**built(version), "content": {"n": [value]}}
        if version in since("6"):
            self.refused(pdu, version)
        else:
            parse_event(pdu, get_room_version(version))

    @every_version
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
    def test_what_is_not_json_is_no_event_in_any_version(self, version, value):
        self.refused({**built(version), "content": {"n": value}}, version)

    @every_version
    def test_a_deep_event_is_refused(self, version):
        deep = None
        for _ in range(10_000):
            deep = [deep]
        assert "deeper" in self.refused({**built(version), "content": {"n": deep}}, version)


class TestUnsigned:
    @every_version
    def test_unsigned_is_kept_apart(self, version):
        pdu = built(version)
        event = parse_event({**pdu, "unsigned": {"age": 3}}, get_room_version(version))
        assert event.pdu == pdu
        assert event.unsigned == {"age": 3}

    @every_version
    def test_storage_gives_the_same_event(self, version):
        room_version = get_room_version(version)
        event = parse_event(built(version), room_version)
        assert load_event(event.pdu, event_id=event.event_id, room_version=room_version) == event
        loaded = load_event(event.pdu, event_id=event.event_id, room_version=room_version, unsigned={"age": 3})
        assert loaded.unsigned == {"age": 3}


class TestRedaction:
    everything = {  # noqa: RUF012
        "m.room.member": {
            "membership": "join",
            "join_authorised_via_users_server": "@a:b",
            "third_party_invite": {"signed": {"token": "t"}, "display_name": "d"},
            "reason": "r",
        },
        "m.room.create": {"creator": "@a:b", "room_version": "1", "additional_creators": []},
        "m.room.join_rules": {"join_rule": "invite", "allow": [], "x": 1},
        "m.room.power_levels": dict.fromkeys(
            [
                "ban",
                "events",
                "events_default",
                "invite",
                "kick",
                "notifications",
                "redact",
                "state_default",
                "users",
                "users_default",
            ],
            1,
        ),
        "m.room.aliases": {"aliases": [], "x": 1},
        "m.room.history_visibility": {"history_visibility": "shared", "x": 1},
        "m.room.redaction": {"redacts": "$x", "reason": "r"},
        "m.room.message": {"body": "x"},
    }

    def kept(self, version, event_type):
        pdu = {"type": event_type, "content": self.everything[event_type]}
        return redact_event(pdu, get_room_version(version))["content"]

    @every_version
    def test_top_level(self, version):
        old = {"prev_state", "origin", "membership"}
        always = {
            "event_id",
            "type",
            "room_id",
            "sender",
            "state_key",
            "hashes",
            "signatures",
            "depth",
            "prev_events",
            "auth_events",
            "origin_server_ts",
        }
        pdu = dict.fromkeys([*always, *old, "unsigned", "redacts", "anything"], "x") | {"content": {"a": 1}}
        expected = always | {"content"} | (old if version in until("10") else set())
        assert redact_event(pdu, get_room_version(version)).keys() == expected

    @every_version
    def test_members_keep_what_authorises_them(self, version):
        expected = {"membership": "join"}
        if version in since("9"):
            expected["join_authorised_via_users_server"] = "@a:b"
        if version in since("11"):
            expected["third_party_invite"] = {"signed": {"token": "t"}}
        assert self.kept(version, "m.room.member") == expected

    @pytest.mark.parametrize("version", since("11"))
    @pytest.mark.parametrize("broken", [{}, {"display_name": "d"}])
    def test_of_a_third_party_invite_without_a_signed_part_an_empty_one_is_left(self, version, broken):
        pdu = {"type": "m.room.member", "content": {"third_party_invite": broken}}
        assert redact_event(pdu, get_room_version(version))["content"] == {"third_party_invite": {}}

    @pytest.mark.parametrize("version", since("11"))
    @pytest.mark.parametrize("broken", [None, [], "signed", 1])
    def test_a_third_party_invite_that_is_no_object_goes(self, version, broken):
        pdu = {"type": "m.room.member", "content": {"third_party_invite": broken}}
        assert redact_event(pdu, get_room_version(version))["content"] == {}

    @every_version
    def test_create_events(self, version):
        everything = self.everything["m.room.create"]
        assert self.kept(version, "m.room.create") == (everything if version in since("11") else {"creator": "@a:b"})

    @every_version
    def test_join_rules(self, version):
        expected = {"join_rule", "allow"} if version in since("8") else {"join_rule"}
        assert self.kept(version, "m.room.join_rules").keys() == expected

    @every_version
    def test_power_levels(self, version):
        gone = {"notifications"} if version in since("11") else {"notifications", "invite"}
        everything = self.everything["m.room.power_levels"]
        assert self.kept(version, "m.room.power_levels").keys() == everything.keys() - gone

    @every_version
    def test_aliases(self, version):
        assert self.kept(version, "m.room.aliases").keys() == ({"aliases"} if version in until("5") else set())

    @every_version
    def test_history_visibility(self, version):
        assert self.kept(version, "m.room.history_visibility") == {"history_visibility": "shared"}

    @every_version
    def test_redactions(self, version):
        assert self.kept(version, "m.room.redaction") == ({"redacts": "$x"} if version in since("11") else {})

    @every_version
    def test_messages_keep_nothing(self, version):
        assert self.kept(version, "m.room.message") == {}

    @every_version
    @pytest.mark.parametrize("pdu", [{}, {"type": 7, "content": {"a": 1}}, {"type": "m.room.member", "content": []}])
    def test_nothing_is_too_broken_to_redact(self, version, pdu):
        assert redact_event(pdu, get_room_version(version))["content"] == {}


class TestForClients:
    @every_version
    def test_a_message(self, version):
        event = parse_event({**built(version), "unsigned": {"age": 3}}, get_room_version(version))
        expected = {
            "type": "m.room.message",
            "event_id": event.event_id,
            "room_id": room_id(version),
            "sender": "@alice:example.org",
            "origin_server_ts": 1234,
            "content": {"body": "hello"},
        }
        assert to_client_event(event) == expected
        assert to_client_event(event, with_room_id=False) == without(expected, "room_id")
        assert to_client_event(event, unsigned={"age": 1}) == {**expected, "unsigned": {"age": 1}}

    @every_version
    def test_state(self, version):
        event = parse_event(built(version, state_key="key"), get_room_version(version))
        assert to_client_event(event)["state_key"] == "key"
        assert to_stripped_state(event) == {
            "type": "m.room.message",
            "state_key": "key",
            "sender": "@alice:example.org",
            "content": {"body": "hello"},
        }

    @every_version
    def test_a_redaction_is_told_in_both_ways(self, version):
        pdu = built(version, event_type="m.room.redaction", redacts="$bad", content={"reason": "x"})
        client_event = to_client_event(parse_event(pdu, get_room_version(version)))
        assert client_event["redacts"] == "$bad"
        assert client_event["content"] == {"reason": "x", "redacts": "$bad"}
        assert "redacts" not in pdu or "redacts" not in pdu["content"]
