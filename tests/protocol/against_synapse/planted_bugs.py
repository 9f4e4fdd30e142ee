"""Does the comparison find a bug? Plants some in Tabstead, one after the other: python -m against_synapse.planted_bugs

Each is a slip that would be easy to make. Prints one line of JSON: after how many histories each was found, or null.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

from against_synapse.comparison import compare_history
from against_synapse.explained import explain
from tabstead.protocol import room_versions
from tabstead.protocol.auth_rules import PowerLevels, membership
from tabstead.protocol.events import Event
from tabstead.protocol.state_resolution import WalkedAuthChains, v1, v2

ENOUGH_HISTORIES: Final = 400


def _is_power_event_but_kicks(event: Event) -> bool:
    return event.type in ("m.room.power_levels", "m.room.join_rules") and event.state_key == ""


def _version_11_without_its_redaction() -> Mapping[str, Any]:
    old = room_versions.ROOM_VERSIONS
    return {**old, "11": replace(old["11"], redaction=old["10"].redaction)}


BUGS: Final[Mapping[str, Callable[[], Any]]] = {
    "bans are for everyone": lambda: patch.object(PowerLevels, "ban", 0),
    "knocks are as good as invites": lambda: patch.dict(membership._CHECKS, knock=membership._CHECKS["invite"]),
    "the creator joins whenever": lambda: patch.object(
        membership, "_is_creators_first_join", lambda event, target, state, create: target == create.sender
    ),
    "version 1 sorts by event ID": lambda: patch.object(v1, "_depth_order", lambda event: event.event_id),
    "a kick is no power event": lambda: patch.object(v2, "is_power_event", _is_power_event_but_kicks),
    "there is no mainline": lambda: patch.object(
        v2, "sort_by_mainline", lambda events, *_: sorted(events, key=lambda event: event.origin_server_ts)
    ),
    "auth chains do not matter": lambda: patch.object(WalkedAuthChains, "auth_difference", lambda *_: set()),
    "no subgraph in version 12": lambda: patch.object(WalkedAuthChains, "conflicted_subgraph", lambda *_: set()),
    "version 11 redacts like 10": lambda: patch(
        "against_synapse.histories.ROOM_VERSIONS", _version_11_without_its_redaction()
    ),
}


def find(bug: str) -> int | None:
    """After how many histories the bug is found."""
    with BUGS[bug]():
        for number in range(ENOUGH_HISTORIES):
            differences = compare_history(f"planted/{number}").differences
            if any(explain(difference) is None for difference in differences):
                return number + 1
    return None


if __name__ == "__main__":
    print(json.dumps({bug: find(bug) for bug in sys.argv[1:] or BUGS}))
