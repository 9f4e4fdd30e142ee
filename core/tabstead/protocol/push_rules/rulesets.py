"""Changes to a user's ruleset, each a new ruleset; and the checks of what a client wants in it.

The user's own rules stand above the defaults of their kind, below `.m.rule.master` alone.
(client-server API, "Push Rules: API")
"""

from collections.abc import Callable
from typing import Any, Final

from tabstead.errors import BadJson, InvalidParam, MissingParam, NotFound
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import UserID, is_room_id, is_user_id
from tabstead.protocol.push_rules.defaults import MASTER, POSTCONTENT, default_push_rules

PUSH_RULE_KINDS: Final = ("override", "content", "room", "sender", "underride")

MAX_RULE_ID_LENGTH: Final = 255


def parse_push_rule(kind: str, rule_id: str, body: JsonDict) -> JsonDict:
    """The rule that a client's PUT makes. Raises InvalidParam, MissingParam or BadJson."""
    _check_kind(kind)
    _check_rule_id(kind, rule_id)
    if "actions" not in body:
        raise MissingParam("A push rule has actions.")
    rule: JsonDict = {"rule_id": rule_id, "default": False, "enabled": True, "actions": check_actions(body["actions"])}
    if kind in ("override", "underride"):
        rule["conditions"] = _check_conditions(body.get("conditions", []))
    elif kind == "content":
        if "pattern" not in body:
            raise MissingParam("A content rule has a pattern.")
        if not isinstance(body["pattern"], str):
            raise BadJson("pattern is not a string.")
        rule["pattern"] = body["pattern"]
    return rule


def check_actions(actions: Any) -> list[Any]:
    """The actions without those that only older specifications had. Raises BadJson for what are none."""
    if not isinstance(actions, list):
        raise BadJson("actions is not an array.")
    for action in actions:
        is_tweak = isinstance(action, dict) and isinstance(action.get("set_tweak"), str)
        if not (is_tweak or isinstance(action, str)):
            raise BadJson("An action is a string or an object with set_tweak.")
    return [action for action in actions if action not in ("dont_notify", "coalesce")]


def find_rule(ruleset: JsonDict, kind: str, rule_id: str) -> JsonDict | None:
    """The rule with this ID among those of this kind."""
    if kind != POSTCONTENT:
        _check_kind(kind)
    return next((rule for rule in ruleset.get(kind, ()) if rule["rule_id"] == rule_id), None)


def with_rule(
    ruleset: JsonDict, kind: str, rule: JsonDict, *, before: str | None = None, after: str | None = None
) -> JsonDict:
    """The ruleset with a rule of the user's, new or in place of the one with its ID.

    It goes right before or after another of the user's rules; else it stays where it was, or, new, becomes the most
    important. Raises NotFound if there is no such other rule, InvalidParam if that is a default one.
    """
    rules = list(ruleset.get(kind, ()))
    old = find_rule(ruleset, kind, rule["rule_id"])
    position = next((index for index, other in enumerate(rules) if other["rule_id"] != MASTER), len(rules))
    if old is not None:
        position = rules.index(old)
        rules.remove(old)
        rule = {**rule, "enabled": old["enabled"]}
    if before is not None:
        position = _index_of(rules, before)
    elif after is not None:
        position = _index_of(rules, after) + 1
    rules.insert(position, rule)
    return {**ruleset, kind: rules}


def without_rule(ruleset: JsonDict, kind: str, rule_id: str) -> JsonDict:
    """The ruleset without a rule of the user's. Raises NotFound, or InvalidParam for a default rule."""
    rule = _get_rule(ruleset, kind, rule_id)
    if rule["default"]:
        raise InvalidParam("A default rule cannot be deleted, only disabled.")
    return {**ruleset, kind: [other for other in ruleset[kind] if other is not rule]}


def with_enabled(ruleset: JsonDict, kind: str, rule_id: str, *, enabled: bool) -> JsonDict:
    """The ruleset with a rule enabled or disabled. Raises NotFound."""
    return _changed(ruleset, kind, rule_id, lambda rule: {**rule, "enabled": enabled})


def with_actions(ruleset: JsonDict, kind: str, rule_id: str, actions: Any) -> JsonDict:
    """The ruleset with other actions of a rule. Raises NotFound or BadJson."""
    checked = check_actions(actions)
    return _changed(ruleset, kind, rule_id, lambda rule: {**rule, "actions": checked})


def update_defaults(ruleset: JsonDict, user_id: UserID, *, with_threads: bool = False) -> JsonDict:
    """A stored ruleset brought up to today's default rules, with what the user changed of them."""
    updated: JsonDict = {}
    for kind, defaults in default_push_rules(user_id, with_threads=with_threads).items():
        stored = {rule["rule_id"]: rule for rule in ruleset.get(kind, ())}
        current = [_with_users_changes(default, stored.get(default["rule_id"])) for default in defaults]
        above = [rule for rule in current if rule["rule_id"] == MASTER]
        own = [rule for rule in stored.values() if not rule["default"]]
        updated[kind] = above + own + [rule for rule in current if rule["rule_id"] != MASTER]
    return updated


def _with_users_changes(default: JsonDict, stored: JsonDict | None) -> JsonDict:
    return {**default, "enabled": stored["enabled"], "actions": stored["actions"]} if stored else default


def _changed(ruleset: JsonDict, kind: str, rule_id: str, change: Callable[[JsonDict], JsonDict]) -> JsonDict:
    rule = _get_rule(ruleset, kind, rule_id)
    return {**ruleset, kind: [change(other) if other is rule else other for other in ruleset[kind]]}


def _get_rule(ruleset: JsonDict, kind: str, rule_id: str) -> JsonDict:
    rule = find_rule(ruleset, kind, rule_id)
    if rule is None:
        raise NotFound("There is no such push rule.")
    return rule


def _index_of(rules: list[JsonDict], rule_id: str) -> int:
    for index, rule in enumerate(rules):
        if rule["rule_id"] == rule_id:
            if rule["default"]:
                raise InvalidParam("A rule can only be placed beside one of the user's own.")
            return index
    raise NotFound("There is no push rule to place this one beside.")


def _check_kind(kind: str) -> None:
    if kind not in PUSH_RULE_KINDS:
        raise InvalidParam(f"{kind[:40]!r} is not a kind of push rule.")


def _check_rule_id(kind: str, rule_id: str) -> None:
    if not rule_id or rule_id.startswith(".") or "/" in rule_id or "\\" in rule_id:
        raise InvalidParam("A rule ID does not begin with a dot and has no slashes.")
    if len(rule_id) > MAX_RULE_ID_LENGTH:
        raise InvalidParam("The rule ID is too long.")
    if kind == "room" and not is_room_id(rule_id):
        raise InvalidParam("The ID of a room rule is a room ID.")
    if kind == "sender" and not is_user_id(rule_id):
        raise InvalidParam("The ID of a sender rule is a user ID.")


def _check_conditions(conditions: Any) -> list[Any]:
    if not isinstance(conditions, list):
        raise BadJson("conditions is not an array.")
    for condition in conditions:
        if not isinstance(condition, dict) or not isinstance(condition.get("kind"), str):
            raise BadJson("A condition is an object with a kind.")
    return conditions
