"""Event ids as bytes: 32 of a hash where the id is one, in two columns of a row.

The `id_key` is a number of six bytes, which is all that the index on ids holds; the `id_rest` is what is missing
to the whole id. Of an id that is a hash (v3-) the key is its first six bytes; of any other (v1-v2) the rest is the id
itself, as text, and the key six bytes of its hash. Two ids with the same key are possible, and told apart by their
rests: whoever looks for an id compares both. The columns say the id whatever the room version: an id in the alphabet
of v3 that no later version would write has a byte more.
"""

import re
from binascii import a2b_base64, b2a_base64
from hashlib import sha256
from typing import Final, TypeAlias

from tabstead.protocol.identifiers import EventID

IdRest: TypeAlias = bytes | str

_KEY_BYTES: Final = 6
_HASH_BYTES: Final = 32
_LAST: Final = "[AEIMQUYcgkosw048]"  # the last digit of 43 has two bits that no hash has
_is_url_safe = re.compile(rf"\$[A-Za-z0-9_-]{{42}}{_LAST}").fullmatch
_is_standard = re.compile(rf"\$[A-Za-z0-9+/]{{42}}{_LAST}").fullmatch
_TO_URL_SAFE: Final = str.maketrans("+/", "-_")
_FROM_URL_SAFE: Final = str.maketrans("-_", "+/")
_STANDARD: Final = b"\0"


def encode_event_id(event_id: str) -> tuple[int, IdRest]:
    """The `id_key` and the `id_rest`."""
    raw = _find_hash(event_id)
    if raw is None:
        return _key(sha256(event_id.encode("utf-8", "surrogatepass")).digest()), event_id
    return _key(raw), raw[_KEY_BYTES:]


def decode_event_id(id_key: int, id_rest: IdRest) -> EventID:
    """The inverse of `encode_event_id`."""
    if isinstance(id_rest, str):
        return EventID(id_rest)
    raw = id_key.to_bytes(_KEY_BYTES, "big", signed=True) + id_rest
    text = b2a_base64(raw[:_HASH_BYTES], newline=False).decode()[:-1]
    return EventID("$" + (text if len(raw) > _HASH_BYTES else text.translate(_TO_URL_SAFE)))


def _key(raw: bytes) -> int:
    return int.from_bytes(raw[:_KEY_BYTES], "big", signed=True)


def _find_hash(event_id: str) -> bytes | None:
    if _is_url_safe(event_id):
        return a2b_base64(event_id[1:].translate(_FROM_URL_SAFE) + "=")
    return a2b_base64(event_id[1:] + "=") + _STANDARD if _is_standard(event_id) else None
