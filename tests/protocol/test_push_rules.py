"""Push rules: what the defaults say of events, every condition, and what users may change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from room_story import RoomStory, user

from tabstead.errors import BadJson, InvalidParam, MissingParam, NotFound
from tabstead.protocol.auth_rules import RoomState
from tabstead.protocol.push_rules import (
    PUSH_RULE_KINDS,
    PushContext,
    default_push_rules,
    evaluate_push_rules,
    find_rule,
    highlights,
    notifies,
    parse_push_rule,
    update_defaults,
    with_actions,
    with_enabled,
    with_rule,
    without_rule,
)
from tabstead.protocol.push_rules.globs import contains_words, matches_all, matches_words

SOUND = {"set_tweak": "sound", "value": "default"}
HIGHLIGHT = {"set_tweak": "highlight"}
DEFAULTS = default_push_rules(user("bob"))


class Phone:
    """Bob's phone, in a room with alice and others."""

    def __init__(self, member_count=3, display_name="Bob", levels=None):
        self.story = RoomStory.founded("12").levels(**(levels or {}))
        self.member_count, self.display_name = member_count, display_name

    def actions(self, ruleset, event_type="m.room.message", content=None, state_key=None, sender="alice"):
        context = PushContext(
            user_id=user("bob"),
            display_name=self.display_name,
            member_count=self.member_count,
            power_levels=RoomState(self.story.state, self.story.version).power_levels,
        )
        event = self.story.event(sender, event_type, content or {}, state_key)
        return evaluate_push_rules(ruleset, event, context)

    def rings(self, conditions, **event):
        """Whether a rule with these conditions, and no other rule, notifies."""
        rule = {"rule_id": "x", "default": False, "enabled": True, "conditions": conditions, "actions": ["notify"]}
        return notifies(self.actions({"override": [rule]}, **event))


class TestDefaults:
    def test_there_are_all_of_the_specification_in_its_order(self):
        ids = {kind: [rule["rule_id"].removeprefix(".m.rule.") for rule in rules] for kind, rules in DEFAULTS.items()}
        assert ids == {
            "override": [
                "master",
                "suppress_notices",
                "invite_for_me",
                "member_event",
                "is_user_mention",
                "is_room_mention",
                "tombstone",
                "reaction",
                "room.server_acl",
                "suppress_edits",
            ],
            "content": [],
            "room": [],
            "sender": [],
            "underride": ["call", "encrypted_room_one_to_one", "room_one_to_one", "message", "encrypted"],
        }
        rules = [rule for kind in DEFAULTS.values() for rule in kind]
        assert all(rule["default"] for rule in rules)
        assert [rule["rule_id"] for rule in rules if not rule["enabled"]] == [".m.rule.master"]

    @pytest.mark.parametrize(
        ("event_type", "content", "state_key", "expected"),
        [
            ("m.room.message", {"msgtype": "m.text", "body": "hello"}, None, ["notify"]),
            ("m.room.message", {"msgtype": "m.notice", "body": "hello"}, None, []),
            ("m.room.encrypted", {}, None, ["notify"]),
            ("m.room.member", {"membership": "invite"}, user("bob"), ["notify", SOUND]),
            ("m.room.member", {"membership": "invite"}, user("carol"), []),
            ("m.room.member", {"membership": "join"}, user("alice"), []),
            ("m.room.message", {"m.mentions": {"user_ids": [user("bob")]}}, None, ["notify", SOUND, HIGHLIGHT]),
            ("m.room.message", {"m.mentions": {"user_ids": [user("carol")]}}, None, ["notify"]),
            ("m.room.message", {"m.mentions": {"room": True}}, None, ["notify", HIGHLIGHT]),
            ("m.room.message", {"m.mentions": {"room": "true"}}, None, ["notify"]),
            ("m.room.tombstone", {}, "", ["notify", HIGHLIGHT]),
            ("m.room.tombstone", {}, None, []),
            ("m.room.tombstone", {}, "x", []),
            ("m.reaction", {}, None, []),
            ("m.room.server_acl", {}, "", []),
            ("m.room.message", {"m.relates_to": {"rel_type": "m.replace"}}, None, []),
            ("m.room.message", {"m.relates_to": {"rel_type": "m.thread"}}, None, ["notify"]),
            ("m.call.invite", {}, None, ["notify", {"set_tweak": "sound", "value": "ring"}]),
            ("m.room.topic", {}, "", []),
            ("org.example.custom", {}, None, []),
        ],
    )
    def test_what_they_say(self, event_type, content, state_key, expected):
        assert Phone().actions(DEFAULTS, event_type, content, state_key) == expected

    @pytest.mark.parametrize("event_type", ["m.room.message", "m.room.encrypted"])
    @pytest.mark.parametrize(("member_count", "expected"), [(1, ["notify"]), (2, ["notify", SOUND]), (3, ["notify"])])
    def test_two_alone_are_louder(self, event_type, member_count, expected):
        assert Phone(member_count).actions(DEFAULTS, event_type) == expected

    @pytest.mark.parametrize(("level", "expected"), [(59, ["notify"]), (60, ["notify", HIGHLIGHT])])
    def test_calling_the_room_takes_a_power_level(self, level, expected):
        phone = Phone(levels={"notifications": {"room": 60}, "users": {"carol": level}})
        content = {"m.mentions": {"room": True}}
        assert phone.actions(DEFAULTS, content=content, sender="carol") == expected

    def test_ones_own_events_are_no_news(self):
        assert Phone().actions(DEFAULTS, sender="bob") == []

    def test_the_master_rule_silences_all(self):
        silenced = with_enabled(DEFAULTS, "override", ".m.rule.master", enabled=True)
        assert Phone().actions(silenced, content={"m.mentions": {"user_ids": [user("bob")]}}) == []


