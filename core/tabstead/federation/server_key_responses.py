"""What servers publish of their verify keys: read of others', and built of this one's.

A response is believed if it carries a signature by each key that it says is in use, and then for seven days at most. A
key that a server has retired holds for what it signed in its time.
(server-server API, "Publishing Keys")
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeGuard

from tabstead.errors import BadJson, PeerMisbehaved
from tabstead.protocol.canonical_json import JsonDict, encode_canonical_json
from tabstead.protocol.signatures import (
    VerifyKey,
    believed_until,
    decode_verify_key,
    sign_json,
    verify_signed_json,
)
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.server_keys import ServerKey, ToldKeys

VALIDITY_MS: Final = 24 * 60 * 60 * 1000
"""How long others may believe what this server says of its keys."""

_MAX_KEYS_IN_USE: Final = 8
_MAX_OLD_KEYS: Final = 32
_MAX_KEY_ID_BYTES: Final = 255


def build_own_response(server: LocalServer, retired: Iterable[VerifyKey]) -> JsonDict:
    """This server's own, signed."""
    key = server.signing_key.verify_key
    response = {
        "server_name": server.name,
        "valid_until_ts": server.now_ms() + VALIDITY_MS,
        "verify_keys": {key.key_id: {"key": key.encode()}},
        "old_verify_keys": {old.key_id: {"key": old.encode(), "expired_ts": old.valid_until_ts} for old in retired},
    }
    return sign_json(response, server.name, server.signing_key)


def read_server_keys(response: JsonDict, server_name: str, now_ms: int) -> ToldKeys:
    """The keys of a response that this server has signed. Raises PeerMisbehaved."""
    claimed = response.get("valid_until_ts")
    if response.get("server_name") != server_name or not _is_time(claimed):
        raise PeerMisbehaved(f"{server_name} answers with keys that are not its own, or of no time.")
    valid_until_ts = believed_until(claimed, now_ms)
    in_use = list(_read_keys(response.get("verify_keys"), lambda _: valid_until_ts))
    if not 0 < len(in_use) <= _MAX_KEYS_IN_USE:
        raise PeerMisbehaved(f"{server_name} has {len(in_use)} keys in use.")
    if not all(verify_signed_json(response, server_name, key) for key in in_use):
        raise PeerMisbehaved(f"{server_name} does not sign its keys with each of them.")
    retired = _read_keys(response.get("old_verify_keys"), lambda given: given.get("expired_ts"))
    old = sorted(retired, key=lambda key: key.valid_until_ts or 0)[-_MAX_OLD_KEYS:]
    keys = {key.key_id: ServerKey(verify_key=_not_later(key, now_ms), is_old=True, fetched_ts=now_ms) for key in old}
    keys |= {key.key_id: ServerKey(verify_key=key, is_old=False, fetched_ts=now_ms) for key in in_use}
    return ToldKeys(
        server_name=server_name,
        keys=list(keys.values()),
        response=encode_canonical_json(_signed_by_itself(response, server_name)),
    )


def _signed_by_itself(response: JsonDict, server_name: str) -> JsonDict:
    """Without the signatures of notaries."""
    return {**response, "signatures": {server_name: response["signatures"][server_name]}}


def _not_later(key: VerifyKey, now_ms: int) -> VerifyKey:
    """Nothing was retired in the future."""
    return VerifyKey(key_id=key.key_id, key=key.key, valid_until_ts=min(key.valid_until_ts or 0, now_ms))


def _read_keys(given: object, valid_until_of: Callable[[JsonDict], Any]) -> Iterator[VerifyKey]:
    """The Ed25519 keys of an object by key id; what is none of those is left out."""
    for key_id, value in given.items() if isinstance(given, dict) else ():
        if not isinstance(value, dict) or not isinstance(value.get("key"), str):
            continue
        valid_until_ts = valid_until_of(value)
        if not _is_time(valid_until_ts) or len(key_id.encode("utf-8", "replace")) > _MAX_KEY_ID_BYTES:
            continue
        try:
            yield decode_verify_key(key_id, value["key"], valid_until_ts)
        except BadJson:
            continue


def _is_time(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
