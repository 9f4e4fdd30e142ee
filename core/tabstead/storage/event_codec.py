"""How an event's JSON is kept beside the columns of its row, in few bytes.

`content` is the JSON of the event's content, deflated with a preset dictionary; `extras`, the fields at the top level
that nothing else holds, stand behind it. It is text where compression doesn't pay, else its first byte is the number
of the dictionary. `proof` has what other servers want to see: the events that it refers to as event_nids, signatures as
64 bytes each, and the content hash, unless that follows from the event, as it does until the event is redacted.

A field that doesn't fit (a reference to an event that isn't here, an odd signature, the pairs of v1-v2) is an extra, as
it is. So every event can be kept, and comes back with the same canonical JSON.
"""

import json
import zlib
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import content_hash
from tabstead.storage.content_dictionaries import DICTIONARIES, NEWEST

Packed: TypeAlias = bytes | str

_WINDOW: Final = -12  # raw deflate, 4 KiB back: the dictionary fits
_COMPRESSOR: Final = zlib.compressobj(9, zlib.DEFLATED, _WINDOW, 5, zlib.Z_DEFAULT_STRATEGY, DICTIONARIES[NEWEST])
"""Copied for each event: to read a dictionary takes longer than to compress with it."""

_SIGNATURE_BYTES: Final = 64
_HASH_BYTES: Final = 32
_IN_COLUMNS: Final = frozenset({"content", "depth", "origin_server_ts", "room_id", "sender", "state_key", "type"})


class Kept:
    """What of an event stands in its proof: a bit for each. (Not an IntFlag, whose operations are slow.)"""

    PREV_EVENTS: Final = 1
    AUTH_EVENTS: Final = 2
    SIGNATURES: Final = 4
    HASH: Final = 8
    HASH_FOLLOWS: Final = 16
    """The content hash is not there, but follows from the event."""
    ROOM_ID: Final = 32
    """The event names its room (v1-v11: all do)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    kept: int
    prev_events: tuple[int, ...]
    auth_events: tuple[int, ...]
    signatures: tuple[tuple[int, bytes], ...]
    """By the `name_nid` of server name and key id."""
    content_hash: bytes


def encode_content(content: JsonDict, extras: JsonDict) -> Packed:
    value = [content, extras] if extras else content
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    plain = text.encode()
    deflate = _COMPRESSOR.copy()
    packed = bytes((NEWEST,)) + deflate.compress(plain) + deflate.flush()
    return packed if len(packed) < len(plain) else text


def decode_content(packed: Packed) -> tuple[JsonDict, JsonDict]:
    """The content and the extras."""
    if isinstance(packed, bytes):
        packed = zlib.decompressobj(_WINDOW, DICTIONARIES[packed[0]]).decompress(packed[1:]).decode()
    decoded = json.loads(packed)
    if isinstance(decoded, list):
        content, extras = decoded
        return content, extras
    return decoded, {}


def signing_keys(pdu: JsonDict) -> dict[str, bytes] | None:
    """An event's signatures, by server name and key id in one name; None where some are not of the usual form."""
    if "signatures" not in pdu:
        return None
    found: dict[str, bytes] = {}
    for server_name, by_key in pdu["signatures"].items():
        if " " in server_name or not by_key:
            return None
        for key_id, signature in by_key.items():
            raw = _find_bytes(signature, _SIGNATURE_BYTES)
            if raw is None:
                return None
            found[f"{server_name} {key_id}"] = raw
    return found


def encode_event(pdu: JsonDict, event_nids: Mapping[Any, int], name_nids: Mapping[str, int]) -> tuple[Packed, bytes]:
    """An event's `content` and `proof`, from the numbers of those that it refers to and of its signing keys."""
    extras = {key: value for key, value in pdu.items() if key not in _IN_COLUMNS}
    kept = Kept.ROOM_ID if "room_id" in pdu else 0
    pieces: list[bytes] = []
    for flag, field in ((Kept.PREV_EVENTS, "prev_events"), (Kept.AUTH_EVENTS, "auth_events")):
        if all(isinstance(event_id, str) and event_id in event_nids for event_id in pdu[field]):
            kept |= flag
            pieces.append(_encode_numbers([event_nids[event_id] for event_id in pdu[field]]))
            del extras[field]
    signatures = signing_keys(pdu)
    if signatures is not None:
        kept |= Kept.SIGNATURES
        pieces += [_encode_numbers([name_nids[name] for name in signatures]), *signatures.values()]
        del extras["signatures"]
    raw_hash = _find_content_hash(pdu)
    if raw_hash is not None:
        follows = content_hash(pdu) == pdu["hashes"]["sha256"]
        kept |= Kept.HASH_FOLLOWS if follows else Kept.HASH
        pieces += [] if follows else [raw_hash]
        del extras["hashes"]
    return encode_content(pdu["content"], extras), bytes((kept,)) + b"".join(pieces)


