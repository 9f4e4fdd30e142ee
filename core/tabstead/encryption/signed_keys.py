"""Signed key objects: comparing two copies of a key, and who sees which signatures.

A key object is JSON with `signatures`, which do not cover themselves nor `unsigned`. Everybody sees the signatures of
the key's owner and those that they made themselves, and no others: who has verified whom is nobody else's business.
(§ Key and signature security)
"""

from collections.abc import Iterable
from typing import Any, Final

from tabstead.errors import BadJson
from tabstead.http import JsonObject
from tabstead.protocol.signatures import ALGORITHM, decode_verify_key, verify_signed_json
from tabstead.storage.cross_signing import KeySignature

_NOT_SIGNED: Final = frozenset({"signatures", "unsigned"})


def is_same_key(one: Any, other: Any) -> bool:
    """Whether two key objects (or plain strings) are the same but for their signatures."""
    if isinstance(one, dict) and isinstance(other, dict):
        return _signed_part(one) == _signed_part(other)
    return bool(one == other)


def is_signed_by(key: dict[str, Any], signer: str, public_key: str, key_name: str | None = None) -> bool:
    """Whether the signer's ed25519 key signed it; the key is named by itself, unless it is a device's."""
    try:
        verify_key = decode_verify_key(f"{ALGORITHM}:{key_name or public_key}", public_key)
    except BadJson:
        return False
    return verify_signed_json(key, signer, verify_key)


def visible_key(key: dict[str, Any], owner: str, viewer: str | None, added: Iterable[KeySignature]) -> dict[str, Any]:
    """A copy of the key with the signatures that the viewer may see; `added` are those that were uploaded later."""
    signers = {owner, viewer}
    signatures = {signer: dict(made) for signer, made in find_signatures(key).items() if signer in signers}
    for signature in added:
        if signature.signer in signers:
            signatures.setdefault(signature.signer, {})[signature.signing_key_id] = signature.signature
    return {**{name: value for name, value in key.items() if name not in _NOT_SIGNED}, "signatures": signatures}


def find_signatures(key: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The well-formed part of `signatures`: by signer, then by key ID."""
    signatures = key.get("signatures")
    if not isinstance(signatures, dict):
        return {}
    return {signer: made for signer, made in signatures.items() if isinstance(made, dict)}


def check_signatures_form(key: JsonObject) -> None:
    """Raises BadJson unless `signatures`, where there are any, are objects of strings."""
    for made in key.object("signatures", {}).values():
        if not isinstance(made, dict) or not all(isinstance(signature, str) for signature in made.values()):
            raise BadJson("'signatures' must be an object of objects of strings.")


def _signed_part(key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name not in _NOT_SIGNED}