class TestConditions:
    @pytest.mark.parametrize(
        ("key", "pattern", "rings"),
        [
            ("content.topic", "lunc?*", True),
            ("content.topic", "lunc?", False),
            ("content.topic", "LUNCH*S", True),
            ("content.topic", "unch", False),
            ("content.body", "ex*ple", True),
            ("content.body", "exam", False),
            ("content.absent", "*", False),
            ("content.number", "*", False),
            ("content", "*", False),
            ("content.topic.deeper", "*", False),
            ("type", "m.room.message", True),
            ("room_id", "!*", True),
            ("sender", user("alice"), True),
            (r"content.a\.b.c\\d", "deep", True),
            (r"content.a\.b.c\d", "deep", True),
            (r"content.a.b.c\d", "deep", False),
            ("content.", "empty", True),
            (None, "*", False),
            ("type", None, False),
        ],
    )
    def test_event_match(self, key, pattern, rings):
        content = {
            "topic": "Lunch plans",
            "body": "An example event.",
            "number": 7,
            "a.b": {"c\\d": "deep"},
            "": "empty",
        }
        assert Phone().rings([{"kind": "event_match", "key": key, "pattern": pattern}], content=content) is rings

    @pytest.mark.parametrize("value", ["text", 7, 0, True, False, None])
    def test_event_property_is(self, value):
        def rings(wanted):
            condition = {"kind": "event_property_is", "key": "content.x", "value": wanted}
            return Phone().rings([condition], content={"x": value})

        assert [wanted for wanted in ("text", 7, 0, True, False, None, "7", 1.0, [], {}) if rings(wanted)] == [value]

    @pytest.mark.parametrize("value", [1.5, [], {}, ["text"]])
    def test_event_property_is_never_compound(self, value):
        condition = {"kind": "event_property_is", "key": "content.x", "value": value}
        assert not Phone().rings([condition], content={"x": value})

    def test_what_is_absent_is_not_null(self):
        assert not Phone().rings([{"kind": "event_property_is", "key": "content.x", "value": None}])

    def test_event_property_contains(self):
        def rings(wanted, value):
            condition = {"kind": "event_property_contains", "key": "content.x", "value": wanted}
            return Phone().rings([condition], content={"x": value})

        assert rings("a", [["a"], 7, "a"])
        assert rings(True, [1, True])
        assert not rings(True, [1, "true"])
        assert not rings(["a"], [["a"]])
        assert not rings("a", "a")
        assert not rings("a", {"a": "a"})

    @pytest.mark.parametrize(
        ("body", "rings"),
        [("Bob!", True), ("hi bob", True), ("hi bobby", False), ("kabob", False), ("", False), (7, False)],
    )
    def test_contains_display_name(self, body, rings):
        assert Phone().rings([{"kind": "contains_display_name"}], content={"body": body}) is rings

    @pytest.mark.parametrize("display_name", [None, ""])
    def test_who_has_no_display_name_is_not_mentioned(self, display_name):
        phone = Phone(display_name=display_name)
        assert not phone.rings([{"kind": "contains_display_name"}], content={"body": "None, you"})

    @pytest.mark.parametrize(
        ("condition", "counts"),
        [
            ("2", {2}),
            ("==2", {2}),
            ("<2", {1}),
            (">2", {3}),
            ("<=2", {1, 2}),
            (">=2", {2, 3}),
            ("", set()),
            ("=2", set()),
            ("two", set()),
            ("2 ", set()),
            (2, set()),
            (None, set()),
        ],
    )
    def test_room_member_count(self, condition, counts):
        rings = {count for count in (1, 2, 3) if Phone(count).rings([{"kind": "room_member_count", "is": condition}])}
        assert rings == counts

    @pytest.mark.parametrize(("key", "rings"), [("room", True), ("special", False), ("other", True), (None, False)])
    def test_sender_notification_permission(self, key, rings):
        phone = Phone(levels={"notifications": {"room": 50, "special": 51}, "users": {"carol": 50}})
        assert phone.rings([{"kind": "sender_notification_permission", "key": key}], sender="carol") is rings

    @pytest.mark.parametrize("unknown", [{"kind": "org.example"}, {}, {"kind": 7}, "event_match", None])
    def test_an_unknown_condition_never_holds(self, unknown):
        assert not Phone().rings([unknown])

    def test_all_conditions_must_hold_and_none_is_all(self):
        yes, no = {"kind": "room_member_count", "is": "3"}, {"kind": "room_member_count", "is": "4"}
        assert Phone().rings([yes, yes])
        assert not Phone().rings([yes, no])
        assert Phone().rings([])