def decode_proof(encoded: bytes) -> Proof:
    kept = encoded[0]
    prev_events, at = _decode_numbers(encoded, 1) if kept & Kept.PREV_EVENTS else ((), 1)
    auth_events, at = _decode_numbers(encoded, at) if kept & Kept.AUTH_EVENTS else ((), at)
    keys, at = _decode_numbers(encoded, at) if kept & Kept.SIGNATURES else ((), at)
    end = at + _SIGNATURE_BYTES * len(keys)
    signatures = (encoded[start : start + _SIGNATURE_BYTES] for start in range(at, end, _SIGNATURE_BYTES))
    return Proof(
        kept=kept,
        prev_events=prev_events,
        auth_events=auth_events,
        signatures=tuple(zip(keys, signatures, strict=True)),
        content_hash=encoded[end:],
    )


def decode_references(encoded: bytes) -> tuple[int, ...]:
    """The prev events and auth events of a proof."""
    kept = encoded[0]
    prev_events, at = _decode_numbers(encoded, 1) if kept & Kept.PREV_EVENTS else ((), 1)
    auth_events, _ = _decode_numbers(encoded, at) if kept & Kept.AUTH_EVENTS else ((), at)
    return prev_events + auth_events


def decode_event(
    columns: JsonDict, extras: JsonDict, proof: Proof, event_ids: Mapping[int, str], names: Mapping[int, str]
) -> JsonDict:
    """The PDU, from the fields that columns hold, and what the numbers of its proof stand for."""
    pdu = {**columns, **extras}
    if not proof.kept & Kept.ROOM_ID:
        del pdu["room_id"]
    if proof.kept & Kept.PREV_EVENTS:
        pdu["prev_events"] = [event_ids[event_nid] for event_nid in proof.prev_events]
    if proof.kept & Kept.AUTH_EVENTS:
        pdu["auth_events"] = [event_ids[event_nid] for event_nid in proof.auth_events]
    if proof.kept & Kept.SIGNATURES:
        pdu["signatures"] = _signatures((names[name_nid], raw) for name_nid, raw in proof.signatures)
    if proof.kept & Kept.HASH:
        pdu["hashes"] = {"sha256": _to_base64(proof.content_hash)}
    elif proof.kept & Kept.HASH_FOLLOWS:
        pdu["hashes"] = {"sha256": content_hash(pdu)}
    return pdu


def _signatures(by_name: Iterable[tuple[str, bytes]]) -> JsonDict:
    signatures: dict[str, dict[str, Any]] = {}
    for name, raw in by_name:
        server_name, _, key_id = name.partition(" ")
        signatures.setdefault(server_name, {})[key_id] = _to_base64(raw)
    return signatures


def _find_content_hash(pdu: JsonDict) -> bytes | None:
    """What `hashes` says, if it is of the usual form and says nothing else."""
    hashes = pdu.get("hashes", {})
    return _find_bytes(hashes.get("sha256"), _HASH_BYTES) if len(hashes) == 1 else None


def _to_base64(raw: bytes) -> str:
    return b64encode(raw).decode().rstrip("=")


def _find_bytes(text: object, length: int) -> bytes | None:
    """The bytes of unpadded base64, if there are so many and it is the one way to write them."""
    if not isinstance(text, str) or len(text) != -(-length * 4 // 3) or not text.isascii():
        return None
    try:
        raw = b64decode(text + "=" * (-len(text) % 4))
    except Base64Error:
        return None
    return raw if len(raw) == length and _to_base64(raw) == text else None


def _encode_numbers(numbers: list[int]) -> bytes:
    """How many there are, and each, in groups of seven bits, the lowest first."""
    encoded = bytearray()
    for number in (len(numbers), *numbers):
        rest = number
        while rest > 0x7F:
            encoded.append(rest & 0x7F | 0x80)
            rest >>= 7
        encoded.append(rest)
    return bytes(encoded)


def _decode_numbers(encoded: bytes, at: int) -> tuple[tuple[int, ...], int]:
    """The numbers, and where what follows them begins."""
    numbers: list[int] = []
    left = 1  # the first is how many there are
    while left:
        number = encoded[at]
        shift = 7
        while encoded[at] > 0x7F:
            at += 1
            number += (encoded[at] - 1) << shift  # minus the bit that said there would be more
            shift += 7
        at += 1
        numbers.append(number)
        left = numbers[0] if len(numbers) == 1 else left - 1
    return tuple(numbers[1:]), at
