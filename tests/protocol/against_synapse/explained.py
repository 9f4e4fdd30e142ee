"""Where Tabstead and Synapse differ, and why that is as it should be: the specification's text, word for word.

Each entry covers as little as can be told from the difference itself. What no entry covers is a bug of ours.
(v1.19, pages of the room versions, "Authorisation rules", where no other place is named)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from against_synapse.comparison import ALLOWS, Difference
from against_synapse.judges import CREATE, Failure
from tabstead.protocol.auth_rules import parse_power_level
from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import find_server_name_of, is_user_id
from tabstead.protocol.room_versions import RoomVersion

LEVEL_GROUPS: Final = ("users", "events", "notifications")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a difference is none of our bugs."""

    synapse: str
    """What Synapse does."""
    text: str
    """What the specification says."""
    covers: Callable[[Difference], bool]


def explain(difference: Difference) -> Explanation | None:
    """The first entry that covers the difference; None if it is unexplained."""
    return next((explanation for explanation in EXPLANATIONS if explanation.covers(difference)), None)


def _synapse_rejects(difference: Difference) -> bool:
    return difference.ours == ALLOWS and difference.event is not None


def _synapse_allows(difference: Difference) -> bool:
    return difference.theirs == ALLOWS and difference.event is not None


def _content(difference: Difference) -> dict[str, Any]:
    assert difference.event is not None
    return difference.event.content


def _is_about_an_unfederated_target(difference: Difference) -> bool:
    event, create = difference.event, difference.state.get(CREATE)
    if not _synapse_rejects(difference) or event is None or create is None or event.type != "m.room.member":
        return False
    target_server = find_server_name_of(event.state_key or "")
    if target_server is None:
        return "400: Invalid ID" in difference.theirs
    return (
        create.content.get("m.federate") is False
        and target_server != find_server_name_of(create.sender)
        and "unfederatable" in difference.theirs
    )


def _is_about_an_odd_federate(difference: Difference) -> bool:
    create = difference.state.get(CREATE)
    federate = True if create is None else create.content.get("m.federate", True)
    return _synapse_rejects(difference) and federate not in (True, False) and "unfederatable" in difference.theirs


def _is_power_levels_elsewhere(difference: Difference) -> bool:
    event = difference.event
    return (
        _synapse_allows(difference)
        and event is not None
        and event.type == "m.room.power_levels"
        and bool(event.state_key)
    )


def _has_an_odd_user_id(difference: Difference) -> bool:
    users = _content(difference).get("users") if _synapse_allows(difference) else None
    return (
        isinstance(users, dict)
        and not all(is_user_id(user_id) for user_id in users)
        and all(user_id.startswith("@") and ":" in user_id for user_id in users)
        and "object of user IDs" in difference.ours
    )


def _has_an_authoriser_of_no_join(difference: Difference) -> bool:
    return (
        _synapse_allows(difference)
        and "join_authorised_via_users_server" in _content(difference)
        and _content(difference).get("membership") != "join"
        and difference.ours.startswith("the server that is said to authorise")
    )


def _is_a_redaction_of_nothing(difference: Difference) -> bool:
    event = difference.event
    return (
        _synapse_allows(difference)
        and event is not None
        and event.type == "m.room.redaction"
        and event.redacts is None
        and difference.room_version.redaction_rule
    )


def _has_no_join_rule(difference: Difference) -> bool:
    join_rules = difference.state.get(("m.room.join_rules", ""))
    return (
        _synapse_allows(difference)
        and difference.ours.startswith("the join rule is ''")
        and join_rules is not None
        and "join_rule" not in join_rules.content
    )


def _has_a_boolean_level(difference: Difference) -> bool:
    """A level of the event is a boolean, or one of those that it is judged by."""
    events = [difference.state.get(("m.room.power_levels", "")), difference.event]
    return not difference.room_version.integer_power_levels and any(
        isinstance(level, bool)
        for event in events
        if event is not None and event.type == "m.room.power_levels"
        for level in _levels(event)
    )


def _is_under_unreadable_levels(difference: Difference) -> bool:
    """Synapse fails (it does not reject), and a power levels event of the room says something that is no level."""
    if not isinstance(difference.theirs, Failure) and not str(difference.theirs).startswith("400: Not a valid power"):
        return False
    levels = (event for key, event in difference.state.items() if key[0] == "m.room.power_levels")
    return any(_is_unreadable(event, difference.room_version) for event in levels)


def _is_unreadable(event: Event, room_version: RoomVersion) -> bool:
    return any(parse_power_level(level, room_version) is None for level in _levels(event))


def _levels(event: Event) -> list[Any]:
    """All levels of a power levels event, and what stands where levels should."""
    levels: list[Any] = []
    for name, value in event.content.items():
        levels += value.values() if name in LEVEL_GROUPS and isinstance(value, dict) else [value]
    return levels


EXPLANATIONS: Final = (
    Explanation(
        "wants the target of a membership, too, to be a user of the creator's server where a room is not federated",
        "and the sender domain of the event does not match the sender domain of the create event, reject.",
        _is_about_an_unfederated_target,
    ),
    Explanation(
        "takes any m.federate but true for false",
        "has the property m.federate set to false",
        _is_about_an_odd_federate,
    ),
    Explanation(
        "compares power levels with those under the same state key, of which it has none to compare with",
        "If there is no previous m.room.power_levels event in the room, allow.",
        _is_power_levels_elsewhere,
    ),
    Explanation(
        "takes any text with @ and : for a user ID",
        "If the users property in content is not an object with keys that are valid user IDs",
        _has_an_odd_user_id,
    ),
    Explanation(
        "asks for the authoriser's signature on joins alone",
        "If content has a join_authorised_via_users_server key: If the event is not validly signed by the homeserver "
        "of the user ID denoted by the key, reject.",
        _has_an_authoriser_of_no_join,
    ),
    Explanation(
        "allows a redaction that names no event",
        "If the domain of the event_id of the event being redacted is the same as the domain of the event_id of the "
        "m.room.redaction, allow. Otherwise, reject.",
        _is_a_redaction_of_nothing,
    ),
    Explanation(
        "takes a join rules event without a join_rule for one that says invite",
        "If the join_rule is invite then allow if membership state is invite or join. […] Otherwise, reject.",
        _has_no_join_rule,
    ),
    Explanation(
        "takes true for the level 1, and false for 0, up to version 9",
        "with values that are integers (or a string that is an integer), reject.",
        _has_a_boolean_level,
    ),
    Explanation(
        "fails at every event in a room whose first power levels say something that is no level",
        "If there is no previous m.room.power_levels event in the room, allow.",
        _is_under_unreadable_levels,
    ),
)