class TestKinds:
    def rule(self, rule_id, *actions, **fields):
        return {"rule_id": rule_id, "default": False, "enabled": True, "actions": list(actions), **fields}

    def test_the_first_kind_and_the_first_rule_decide(self):
        phone = Phone()
        ruleset = {
            "underride": [self.rule("a", "underride", conditions=[])],
            "sender": [self.rule(user("alice"), "sender")],
            "room": [self.rule(phone.story.room_id, "room")],
            "content": [self.rule("tea", "tea", pattern="tea"), self.rule("time", "time", pattern="time")],
            "override": [self.rule("o", "override", conditions=[{"kind": "room_member_count", "is": "3"}])],
        }
        seen = []
        for kind in ("override", "content", "room", "sender", "underride"):
            seen += phone.actions(ruleset, content={"body": "It's time for tea"})
            ruleset = {**ruleset, kind: []}
        assert seen == ["override", "tea", "room", "sender", "underride"]

    def test_a_disabled_rule_is_passed_over(self):
        ruleset = {"sender": [{**self.rule(user("alice"), "notify"), "enabled": False}]}
        assert Phone().actions(ruleset) == []

    def test_rules_for_others_do_not_match(self):
        ruleset = {
            "content": [self.rule("c", "notify", pattern="absent"), self.rule("d", "notify")],
            "room": [self.rule("!other", "notify")],
            "sender": [self.rule(user("carol"), "notify")],
        }
        assert Phone().actions(ruleset, content={"body": "hello"}) == []

    def test_old_actions_mean_nothing(self):
        ruleset = {"sender": [self.rule(user("alice"), "dont_notify", "coalesce", HIGHLIGHT)]}
        assert Phone().actions(ruleset) == [HIGHLIGHT]

    @pytest.mark.parametrize(
        ("actions", "is_loud"),
        [
            ([HIGHLIGHT], True),
            ([{"set_tweak": "highlight", "value": True}], True),
            ([{"set_tweak": "highlight", "value": False}], False),
            ([SOUND, "notify"], False),
        ],
    )
    def test_highlights(self, actions, is_loud):
        assert highlights(actions) is is_loud
        assert notifies(actions) is ("notify" in actions)


