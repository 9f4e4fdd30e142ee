"""Third-party invites: an address was invited, its owner turned up, and an identity server's key vouches for that."""

import pytest
from room_story import VERSIONS, RoomStory, reason, user

from tabstead.protocol.auth_rules import ALLOWED
from tabstead.protocol.signatures import SigningKey, sign_json

every_version = pytest.mark.parametrize("version", VERSIONS)

IDENTITY_KEY = SigningKey(key_id="ed25519:0", seed=b"identity" * 4)
EPHEMERAL_KEY = SigningKey(key_id="ed25519:ephemeral", seed=b"ephemera" * 4)
STRANGERS_KEY = SigningKey(key_id="ed25519:0", seed=b"stranger" * 4)


def signed_by(key, **changes):
    signed = {"mxid": user("bob"), "token": "token", **changes}
    return sign_json({name: value for name, value in signed.items() if value is not None}, "identity.example", key)


class Invitation:
    """Alice has invited an address; now bob is invited for it."""

    def __init__(self, version):
        self.story = RoomStory.founded(version)
        keys = {
            "public_key": IDENTITY_KEY.verify_key.encode(),
            "public_keys": [{"public_key": EPHEMERAL_KEY.verify_key.encode()}],
        }
        self.story.happens("alice", "m.room.third_party_invite", keys, "token")

    def verdict(self, third_party_invite, sender="alice"):
        content = {"membership": "invite", "third_party_invite": third_party_invite}
        return self.story.verdict(sender, "m.room.member", content, user("bob"))


@every_version
@pytest.mark.parametrize("key", [IDENTITY_KEY, EPHEMERAL_KEY])
def test_any_listed_key_vouches(version, key):
    assert Invitation(version).verdict({"signed": signed_by(key)}) is ALLOWED


@every_version
def test_who_invited_the_address_need_not_be_there_anymore(version):
    invitation = Invitation(version)
    invitation.story.member("alice", "leave")
    assert invitation.verdict({"signed": signed_by(IDENTITY_KEY)}) is ALLOWED


@every_version
def test_the_banned_are_not_invited(version):
    invitation = Invitation(version)
    invitation.story.member("bob", "ban")
    assert reason(invitation.verdict({"signed": signed_by(IDENTITY_KEY)})) == "the invited user is banned"


@every_version
@pytest.mark.parametrize("third_party_invite", [{}, None, [], {"signed": None}, {"signed": "yes"}])
def test_something_is_signed(version, third_party_invite):
    assert reason(Invitation(version).verdict(third_party_invite)) == "the third-party invite has nothing signed"


@every_version
@pytest.mark.parametrize("missing", ["mxid", "token"])
def test_what_is_signed_says_whom_and_which(version, missing):
    verdict = Invitation(version).verdict({"signed": signed_by(IDENTITY_KEY, **{missing: None})})
    assert reason(verdict) == "the third-party invite has no mxid and token"


@every_version
def test_it_is_for_the_invited_user(version):
    verdict = Invitation(version).verdict({"signed": signed_by(IDENTITY_KEY, mxid=user("eve"))})
    assert reason(verdict) == "the third-party invite is for another user"


@every_version
def test_the_room_knows_the_token(version):
    verdict = Invitation(version).verdict({"signed": signed_by(IDENTITY_KEY, token="another")})
    assert reason(verdict) == "there is no third-party invite with this token in the room"


@every_version
def test_it_is_sent_by_who_invited_the_address(version):
    invitation = Invitation(version)
    invitation.story.member("carol", "join")
    verdict = invitation.verdict({"signed": signed_by(IDENTITY_KEY)}, sender="carol")
    assert reason(verdict) == "the third-party invite is another user's"


@every_version
def test_a_strangers_key_does_not_vouch(version):
    verdict = Invitation(version).verdict({"signed": signed_by(STRANGERS_KEY)})
    assert reason(verdict) == "the third-party invite is not signed by a key that the room lists"


@every_version
@pytest.mark.parametrize("signatures", [None, [], {}, {"identity.example": []}, {"identity.example": {"ed25519:0": 7}}])
def test_something_else_in_place_of_signatures_does_not_vouch(version, signatures):
    signed = {**signed_by(IDENTITY_KEY), "signatures": signatures}
    verdict = Invitation(version).verdict({"signed": signed})
    assert reason(verdict) == "the third-party invite is not signed by a key that the room lists"


@every_version
@pytest.mark.parametrize("keys", [{}, {"public_key": 7, "public_keys": {}}, {"public_keys": ["x", {}]}])
def test_a_room_that_lists_no_key_lets_nobody_in(version, keys):
    invitation = Invitation(version)
    invitation.story.happens("alice", "m.room.third_party_invite", keys, "token")
    verdict = invitation.verdict({"signed": signed_by(IDENTITY_KEY)})
    assert reason(verdict) == "the third-party invite is not signed by a key that the room lists"
