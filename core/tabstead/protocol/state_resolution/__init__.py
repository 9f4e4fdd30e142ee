"""State resolution: one room state of several, by the algorithm of the room version.

What is missing to decide is a result (`MissingEvents`), not a call. Work and memory grow with what the state sets
disagree on, not with the room; nothing recurses.
"""

from tabstead.protocol.state_resolution.auth_chains import AuthChains, WalkedAuthChains
from tabstead.protocol.state_resolution.conflict import Conflict, find_conflict
from tabstead.protocol.state_resolution.resolve import MissingEvents, resolve_conflict, resolve_state

__all__ = [
    "AuthChains",
    "Conflict",
    "MissingEvents",
    "WalkedAuthChains",
    "find_conflict",
    "resolve_conflict",
    "resolve_state",
]