class TestGlobs:
    @pytest.mark.parametrize(
        ("pattern", "text"),
        [
            ("", ""),
            ("*", ""),
            ("*", "x"),
            ("a*c", "ac"),
            ("a*c", "abcc"),
            ("a?c", "a\nc"),
            ("*b*", "abc"),
            ("a*b*a", "abba"),
            ("***", "x"),
            ("STRASSE", "straße"),
            ("a.c", "a.c"),
            ("[x]", "[x]"),
        ],
    )
    def test_matches_all(self, pattern, text):
        assert matches_all(pattern, text)

    @pytest.mark.parametrize(
        ("pattern", "text"),
        [("", "x"), ("a", "ab"), ("b", "ab"), ("?", ""), ("a*a", "a"), ("a.c", "abc"), ("[x]", "x"), ("ab*ba", "aba")],
    )
    def test_matches_not_all(self, pattern, text):
        assert not matches_all(pattern, text)

    @pytest.mark.parametrize(
        ("pattern", "text"),
        [
            ("tea", "Tea!"),
            ("tea", "x tea"),
            ("t?a", "a toa b"),
            ("*ea", "tea"),
            ("ex*ple", "An exciting triple-whammy"),
            ("@room", "hi @room"),
            ("@room", "hi@room"),
            ("a*", "a"),
            ("a", "ba a"),
            ("aa", "aaa aa"),
            ("ü", "süß"),
        ],
    )
    def test_matches_words(self, pattern, text):
        assert matches_words(pattern, text)

    @pytest.mark.parametrize(
        ("pattern", "text"),
        [("tea", "teapot"), ("tea", "instead"), ("tea", "_tea_"), ("ex*ple", "exples"), ("a*z", "a zebra")],
    )
    def test_matches_no_words(self, pattern, text):
        assert not matches_words(pattern, text)

    def test_a_name_is_no_pattern(self):
        assert contains_words("B*b", "hi b*b")
        assert not contains_words("B*b", "hi bob")

    @given(st.text("ab*?", max_size=6), st.text("abc", max_size=8))
    def test_as_the_definition_says(self, pattern, text):
        assert matches_all(pattern, text) is defined_match(pattern, text)

    @given(st.text("a *?", max_size=5), st.text("ab -", max_size=7))
    def test_words_as_the_definition_says(self, pattern, text):
        def is_boundary(position):
            around = text[max(position - 1, 0) : position + 1]
            return position in (0, len(text)) or any(character in " -" for character in around)

        places = [position for position in range(len(text) + 1) if is_boundary(position)]
        found = any(defined_match(pattern, text[start:end]) for start in places for end in places if start <= end)
        assert matches_words(pattern, text) is found

    def test_no_pattern_is_expensive(self):
        """With backtracking this would not end in our lifetime."""
        body = "a" * 60_000
        assert not matches_words("*a" * 100 + "b", body)
        assert not matches_all("*a" * 100 + "b", body)


