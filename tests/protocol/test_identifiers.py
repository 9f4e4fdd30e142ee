"""The grammar of identifiers: what history may hold and what is made new."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabstead.errors import InvalidParam
from tabstead.protocol import identifiers


@pytest.mark.parametrize(
    "server_name",
    [
        "matrix.org",
        "matrix.org:8888",
        "1.2.3.4",
        "1.2.3.4:1234",
        "[1234:5678::abcd]",
        "[1234:5678::abcd]:5678",
        "MATRIX",
    ],
)
def test_server_names_of_the_specification(server_name):
    assert identifiers.parse_server_name(server_name) == server_name
    assert identifiers.server_name_of(f"@alice:{server_name}") == server_name


@pytest.mark.parametrize(
    "server_name",
    [
        "",
        "a_b",
        "ex ample",
        "example.org:",
        "example.org:123456",
        "example.org:x",
        "[::1",
        "[g::1]",
        "é.org",
        "a.org\n",
        "a:1:2",
    ],
)
def test_what_is_no_server_name(server_name):
    with pytest.raises(InvalidParam):
        identifiers.parse_server_name(server_name)
    assert not identifiers.is_user_id(f"@alice:{server_name}")


@pytest.mark.parametrize("localpart", ["alice", "", "Älice B.", "a\nb", "😀", "@#!$", "\x01"])
def test_history_holds_users_of_nearly_any_name(localpart):
    user_id = f"@{localpart}:example.org"
    assert identifiers.parse_user_id(user_id) == user_id
    assert identifiers.localpart_of(user_id) == localpart


@pytest.mark.parametrize(
    "text", ["", "@", "@alice", "alice:example.org", "#a:example.org", "@a\0:example.org", "@\ud800:x.org"]
)
def test_what_is_no_user_id(text):
    with pytest.raises(InvalidParam, match="is not a user ID"):
        identifiers.parse_user_id(text)


@pytest.mark.parametrize("localpart", ["alice", "a.b_c=d-e/f+g", "0"])
def test_new_accounts_have_plain_names(localpart):
    assert identifiers.is_registrable_localpart(localpart, "example.org")
    assert identifiers.build_user_id(localpart, "example.org") == f"@{localpart}:example.org"


@pytest.mark.parametrize("localpart", ["", "Alice", "älice", "a b", "a:b", "a*", "alice\n"])
def test_new_accounts_have_no_other_names(localpart):
    assert not identifiers.is_registrable_localpart(localpart, "example.org")


@pytest.mark.parametrize(("letters", "fits"), [(242, True), (243, False)])
def test_an_identifier_has_255_bytes_at_most(letters, fits):
    localpart = "a" * letters
    assert len(f"@{'a' * 242}:example.org") == 255
    assert identifiers.is_user_id(f"@{localpart}:example.org") is fits
    assert identifiers.is_registrable_localpart(localpart, "example.org") is fits
    assert identifiers.is_room_id(f"!{localpart}:example.org") is fits
    assert identifiers.is_room_alias(f"#{localpart}:example.org") is fits
    assert identifiers.is_event_id(f"${localpart}:example.org") is fits


def test_the_limit_counts_bytes_not_characters():
    assert identifiers.is_user_id("@" + "é" * 121 + ":example.org")
    assert not identifiers.is_user_id("@" + "é" * 122 + ":example.org")


@pytest.mark.parametrize("room_id", ["!abc:example.org", "!Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ"])
def test_room_ids_with_and_without_a_domain(room_id):
    assert identifiers.parse_room_id(room_id) == room_id


@pytest.mark.parametrize("event_id", ["$abc:example.org", "$acR1l0raoZnm60CBwAVgqbZqoO/mYU81xysh1u7XcJk"])
def test_event_ids_with_and_without_a_domain(event_id):
    assert identifiers.parse_event_id(event_id) == event_id


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (identifiers.parse_room_id, "!"),
        (identifiers.parse_room_id, "!a:"),
        (identifiers.parse_room_id, "!:example.org"),
        (identifiers.parse_room_alias, "#a"),
        (identifiers.parse_room_alias, "#:example.org"),
        (identifiers.parse_event_id, "$"),
        (identifiers.parse_event_id, "$a:b:c"),
    ],
)
def test_what_is_none(parse, text):
    with pytest.raises(InvalidParam):
        parse(text)


def test_who_names_a_server():
    assert identifiers.find_server_name_of("!hash") is None
    with pytest.raises(InvalidParam, match="names no server"):
        identifiers.server_name_of("!hash")


@given(st.text(max_size=300))
def test_a_long_or_strange_text_is_quoted_briefly(text):
    with pytest.raises(InvalidParam) as caught:
        identifiers.parse_user_id("?" + text)
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 1000
