"""The authorisation rules of every room version, and the auth events selection.

Each rule stands where it is obeyed, quoted with the versions that have it. A verdict is a value: ALLOWED, or Rejected
with the reason. What the rules look at is the room state given; where it comes from is the caller's business.
"""

from tabstead.protocol.auth_rules.auth_events import check_auth_events
from tabstead.protocol.auth_rules.event_auth import check_event_auth
from tabstead.protocol.auth_rules.power_levels import PowerLevel, PowerLevels, parse_power_level
from tabstead.protocol.auth_rules.room_state import RoomState, StateEvents
from tabstead.protocol.auth_rules.selection import select_auth_event_types
from tabstead.protocol.auth_rules.verdict import ALLOWED, Allowed, Rejected, Verdict

__all__ = [
    "ALLOWED",
    "Allowed",
    "PowerLevel",
    "PowerLevels",
    "Rejected",
    "RoomState",
    "StateEvents",
    "Verdict",
    "check_auth_events",
    "check_event_auth",
    "parse_power_level",
    "select_auth_event_types",
]
