"""Filters as values: what they let through, and how they are read."""

import pytest

from tabstead.errors import BadJson
from tabstead.protocol.filters import (
    MAX_LIMIT,
    EventFilter,
    matches_type,
    parse_event_filter,
    parse_sync_filter,
    select_fields,
    split_path,
)


def test_an_empty_filter_lets_everything_through() -> None:
    everything = parse_event_filter({})
    assert everything == EventFilter()
    assert everything.allows("m.room.message", "@a:b", {"url": 1})
    assert everything.allows_room("!a")


def test_exclusion_wins_over_inclusion() -> None:
    event_filter = parse_event_filter(
        {"types": ["m.*"], "not_types": ["m.room.*"], "rooms": ["!a"], "not_rooms": ["!a"]}
    )
    assert event_filter.allows_type("m.reaction")
    assert not event_filter.allows_type("m.room.message")
    assert not event_filter.allows_type("org.example")
    assert not event_filter.allows_room("!a")


@pytest.mark.parametrize(
    ("pattern", "event_type", "matches"),
    [
        ("m.room.message", "m.room.message", True),
        ("m.room.message", "m.room.message.more", False),
        ("m.room.*", "m.room.", True),
        ("*", "", True),
        ("m.*.x", "m.a\nb.x", True),
        ("m?room", "m.room", False),
        ("m.**e", "m.e", True),
    ],
)
def test_a_star_is_any_characters(pattern: str, event_type: str, matches: bool) -> None:
    assert matches_type(pattern, event_type) is matches


def test_a_limit_is_bounded() -> None:
    assert parse_event_filter({"limit": 10**9}).limit == MAX_LIMIT
    for limit in (-1, True, 1.5, "1"):
        with pytest.raises(BadJson):
            parse_event_filter({"limit": limit})


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("content.body", ("content", "body")),
        (r"content.m\.relates_to", ("content", "m.relates_to")),
        (r"a\\.b", ("a\\", "b")),
        ("a..b", ("a", "", "b")),
        ("", ("",)),
        ("end\\", ("end\\",)),
    ],
)
def test_paths_are_split_at_dots_that_are_not_escaped(path: str, keys: tuple[str, ...]) -> None:
    assert split_path(path) == keys


def test_fields_are_selected_without_touching_the_event() -> None:
    event = {"type": "a", "content": {"b": {"c": 1, "d": 2}, "e": 3}}
    selected = select_fields(event, (("content", "b", "c"), ("content", "e"), ("content", "e", "f"), ("nothing",)))
    assert selected == {"content": {"b": {"c": 1}, "e": 3}}
    assert event == {"type": "a", "content": {"b": {"c": 1, "d": 2}, "e": 3}}


def test_a_path_into_a_selected_object_adds_nothing_to_it() -> None:
    event = {"content": {"b": 1}}
    selected = select_fields(event, (("content",), ("content", "b")))
    assert selected == event
    assert event == {"content": {"b": 1}}


def test_a_sync_filter_has_a_part_for_each_stream() -> None:
    parsed = parse_sync_filter(
        {
            "room": {"timeline": {"limit": 3}, "account_data": {"types": []}, "include_leave": True},
            "presence": {"types": ["x"]},
        }
    )
    assert parsed.timeline.limit == 3
    assert parsed.room_account_data.types == ()
    assert parsed.include_leave
    assert parsed.presence.types == ("x",)
    assert parsed.state == EventFilter()
