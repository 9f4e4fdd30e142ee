"""Signatures: the only module that touches signedjson and PyNaCl, which load when something is first signed or checked.

A server signs the redacted event, so that its signature outlives a redaction; the content hash inside covers the rest.
Private keys come in as 32 bytes of seed: this module makes no randomness. Which keys of another server are known, and
how long they are valid, is the caller's knowledge, asked through `get_verify_keys`.
(server-server API, "Signing Events"; appendix "Signing JSON")
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from unpaddedbase64 import decode_base64, encode_base64

from tabstead.errors import BadJson
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events.hashes import content_hash
from tabstead.protocol.events.redaction import redact_event
from tabstead.protocol.identifiers import ServerName, find_server_name_of, is_user_id
from tabstead.protocol.room_versions import RoomVersion

ALGORITHM: Final = "ed25519"
SEED_BYTES: Final = 32
MAX_KEY_VALIDITY_MS: Final = 7 * 24 * 60 * 60 * 1000
"""A key that claims to be valid for longer is believed for seven days."""


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A server's private Ed25519 key. `seed` has 32 bytes; `key_id` is like `ed25519:a_1`."""

    key_id: str
    seed: bytes

    def __post_init__(self) -> None:
        algorithm, colon, version = self.key_id.partition(":")
        if algorithm != ALGORITHM or not colon or not version:
            raise ValueError(f"{self.key_id!r} is not the ID of an Ed25519 key")
        if len(self.seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes")

    def __repr__(self) -> str:
        return f"SigningKey(key_id={self.key_id!r})"

    @cached_property
    def verify_key(self) -> "VerifyKey":
        """The public half."""
        return VerifyKey(key_id=self.key_id, key=bytes(self.nacl_key.verify_key))

    @cached_property
    def nacl_key(self) -> Any:
        from signedjson.key import decode_signing_key_base64

        version = self.key_id.removeprefix(f"{ALGORITHM}:")
        return decode_signing_key_base64(ALGORITHM, version, encode_base64(self.seed))


@dataclass(frozen=True, kw_only=True)
class VerifyKey:
    """A public Ed25519 key of 32 bytes."""

    key_id: str
    key: bytes
    valid_until_ts: int | None = None
    """Milliseconds since the epoch up to which it is believed; None where that is not known or does not matter."""

    def encode(self) -> str:
        """The key in unpadded base64, as `/key/v2/server` and invites have it."""
        return encode_base64(self.key)

    def may_sign_at(self, origin_server_ts: int, room_version: RoomVersion) -> bool:
        """Whether an event of that time may carry this key's signature. v1-v4: always. v5-: while it is valid."""
        if not room_version.enforces_key_validity or self.valid_until_ts is None:
            return True
        return origin_server_ts <= self.valid_until_ts

    @cached_property
    def nacl_key(self) -> Any:
        from signedjson.key import decode_verify_key_bytes

        return decode_verify_key_bytes(self.key_id, self.key)


GetVerifyKeys = Callable[[ServerName, Iterable[str]], Mapping[str, VerifyKey]]
"""The keys among these key IDs that are known of a server, by their ID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingKeys:
    """A verdict that must wait: no known key has signed for this server. `key_ids` are those that did."""

    server_name: ServerName
    key_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadSignature:
    """The event is not what this server signed, or the server did not sign it."""

    server_name: ServerName
    reason: str


def decode_verify_key(key_id: str, key_base64: str, valid_until_ts: int | None = None) -> VerifyKey:
    """The key of its unpadded base64. Raises BadJson if it is no Ed25519 key."""
    try:
        key = decode_base64(key_base64)
    except ValueError as error:
        raise BadJson(f"{key_id[:80]!r}: the key is not base64.") from error
    if not key_id.startswith(f"{ALGORITHM}:") or len(key) != SEED_BYTES:
        raise BadJson(f"{key_id[:80]!r} is not an Ed25519 key.")
    return VerifyKey(key_id=key_id, key=key, valid_until_ts=valid_until_ts)


def believed_until(valid_until_ts: int, now_ms: int) -> int:
    """How long to believe a key fetched now: as long as it says, but no more than seven days."""
    return min(valid_until_ts, now_ms + MAX_KEY_VALIDITY_MS)


def sign_json(value: JsonDict, server_name: str, key: SigningKey) -> JsonDict:
    """A copy with this signature beside those that it has. `unsigned` is not covered."""
    from signedjson.sign import sign_json as sign

    copy = dict(value)
    copy["signatures"] = {name: dict(by_key) for name, by_key in value.get("signatures", {}).items()}
    signed: JsonDict = sign(copy, server_name, key.nacl_key)
    return signed


def verify_signed_json(value: JsonDict, server_name: str, key: VerifyKey) -> bool:
    """Whether the value carries a valid signature of this server by this key."""
    from signedjson.sign import SignatureVerifyException
    from signedjson.sign import verify_signed_json as verify

    try:
        verify(value, server_name, key.nacl_key)
    except (SignatureVerifyException, ValueError, TypeError, AttributeError):
        return False
    return True


def sign_event(pdu: JsonDict, room_version: RoomVersion, server_name: str, key: SigningKey) -> JsonDict:
    """A copy with its content hash and this server's signature.

    An event that is signed already (a restricted join that a resident server vouches for) keeps its signatures.
    """
    hashed = {**pdu, "hashes": {"sha256": content_hash(pdu)}}
    signed = sign_json(redact_event(hashed, room_version), server_name, key)
    return {**hashed, "signatures": signed["signatures"]}


def check_content_hash(pdu: JsonDict) -> bool:
    """Whether the event is whole. If not, only its redacted copy may be used (step 3 of the checks on receipt)."""
    claimed = pdu["hashes"].get("sha256")
    if not isinstance(claimed, str):
        return False
    try:
        return decode_base64(claimed) == decode_base64(content_hash(pdu))
    except ValueError:
        return False


def required_signers(pdu: JsonDict, room_version: RoomVersion) -> set[ServerName]:
    """The servers that must have signed an event whose format was checked (step 2 of the checks on receipt)."""
    signers = set()
    if not _is_third_party_invite(pdu):
        signers.add(find_server_name_of(pdu["sender"]))
    if room_version.event_id_server_signs:  # v1-v2
        signers.add(find_server_name_of(pdu["event_id"]))
    if room_version.restricted_joins and pdu["type"] == "m.room.member":  # v8-
        authoriser = pdu["content"].get("join_authorised_via_users_server")
        if isinstance(authoriser, str) and is_user_id(authoriser):
            signers.add(find_server_name_of(authoriser))
    return {signer for signer in signers if signer is not None}


def check_event_signatures(
    pdu: JsonDict, room_version: RoomVersion, get_verify_keys: GetVerifyKeys
) -> BadSignature | MissingKeys | None:
    """None if every server that must have signed the event did so; otherwise what is wrong or missing.

    Signatures by keys that are unknown or were not valid at the event's time are skipped; of the others all must hold.
    """
    redacted = redact_event(pdu, room_version)
    for server_name in sorted(required_signers(pdu, room_version)):
        problem = _check_signatures_of(server_name, redacted, room_version, get_verify_keys)
        if problem is not None:
            return problem
    return None


def check_signatures_of(
    server_name: ServerName, pdu: JsonDict, room_version: RoomVersion, get_verify_keys: GetVerifyKeys
) -> BadSignature | MissingKeys | None:
    """The same for one server, whether it must have signed or not."""
    return _check_signatures_of(server_name, redact_event(pdu, room_version), room_version, get_verify_keys)


def has_signature_by_any(value: JsonDict, keys: Iterable[str]) -> bool:
    """Whether any signature on the value is by any of these public keys, given in base64, whoever's they are.

    That is how an identity server's signature on a third-party invite is checked: the invite lists its keys.
    """
    signatures = value.get("signatures")
    if not isinstance(signatures, dict):
        return False
    candidates = [
        (server_name, key_id)
        for server_name, by_key in signatures.items()
        if isinstance(by_key, dict)
        for key_id in by_key
        if key_id.startswith(f"{ALGORITHM}:")
    ]
    return any(_verifies(value, server_name, key_id, key) for key in keys for server_name, key_id in candidates)


def _verifies(value: JsonDict, server_name: str, key_id: str, key_base64: str) -> bool:
    try:
        key = decode_verify_key(key_id, key_base64)
    except BadJson:
        return False
    return verify_signed_json(value, server_name, key)


def _is_third_party_invite(pdu: JsonDict) -> bool:
    """The sender of such an invite is whoever invited the address; the server that sends it is the invited user's."""
    content = pdu["content"]
    return pdu["type"] == "m.room.member" and content.get("membership") == "invite" and "third_party_invite" in content


def _check_signatures_of(
    server_name: ServerName, redacted: JsonDict, room_version: RoomVersion, get_verify_keys: GetVerifyKeys
) -> BadSignature | MissingKeys | None:
    by_key = redacted.get("signatures", {}).get(server_name, {})
    key_ids = tuple(key_id for key_id in by_key if key_id.startswith(f"{ALGORITHM}:"))
    if not key_ids:
        return BadSignature(server_name=server_name, reason="it did not sign the event")
    usable = [
        key
        for key in get_verify_keys(server_name, key_ids).values()
        if key.may_sign_at(redacted["origin_server_ts"], room_version)
    ]
    if not usable:
        return MissingKeys(server_name=server_name, key_ids=key_ids)
    for key in usable:
        if not verify_signed_json(redacted, server_name, key):
            return BadSignature(server_name=server_name, reason=f"the signature by {key.key_id} does not hold")
    return None
