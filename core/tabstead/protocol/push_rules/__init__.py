"""Push rules: which events a user wants to be notified of, and how loudly.

A ruleset is the JSON that clients see: by kind, a list of rules in order of priority. (client-server API, "Push Rules")
"""

from tabstead.protocol.push_rules.defaults import POSTCONTENT, default_push_rules
from tabstead.protocol.push_rules.evaluation import PushContext, evaluate_push_rules, highlights, notifies
from tabstead.protocol.push_rules.rulesets import (
    PUSH_RULE_KINDS,
    check_actions,
    find_rule,
    parse_push_rule,
    update_defaults,
    with_actions,
    with_enabled,
    with_rule,
    without_rule,
)

__all__ = [
    "POSTCONTENT",
    "PUSH_RULE_KINDS",
    "PushContext",
    "check_actions",
    "default_push_rules",
    "evaluate_push_rules",
    "find_rule",
    "highlights",
    "notifies",
    "parse_push_rule",
    "update_defaults",
    "with_actions",
    "with_enabled",
    "with_rule",
    "without_rule",
]