def defined_match(pattern, text):
    """The definition of a glob, by trying everything."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return defined_match(pattern[1:], text) or (bool(text) and defined_match(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and defined_match(pattern[1:], text[1:])


class TestParsing:
    def test_rules_of_each_kind(self):
        conditions = [{"kind": "contains_display_name"}]
        parsed = parse_push_rule("override", "mine", {"actions": ["notify"], "conditions": conditions, "x": 1})
        assert parsed == {
            "rule_id": "mine",
            "default": False,
            "enabled": True,
            "actions": ["notify"],
            "conditions": conditions,
        }
        assert parse_push_rule("underride", "mine", {"actions": []})["conditions"] == []
        assert parse_push_rule("content", "tea", {"actions": [], "pattern": "tea"})["pattern"] == "tea"
        assert parse_push_rule("room", "!room:x", {"actions": [HIGHLIGHT]})["actions"] == [HIGHLIGHT]
        assert "pattern" not in parse_push_rule("sender", "@a:x", {"actions": [], "pattern": "x"})

    @pytest.mark.parametrize(
        ("kind", "rule_id", "body", "error"),
        [
            ("other", "x", {"actions": []}, InvalidParam),
            ("override", "", {"actions": []}, InvalidParam),
            ("override", ".m.rule.master", {"actions": []}, InvalidParam),
            ("override", "a/b", {"actions": []}, InvalidParam),
            ("override", "a\\b", {"actions": []}, InvalidParam),
            ("override", "x" * 256, {"actions": []}, InvalidParam),
            ("room", "room", {"actions": []}, InvalidParam),
            ("sender", "alice", {"actions": []}, InvalidParam),
            ("override", "x", {}, MissingParam),
            ("override", "x", {"actions": "notify"}, BadJson),
            ("override", "x", {"actions": [7]}, BadJson),
            ("override", "x", {"actions": [{"set_tweak": 7}]}, BadJson),
            ("override", "x", {"actions": [], "conditions": {}}, BadJson),
            ("override", "x", {"actions": [], "conditions": [7]}, BadJson),
            ("override", "x", {"actions": [], "conditions": [{"kind": 7}]}, BadJson),
            ("content", "x", {"actions": []}, MissingParam),
            ("content", "x", {"actions": [], "pattern": 7}, BadJson),
        ],
    )
    def test_what_is_no_rule(self, kind, rule_id, body, error):
        with pytest.raises(error):
            parse_push_rule(kind, rule_id, body)

    def test_old_actions_are_dropped(self):
        assert parse_push_rule("override", "x", {"actions": ["dont_notify", "notify"]})["actions"] == ["notify"]


def own(rule_id):
    return parse_push_rule("override", rule_id, {"actions": []})


def order(ruleset, kind="override"):
    return [rule["rule_id"] for rule in ruleset[kind] if not rule["default"] or rule["rule_id"] == ".m.rule.master"]


class TestChanges:
    three = with_rule(with_rule(with_rule(DEFAULTS, "override", own("a")), "override", own("b")), "override", own("c"))

    def test_a_new_rule_is_the_most_important_of_ones_own(self):
        assert order(self.three) == [".m.rule.master", "c", "b", "a"]
        assert self.three["override"][4:] == DEFAULTS["override"][1:]
        assert with_rule(DEFAULTS, "room", parse_push_rule("room", "!r", {"actions": []}))["room"][0]["rule_id"] == "!r"

    @pytest.mark.parametrize(
        ("place", "expected"),
        [({"before": "a"}, "cbxa"), ({"before": "c"}, "xcba"), ({"after": "c"}, "cxba"), ({"after": "a"}, "cbax")],
    )
    def test_a_rule_goes_where_it_is_told_to(self, place, expected):
        assert order(with_rule(self.three, "override", own("x"), **place))[1:] == list(expected)

    def test_a_rule_is_replaced_where_it_stands_and_keeps_its_switch(self):
        disabled = with_enabled(self.three, "override", "b", enabled=False)
        replaced = with_rule(disabled, "override", {**own("b"), "actions": ["notify"]})
        assert order(replaced)[1:] == ["c", "b", "a"]
        assert find_rule(replaced, "override", "b") == {**own("b"), "actions": ["notify"], "enabled": False}
        assert order(with_rule(self.three, "override", own("a"), before="c"))[1:] == ["a", "c", "b"]
        assert order(with_rule(self.three, "override", own("c"), after="a"))[1:] == ["b", "a", "c"]

    @pytest.mark.parametrize("place", [{"before": "absent"}, {"after": "absent"}])
    def test_there_must_be_something_to_be_beside(self, place):
        with pytest.raises(NotFound):
            with_rule(self.three, "override", own("x"), **place)

    @pytest.mark.parametrize("place", [{"before": ".m.rule.master"}, {"after": ".m.rule.reaction"}])
    def test_own_rules_are_not_among_the_defaults(self, place):
        with pytest.raises(InvalidParam):
            with_rule(self.three, "override", own("x"), **place)

    def test_own_rules_can_be_deleted(self):
        assert order(without_rule(self.three, "override", "b"))[1:] == ["c", "a"]
        with pytest.raises(NotFound):
            without_rule(self.three, "override", "absent")
        with pytest.raises(InvalidParam):
            without_rule(self.three, "override", ".m.rule.reaction")

    def test_any_rule_can_be_disabled_and_told_what_to_do(self):
        changed = with_actions(
            with_enabled(DEFAULTS, "override", ".m.rule.reaction", enabled=False),
            "override",
            ".m.rule.reaction",
            ["notify", "dont_notify"],
        )
        rule = find_rule(changed, "override", ".m.rule.reaction")
        assert (rule["enabled"], rule["actions"]) == (False, ["notify"])
        assert default_push_rules(user("bob")) == DEFAULTS
        with pytest.raises(NotFound):
            with_enabled(DEFAULTS, "override", "absent", enabled=True)
        with pytest.raises(BadJson):
            with_actions(DEFAULTS, "override", ".m.rule.reaction", "notify")

    def test_kinds_are_known(self):
        assert tuple(DEFAULTS) == PUSH_RULE_KINDS
        with pytest.raises(InvalidParam):
            find_rule(DEFAULTS, "others", "x")

    def test_a_stored_ruleset_learns_new_defaults_and_keeps_what_the_user_changed(self):
        old = with_actions(self.three, "override", ".m.rule.reaction", ["notify"])
        old = with_enabled(old, "override", ".m.rule.master", enabled=True)
        removed = {".m.rule.tombstone", ".m.rule.suppress_edits"}
        old["override"] = [rule for rule in old["override"] if rule["rule_id"] not in removed]
        old["override"].append({**own("gone"), "rule_id": ".m.rule.gone", "default": True})
        del old["underride"]
        updated = update_defaults(old, user("bob"))
        assert order(updated) == [".m.rule.master", "c", "b", "a"]
        assert [rule["rule_id"] for rule in updated["override"][4:]] == [
            rule["rule_id"] for rule in DEFAULTS["override"][1:]
        ]
        assert find_rule(updated, "override", ".m.rule.reaction")["actions"] == ["notify"]
        assert find_rule(updated, "override", ".m.rule.master")["enabled"] is True
        assert updated["underride"] == DEFAULTS["underride"]
        assert update_defaults(updated, user("bob")) == updated
