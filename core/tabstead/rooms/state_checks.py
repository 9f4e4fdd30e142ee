"""Changes of a room's state that the rules allow and that this server keeps its users from: they can't be undone.

Encryption that is on stays on. No server shuts itself out of a room. The policy server of a room is named with its key.
"""

from typing import Final

from tabstead.errors import BadJson, BadState
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import is_server_name
from tabstead.protocol.server_acls import is_server_allowed
from tabstead.rooms.draft import Draft
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.state import find_current_event
from tabstead.storage.database import Db
from tabstead.storage.rooms import Room

_LISTS: Final = ("allow", "deny")


def check_encryption(db: Db, server: LocalServer, room: Room, sender: str, draft: Draft) -> None:
    """`m.room.encryption`: "once enabled, encryption cannot be disabled". Raises BadState."""
    if draft.state_key != "" or _is_encrypting(draft.content):
        return
    current = find_current_event(db, room, draft.type)
    if current is not None and _is_encrypting(current.event.content):
        raise BadState("The room is encrypted; that cannot be switched off.")


def check_server_acl(db: Db, server: LocalServer, room: Room, sender: str, draft: Draft) -> None:
    """`m.room.server_acl`: lists of patterns, by which this server still may take part. Raises BadJson, BadState."""
    if draft.state_key != "":
        return
    for name in _LISTS:
        patterns = draft.content.get(name, [])
        if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
            raise BadJson(f"'{name}' must be an array of strings.")
    if not isinstance(draft.content.get("allow_ip_literals", True), bool):
        raise BadJson("'allow_ip_literals' must be a boolean.")
    if not is_server_allowed(server.name, draft.content):
        raise BadState("This would shut out the server that you are on.")


def check_policy(db: Db, server: LocalServer, room: Room, sender: str, draft: Draft) -> None:
    """`m.room.policy`: empty, or a server with its ed25519 key. Raises BadJson."""
    if draft.state_key != "" or not draft.content:
        return
    via, keys = draft.content.get("via"), draft.content.get("public_keys")
    if not isinstance(via, str) or not is_server_name(via):
        raise BadJson("'via' must be a server name.")
    if not isinstance(keys, dict) or not isinstance(keys.get("ed25519"), str):
        raise BadJson("'public_keys' must have an ed25519 key.")


def _is_encrypting(content: JsonDict) -> bool:
    return isinstance(content.get("algorithm"), str)
