"""What a user's push rules say of an event: the actions of the first rule that matches, kind by kind.

An unknown condition, or one whose parameters make no sense, never holds.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from tabstead.protocol.auth_rules.power_levels import PowerLevels
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events.client_format import to_client_event
from tabstead.protocol.events.event import Event
from tabstead.protocol.identifiers import UserID
from tabstead.protocol.push_rules.globs import contains_words, matches_all, matches_words


@dataclass(frozen=True, slots=True, kw_only=True)
class PushContext:
    """What conditions ask about the user and the room, as they are when the event is there."""

    user_id: UserID
    display_name: str | None
    """The user's in the room."""
    member_count: int
    """Joined members."""
    power_levels: PowerLevels
    is_subscribed: bool | None = None
    """Whether the user is subscribed to the event's thread; None: it is in none, or they subscribe to none."""


def evaluate_push_rules(ruleset: JsonDict, event: Event, context: PushContext) -> list[Any]:
    """The actions for this event, none for no notification. A user's own events never notify them."""
    if event.sender == context.user_id:
        return []
    candidate = _Candidate(event, to_client_event(event), context)
    for kind, matches in _MATCHERS.items():
        for rule in ruleset.get(kind, ()):
            if rule.get("enabled", True) and matches(rule, candidate):
                return [action for action in rule.get("actions", ()) if action not in ("dont_notify", "coalesce")]
    return []


def notifies(actions: Iterable[Any]) -> bool:
    """Whether the actions make a notification."""
    return "notify" in actions


def highlights(actions: Iterable[Any]) -> bool:
    """Whether the actions make the event stand out."""
    return any(
        isinstance(action, dict) and action.get("set_tweak") == "highlight" and action.get("value", True) is not False
        for action in actions
    )


@dataclass(frozen=True, slots=True)
class _Candidate:
    event: Event
    properties: JsonDict
    context: PushContext


def _matches_conditions(rule: JsonDict, candidate: _Candidate) -> bool:
    return all(_holds(condition, candidate) for condition in rule.get("conditions", ()))


def _matches_body(rule: JsonDict, candidate: _Candidate) -> bool:
    return _event_match({"key": "content.body", "pattern": rule.get("pattern")}, candidate)


def _matches_room(rule: JsonDict, candidate: _Candidate) -> bool:
    return bool(rule.get("rule_id") == candidate.event.room_id)


def _matches_sender(rule: JsonDict, candidate: _Candidate) -> bool:
    return bool(rule.get("rule_id") == candidate.event.sender)


_MATCHERS: Final[Mapping[str, Callable[[JsonDict, _Candidate], bool]]] = {
    "override": _matches_conditions,
    "content": _matches_body,
    "postcontent": _matches_conditions,
    "room": _matches_room,
    "sender": _matches_sender,
    "underride": _matches_conditions,
}


def _holds(condition: Any, candidate: _Candidate) -> bool:
    if not isinstance(condition, dict):
        return False
    kind = condition.get("kind")
    holds = _CONDITIONS.get(kind) if isinstance(kind, str) else None
    return holds is not None and holds(condition, candidate)


def _event_match(condition: JsonDict, candidate: _Candidate) -> bool:
    key, pattern = condition.get("key"), condition.get("pattern")
    if not isinstance(key, str) or not isinstance(pattern, str):
        return False
    value = _property(candidate.properties, key)
    if not isinstance(value, str):
        return False
    return matches_words(pattern, value) if key == "content.body" else matches_all(pattern, value)


def _event_property_is(condition: JsonDict, candidate: _Candidate) -> bool:
    key = condition.get("key")
    if not isinstance(key, str) or "value" not in condition:
        return False
    return _is_same_scalar(_property(candidate.properties, key), condition["value"])


def _event_property_contains(condition: JsonDict, candidate: _Candidate) -> bool:
    key = condition.get("key")
    if not isinstance(key, str) or "value" not in condition:
        return False
    values = _property(candidate.properties, key)
    return isinstance(values, list) and any(_is_same_scalar(value, condition["value"]) for value in values)


def _contains_display_name(condition: JsonDict, candidate: _Candidate) -> bool:
    body = candidate.event.content.get("body")
    display_name = candidate.context.display_name
    return isinstance(body, str) and bool(display_name) and contains_words(display_name or "", body)


def _room_member_count(condition: JsonDict, candidate: _Candidate) -> bool:
    match = _member_count(condition["is"]) if isinstance(condition.get("is"), str) else None
    if match is None:
        return False
    return _COMPARISONS[match[1] or "=="](candidate.context.member_count, int(match[2]))


def _sender_notification_permission(condition: JsonDict, candidate: _Candidate) -> bool:
    key = condition.get("key")
    if not isinstance(key, str):
        return False
    levels = candidate.context.power_levels
    return levels.user_power_level(candidate.event.sender) >= levels.notification_power_level_required(key)


def _thread_subscription(condition: JsonDict, candidate: _Candidate) -> bool:
    is_subscribed = candidate.context.is_subscribed
    return is_subscribed is not None and condition.get("subscribed") is is_subscribed


_CONDITIONS: Final[Mapping[str, Callable[[JsonDict, _Candidate], bool]]] = {
    "event_match": _event_match,
    "event_property_is": _event_property_is,
    "event_property_contains": _event_property_contains,
    "contains_display_name": _contains_display_name,
    "room_member_count": _room_member_count,
    "sender_notification_permission": _sender_notification_permission,
    "io.element.msc4306.thread_subscription": _thread_subscription,
}

_member_count = re.compile(r"(==|<=|>=|<|>)?([0-9]{1,18})").fullmatch

_COMPARISONS: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "==": int.__eq__,
    "<": int.__lt__,
    ">": int.__gt__,
    "<=": int.__le__,
    ">=": int.__ge__,
}

_ABSENT: Final = object()
_path_step = re.compile(r"(?:\\[.\\]|[^.])*")


def _property(event: JsonDict, path: str) -> Any:
    """The property at a dot-separated path, where `\\.` and `\\\\` stand for a dot and a backslash in a name."""
    value: Any = event
    for step in _steps(path):
        if not isinstance(value, dict) or step not in value:
            return _ABSENT
        value = value[step]
    return value


@lru_cache(maxsize=256)
def _steps(path: str) -> tuple[str, ...]:
    """(appendix "Dot-separated property paths")"""
    steps, position = [], 0
    while position <= len(path):
        match = _path_step.match(path, position)
        assert match is not None, "every step matches, if only as nothing"
        steps.append(re.sub(r"\\([.\\])", r"\1", match[0]))
        position = match.end() + 1
    return tuple(steps)


def _is_same_scalar(value: object, wanted: object) -> bool:
    """Equal and of the same JSON type, which is text, integer, boolean or null."""
    return type(value) is type(wanted) and isinstance(wanted, str | int | None) and value == wanted
