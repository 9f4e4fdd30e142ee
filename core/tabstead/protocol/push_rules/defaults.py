"""The server-default rules of the specification, for one user. (client-server API, "Predefined Rules")"""

from typing import Any, Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import UserID

MASTER: Final = ".m.rule.master"
"""The one default rule that stands above the user's own: enabled, it silences everything."""

POSTCONTENT: Final = "postcontent"
"""The kind of the rules for threads, which only the server has."""

_HIGHLIGHT: Final = {"set_tweak": "highlight"}


def default_push_rules(user_id: UserID, *, with_threads: bool = False) -> JsonDict:
    """The ruleset of a user who changed nothing; `with_threads` is for one who subscribes to threads (MSC4306)."""
    rules = _default_push_rules(user_id)
    if not with_threads:
        return rules
    above = ("override", "content")
    return {**{kind: rules[kind] for kind in above}, POSTCONTENT: _thread_rules(), **rules}


def _thread_rules() -> list[JsonDict]:
    prefix, kind = ".io.element.msc4306.rule", "io.element.msc4306.thread_subscription"
    return [
        _rule(f"{prefix}.unsubscribed_thread", [{"kind": kind, "subscribed": False}], []),
        _rule(f"{prefix}.subscribed_thread", [{"kind": kind, "subscribed": True}], ["notify", _sound("default")]),
    ]


def _default_push_rules(user_id: UserID) -> JsonDict:
    return {
        "override": [
            _rule(MASTER, [], [], enabled=False),
            _rule(".m.rule.suppress_notices", [_match("content.msgtype", "m.notice")], []),
            _rule(
                ".m.rule.invite_for_me",
                [
                    _match("type", "m.room.member"),
                    _match("content.membership", "invite"),
                    _match("state_key", user_id),
                ],
                ["notify", _sound("default")],
            ),
            _rule(".m.rule.member_event", [_match("type", "m.room.member")], []),
            _rule(
                ".m.rule.is_user_mention",
                [{"kind": "event_property_contains", "key": r"content.m\.mentions.user_ids", "value": user_id}],
                ["notify", _sound("default"), _HIGHLIGHT],
            ),
            _rule(
                ".m.rule.is_room_mention",
                [
                    {"kind": "event_property_is", "key": r"content.m\.mentions.room", "value": True},
                    {"kind": "sender_notification_permission", "key": "room"},
                ],
                ["notify", _HIGHLIGHT],
            ),
            _rule(".m.rule.tombstone", _state_event("m.room.tombstone"), ["notify", _HIGHLIGHT]),
            _rule(".m.rule.reaction", [_match("type", "m.reaction")], []),
            _rule(".m.rule.room.server_acl", _state_event("m.room.server_acl"), []),
            _rule(
                ".m.rule.suppress_edits",
                [{"kind": "event_property_is", "key": r"content.m\.relates_to.rel_type", "value": "m.replace"}],
                [],
            ),
        ],
        "content": [],
        "room": [],
        "sender": [],
        "underride": [
            _rule(".m.rule.call", [_match("type", "m.call.invite")], ["notify", _sound("ring")]),
            _rule(
                ".m.rule.encrypted_room_one_to_one",
                [_IN_A_ROOM_OF_TWO, _match("type", "m.room.encrypted")],
                ["notify", _sound("default")],
            ),
            _rule(
                ".m.rule.room_one_to_one",
                [_IN_A_ROOM_OF_TWO, _match("type", "m.room.message")],
                ["notify", _sound("default")],
            ),
            _rule(".m.rule.message", [_match("type", "m.room.message")], ["notify"]),
            _rule(".m.rule.encrypted", [_match("type", "m.room.encrypted")], ["notify"]),
        ],
    }


_IN_A_ROOM_OF_TWO: Final = {"kind": "room_member_count", "is": "2"}


def _rule(rule_id: str, conditions: list[JsonDict], actions: list[Any], *, enabled: bool = True) -> JsonDict:
    return {"rule_id": rule_id, "default": True, "enabled": enabled, "conditions": conditions, "actions": actions}


def _match(key: str, pattern: str) -> JsonDict:
    return {"kind": "event_match", "key": key, "pattern": pattern}


def _state_event(event_type: str) -> list[JsonDict]:
    return [_match("type", event_type), _match("state_key", "")]


def _sound(name: str) -> JsonDict:
    return {"set_tweak": "sound", "value": name}
