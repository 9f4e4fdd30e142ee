"""Comparing signed keys, and who sees which signatures."""

import pytest

from helpers.key_owner import CrossSigning, key_from, sign
from tabstead.encryption.signed_keys import is_same_key, is_signed_by, visible_key
from tabstead.storage.cross_signing import KeySignature

ALICE, BOB, CAROL = "@alice:tab.test", "@bob:tab.test", "@carol:tab.test"
MASTER = CrossSigning.of(ALICE).key_object("master")


def signature(signer: str, text: str = "x") -> KeySignature:
    return KeySignature(user_id=ALICE, key_name="name", signer=signer, signing_key_id="ed25519:K", signature=text)


class TestTheSameKey:
    def test_signatures_and_unsigned_do_not_count(self) -> None:
        assert is_same_key(MASTER, {**MASTER, "signatures": {ALICE: {"ed25519:K": "x"}}, "unsigned": {"age": 1}})

    @pytest.mark.parametrize("change", [{"usage": ["other"]}, {"keys": {}}, {"extra": 1}])
    def test_all_else_does(self, change: dict[str, object]) -> None:
        assert not is_same_key(MASTER, {**MASTER, **change})

    def test_plain_keys_are_compared_as_they_are(self) -> None:
        assert is_same_key("abc", "abc")
        assert not is_same_key("abc", "abd")
        assert not is_same_key("abc", {"key": "abc"})


class TestWhoSeesASignature:
    def seen_by(self, viewer: str | None) -> set[str]:
        uploaded = {**MASTER, "signatures": {ALICE: {"ed25519:A": "x"}, BOB: {"ed25519:B": "x"}}}
        added = [signature(ALICE), signature(BOB), signature(CAROL)]
        return set(visible_key(uploaded, ALICE, viewer, added)["signatures"])

    def test_the_owners_are_for_everybody_and_ones_own_for_oneself(self) -> None:
        assert self.seen_by(BOB) == {ALICE, BOB}
        assert self.seen_by(CAROL) == {ALICE, CAROL}

    def test_the_owner_does_not_learn_who_has_verified_them(self) -> None:
        assert self.seen_by(ALICE) == {ALICE}

    def test_another_server_sees_the_owners_alone(self) -> None:
        assert self.seen_by(None) == {ALICE}

    def test_added_ones_join_those_of_the_upload(self) -> None:
        uploaded = {**MASTER, "signatures": {ALICE: {"ed25519:A": "first"}}}
        shown = visible_key(uploaded, ALICE, BOB, [signature(ALICE, "second")])
        assert shown["signatures"] == {ALICE: {"ed25519:A": "first", "ed25519:K": "second"}}
        assert uploaded["signatures"] == {ALICE: {"ed25519:A": "first"}}


class TestVerifying:
    key = key_from("some device")
    signed = sign({"key": "value"}, ALICE, "PHONE", key)

    def test_a_device_key_is_named_by_its_device(self) -> None:
        assert is_signed_by(self.signed, ALICE, self.key.verify_key.encode(), "PHONE")
        assert not is_signed_by(self.signed, ALICE, self.key.verify_key.encode())

    def test_it_must_be_the_signers_over_this_value(self) -> None:
        public = self.key.verify_key.encode()
        assert not is_signed_by(self.signed, BOB, public, "PHONE")
        assert not is_signed_by({**self.signed, "key": "other"}, ALICE, public, "PHONE")

    @pytest.mark.parametrize("public", ["", "not base64!", "c2hvcnQ"])
    def test_what_is_no_key_has_signed_nothing(self, public: str) -> None:
        assert not is_signed_by(self.signed, ALICE, public, "PHONE")

    @pytest.mark.parametrize("signatures", [None, [], {ALICE: 7}, {ALICE: {"ed25519:PHONE": 7}}, {ALICE: {}}])
    def test_broken_signatures_are_none(self, signatures: object) -> None:
        broken = {**self.signed, "signatures": signatures}
        assert not is_signed_by(broken, ALICE, self.key.verify_key.encode(), "PHONE")
