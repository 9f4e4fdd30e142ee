"""Signatures: the specification's vectors; who must have signed an event, and with which keys."""

import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from room_story import VERSIONS, since, until
from specification import vectors
from unpaddedbase64 import decode_base64

from tabstead.errors import BadJson
from tabstead.protocol.events import redact_event
from tabstead.protocol.room_versions import get_room_version
from tabstead.protocol.signatures import (
    MAX_KEY_VALIDITY_MS,
    BadSignature,
    MissingKeys,
    SigningKey,
    believed_until,
    check_content_hash,
    check_event_signatures,
    decode_verify_key,
    has_signature_by_any,
    sign_event,
    sign_json,
    verify_signed_json,
)

every_version = pytest.mark.parametrize("version", VERSIONS)

KEY = SigningKey(key_id="ed25519:1", seed=bytes(range(32)))
SECOND_KEY = SigningKey(key_id="ed25519:2", seed=b"2" * 32)
FAR_KEY = SigningKey(key_id="ed25519:far", seed=b"f" * 32)


@pytest.mark.parametrize("case", vectors("signing.json"))
def test_the_specifications_examples(case):
    key = SigningKey(key_id=case["key_id"], seed=decode_base64(case["seed"]))
    for pair in case["pairs"]:
        if "type" in pair["input"]:
            signed = sign_event(pair["input"], get_room_version("1"), case["server_name"], key)
        else:
            signed = sign_json(pair["input"], case["server_name"], key)
        assert signed == pair["signed"]


class TestJson:
    def test_a_signature_joins_those_that_are_there(self):
        value = sign_json({"a": 1, "unsigned": {"b": 2}}, "example.org", KEY)
        twice = sign_json(sign_json(value, "example.org", SECOND_KEY), "far.example", FAR_KEY)
        assert {name: set(by_key) for name, by_key in twice["signatures"].items()} == {
            "example.org": {"ed25519:1", "ed25519:2"},
            "far.example": {"ed25519:far"},
        }
        assert twice["unsigned"] == {"b": 2}
        assert set(value["signatures"]["example.org"]) == {"ed25519:1"}
        for server_name, key in (("example.org", KEY), ("example.org", SECOND_KEY), ("far.example", FAR_KEY)):
            assert verify_signed_json(twice, server_name, key.verify_key)

    @given(
        st.dictionaries(
            st.text(st.characters(codec="utf-8")).filter(lambda key: key != "signatures"), st.integers(0, 9)
        )
    )
    def test_what_is_signed_verifies_and_nothing_else(self, value):
        signed = sign_json(value, "example.org", KEY)
        assert verify_signed_json(signed, "example.org", KEY.verify_key)
        assert not verify_signed_json({**signed, "more": "x"}, "example.org", KEY.verify_key)
        assert not verify_signed_json(signed, "far.example", KEY.verify_key)
        assert not verify_signed_json(signed, "example.org", SECOND_KEY.verify_key)

    @pytest.mark.parametrize(
        "signatures", [None, [], {}, {"x": None}, {"x": {"ed25519:1": "…"}}, {"x": {"ed25519:1": 7}}]
    )
    def test_broken_signatures_are_none(self, signatures):
        assert not verify_signed_json({"a": 1, "signatures": signatures}, "x", KEY.verify_key)
        assert not has_signature_by_any({"a": 1, "signatures": signatures}, [KEY.verify_key.encode()])

    def test_a_signature_by_any_of_some_keys(self):
        signed = sign_json({"a": 1}, "anyone", KEY)
        listed = ["not base64!", "AAAA", SECOND_KEY.verify_key.encode(), KEY.verify_key.encode()]
        assert has_signature_by_any(signed, listed)
        assert not has_signature_by_any(signed, listed[:3])
        assert not has_signature_by_any({"a": 1}, listed)


class TestKeys:
    def test_a_key_is_published_in_base64(self):
        encoded = KEY.verify_key.encode()
        assert decode_verify_key("ed25519:1", encoded) == KEY.verify_key
        assert len(encoded) == 43

    @pytest.mark.parametrize(
        ("key_id", "key"), [("ed25519:1", "AAAA"), ("ed25519:1", "é"), ("curve25519:1", "A" * 43), ("1", "A" * 43)]
    )
    def test_what_is_no_key(self, key_id, key):
        with pytest.raises(BadJson):
            decode_verify_key(key_id, key)

    @pytest.mark.parametrize(("key_id", "seed"), [("1", b"x" * 32), ("ed25519:", b"x" * 32), ("ed25519:1", b"x" * 31)])
    def test_what_is_no_signing_key(self, key_id, seed):
        with pytest.raises(ValueError, match=r"key|seed"):
            SigningKey(key_id=key_id, seed=seed)

    def test_a_private_key_is_not_printed(self):
        assert "seed" not in repr(KEY)

    def test_a_key_is_believed_for_seven_days_at_most(self):
        assert believed_until(5_000, now_ms=1_000) == 5_000
        assert believed_until(10**15, now_ms=1_000) == 1_000 + MAX_KEY_VALIDITY_MS


def message(version, **changes):
    room_version = get_room_version(version)
    pdu = {
        "type": "m.room.message",
        "sender": "@alice:example.org",
        "room_id": "!room:example.org",
        "content": {"body": "hello"},
        "origin_server_ts": 1000,
        **({"event_id": "$event:example.org"} if room_version.event_id_server_signs else {}),
        **changes,
    }
    return sign_event(pdu, room_version, "example.org", KEY)


