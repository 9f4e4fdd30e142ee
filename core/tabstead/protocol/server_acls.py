"""Server ACLs: which servers may take part in a room, by its `m.room.server_acl`.

(client-server API, "Server Access Control Lists (ACLs) for rooms")
"""

import re
from typing import Any, Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.push_rules.globs import matches_all

_port: Final = re.compile(r":[0-9]{1,5}$")
_ipv4: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}").fullmatch


def is_server_allowed(server_name: str, content: JsonDict) -> bool:
    """Whether a server may take part, by the content of the room's ACL. Its port does not matter."""
    host = _port.sub("", server_name)
    if content.get("allow_ip_literals") is False and (host.startswith("[") or _ipv4(host) is not None):
        return False
    if _matches_any(host, content.get("deny")):
        return False
    return _matches_any(host, content.get("allow"))


def _matches_any(host: str, patterns: Any) -> bool:
    if not isinstance(patterns, list):
        return False
    return any(isinstance(pattern, str) and matches_all(pattern, host) for pattern in patterns)
