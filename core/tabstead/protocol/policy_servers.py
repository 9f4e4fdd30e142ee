"""Policy servers: who has to sign a room's events, and whether they did.

Their signature is beside the others on an event, and is checked by the key that the room's state has, whatever keys
that server publishes. Added in v1.18. (server-server API, "Policy Servers")
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tabstead.errors import BadJson
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events.redaction import redact_event
from tabstead.protocol.identifiers import ServerName, is_server_name
from tabstead.protocol.room_versions import RoomVersion
from tabstead.protocol.signatures import VerifyKey, decode_verify_key, verify_signed_json

POLICY: Final = ("m.room.policy", "")
KEY_ID: Final = "ed25519:policy_server"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyServer:
    name: ServerName
    key: VerifyKey


def parse_policy(content: Mapping[str, Any]) -> PolicyServer | None:
    """The policy server that the content of an `m.room.policy` names; None for a content that names none."""
    via, keys = content.get("via"), content.get("public_keys")
    key = keys.get("ed25519") if isinstance(keys, dict) else None
    if not isinstance(via, str) or not is_server_name(via) or not isinstance(key, str):
        return None
    try:
        return PolicyServer(name=ServerName(via), key=decode_verify_key(KEY_ID, key))
    except BadJson:
        return None


def needs_policy_signature(event_type: str, state_key: str | None) -> bool:
    """All events but the one that says which policy server a room has, so that it can always be got rid of."""
    return (event_type, state_key) != POLICY


def has_policy_signature(pdu: JsonDict, room_version: RoomVersion, policy: PolicyServer) -> bool:
    return verify_signed_json(redact_event(pdu, room_version), policy.name, policy.key)


def add_policy_signature(pdu: JsonDict, policy: PolicyServer, signature: str) -> JsonDict:
    """A copy with this signature beside those that it has."""
    signatures = pdu.get("signatures", {})
    by_key = {**signatures.get(policy.name, {}), KEY_ID: signature}
    return {**pdu, "signatures": {**signatures, policy.name: by_key}}
