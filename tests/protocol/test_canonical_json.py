"""Canonical JSON: the specification's vectors, what strict rooms refuse, and depth without recursion."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from specification import vectors

from tabstead.errors import BadJson
from tabstead.protocol.canonical_json import (
    MAX_DEPTH,
    check_canonical,
    check_depth,
    encode_canonical_json,
    parse_json,
)

scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8"))
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner)
)


def nested(depth, innermost=None):
    value = innermost
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("case", vectors("canonical-json.json"), ids=lambda case: case["canonical"][:30])
def test_the_specifications_examples(case):
    value = parse_json(case["input"])
    check_canonical(value)
    assert encode_canonical_json(value).decode() == case["canonical"]


@given(values)
def test_what_is_encoded_is_read_again_the_same(value):
    check_canonical(value)
    encoded = encode_canonical_json(value)
    assert parse_json(encoded) == value
    assert encode_canonical_json(parse_json(encoded)) == encoded


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), scalars))
def test_the_order_of_keys_does_not_matter(value):
    backwards = dict(reversed(value.items()))
    assert encode_canonical_json(value) == encode_canonical_json(backwards)


@pytest.mark.parametrize(
    "value", [2**53, -(2**53), 1.0, 1e300, float("nan"), float("inf"), "\ud800", b"x", {1, 2}, (1,)]
)
def test_what_has_no_canonical_form(value):
    for wrapped in (value, [value], {"a": {"b": [value]}}):
        with pytest.raises(BadJson):
            check_canonical(wrapped)


def test_a_key_can_be_wrong_too():
    with pytest.raises(BadJson, match="lone surrogate"):
        check_canonical({"\udfff": 1})


@pytest.mark.parametrize("value", [2**53 - 1, -(2**53) + 1, True, False, None, "é😀", ""])
def test_what_has_one(value):
    check_canonical(value)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), "\ud800", object(), pytest.param(10**5000, id="huge")])
def test_what_cannot_be_encoded_at_all(value):
    with pytest.raises(BadJson, match="no canonical JSON"):
        encode_canonical_json({"a": value})


@pytest.mark.parametrize("check", [check_canonical, check_depth])
@pytest.mark.parametrize("innermost", [None, [], {}])
def test_depth_is_bounded(check, innermost):
    levels = MAX_DEPTH - isinstance(innermost, list | dict)
    check(nested(levels, innermost))
    with pytest.raises(BadJson, match="deeper than 200"):
        check(nested(levels + 1, innermost))


def test_depth_beyond_any_stack_is_refused_not_crashed_on():
    with pytest.raises(BadJson):
        check_canonical(nested(100_000))


def test_breadth_is_no_depth():
    check_depth([[] for _ in range(10_000)])


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "{", "", "[1,]", '{"a" 1}', b"\xff"])
def test_what_is_not_json(text):
    with pytest.raises(BadJson):
        parse_json(text)


@pytest.mark.parametrize(
    ("literal", "value"), [("1e3", 1000), ("1.0", 1), ("-0", 0), ("-0.0", 0), ("1.5", 1.5), ("1e300", 1e300)]
)
def test_whole_numbers_are_integers_however_written(literal, value):
    assert repr(parse_json(literal)) == repr(value)


def test_an_old_rooms_floats_are_encoded_as_they_came():
    assert encode_canonical_json(json.loads('{"a": 1.5}')) == b'{"a":1.5}'