KEYS = {
    "example.org": {KEY.key_id: KEY.verify_key, SECOND_KEY.key_id: SECOND_KEY.verify_key},
    "far.example": {FAR_KEY.key_id: FAR_KEY.verify_key},
}


def known(server_name, key_ids):
    return {key_id: KEYS[server_name][key_id] for key_id in key_ids if key_id in KEYS[server_name]}


def nothing_known(server_name, key_ids):
    return {}


def check(pdu, version, get_verify_keys=known):
    return check_event_signatures(pdu, get_room_version(version), get_verify_keys)


class TestEvents:
    @every_version
    def test_the_senders_server_signs(self, version):
        pdu = message(version)
        assert check(pdu, version) is None
        assert check({**pdu, "signatures": {}}, version) == BadSignature(
            server_name="example.org", reason="it did not sign the event"
        )

    @every_version
    def test_a_redacted_copy_is_as_good(self, version):
        redacted = redact_event(message(version), get_room_version(version))
        assert check(redacted, version) is None
        assert not check_content_hash(redacted)

    @every_version
    def test_a_changed_event_is_not_what_was_signed(self, version):
        assert check({**message(version), "sender": "@eve:example.org"}, version) == BadSignature(
            server_name="example.org", reason="the signature by ed25519:1 does not hold"
        )

    @every_version
    def test_changed_content_shows_in_the_hash(self, version):
        pdu = message(version)
        assert check_content_hash(pdu)
        changed = {**pdu, "content": {"body": "bye"}}
        assert check(changed, version) is None
        assert not check_content_hash(changed)

    @pytest.mark.parametrize("hashes", [{}, {"sha256": None}, {"sha256": "é"}, {"sha256": "AAAA"}, {"md5": "AAAA"}])
    def test_a_content_hash_that_is_none(self, hashes):
        assert not check_content_hash({**message("12"), "hashes": hashes})

    @every_version
    def test_unknown_keys_are_a_reason_to_ask(self, version):
        missing = MissingKeys(server_name="example.org", key_ids=("ed25519:1",))
        assert check(message(version), version, nothing_known) == missing

    @every_version
    def test_keys_of_other_algorithms_do_not_count(self, version):
        pdu = {**message(version), "signatures": {"example.org": {"rsa:1": "…"}}}
        assert isinstance(check(pdu, version), BadSignature)

    @every_version
    def test_a_signature_by_an_unknown_key_is_skipped(self, version):
        pdu = message(version)
        pdu["signatures"]["example.org"]["ed25519:policy"] = "…"
        assert check(pdu, version) is None

    @every_version
    def test_every_signature_by_a_known_key_must_hold(self, version):
        pdu = message(version)
        pdu["signatures"]["example.org"]["ed25519:2"] = pdu["signatures"]["example.org"]["ed25519:1"]
        assert isinstance(check(pdu, version), BadSignature)

    @every_version
    @pytest.mark.parametrize(("valid_until_ts", "is_valid"), [(999, False), (1000, True), (None, True)])
    def test_a_key_signs_while_it_is_valid_since_version_5(self, version, valid_until_ts, is_valid):
        key = dataclasses.replace(KEY.verify_key, valid_until_ts=valid_until_ts)
        outcome = check(message(version), version, lambda server_name, key_ids: {key.key_id: key})
        assert (outcome is None) is (is_valid or version in until("4"))

    @every_version
    def test_the_server_of_the_event_id_signs_up_to_version_2(self, version):
        pdu = message(version, event_id="$event:far.example")
        assert (check(pdu, version) is None) is (version in since("3"))
        assert check(sign_event(pdu, get_room_version(version), "far.example", FAR_KEY), version) is None

    @every_version
    def test_the_server_that_vouches_for_a_join_signs_since_version_8(self, version):
        content = {"membership": "join", "join_authorised_via_users_server": "@bob:far.example"}
        pdu = message(version, type="m.room.member", content=content)
        assert (check(pdu, version) is None) is (version in until("7"))
        assert check(sign_event(pdu, get_room_version(version), "far.example", FAR_KEY), version) is None
        assert check(message(version, content=content), version) is None

    @every_version
    @pytest.mark.parametrize("authoriser", [7, None, "bob", []])
    def test_nobody_vouches_who_is_no_user(self, version, authoriser):
        content = {"membership": "join", "join_authorised_via_users_server": authoriser}
        assert check(message(version, type="m.room.member", content=content), version) is None

    @every_version
    def test_a_third_party_invite_is_sent_by_another_server_than_the_senders(self, version):
        content = {"membership": "invite", "third_party_invite": {"signed": {}}}
        carols = {"type": "m.room.member", "sender": "@carol:far.example"}
        assert check(message(version, **carols, content=content), version) is None
        for other in ({**content, "membership": "join"}, {"membership": "invite"}):
            assert isinstance(check(message(version, **carols, content=other), version), BadSignature)

    @every_version
    def test_signing_again_keeps_the_first_signature(self, version):
        twice = sign_event(message(version), get_room_version(version), "far.example", FAR_KEY)
        assert check(twice, version) is None
        assert set(twice["signatures"]) == {"example.org", "far.example"}


def test_a_start_that_signs_nothing_loads_no_cryptography():
    code = (
        "import sys, tabstead.protocol.signatures, tabstead.protocol.auth_rules, tabstead.protocol.state_resolution;"
        "sys.exit(bool({'nacl', 'signedjson', '_sodium'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
