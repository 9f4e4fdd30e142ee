"""The words of texts and search terms."""

import pytest

from tabstead.protocol.words import is_found_by, split_term, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world! Hello?", ["hello", "world", "hello"]),
        ("it's 3.14", ["it", "s", "3", "14"]),
        ("Ångström ÅNGSTRÖM", ["angstrom", "angstrom"]),
        ("Straße — ﬁne", ["strasse", "fine"]),
        ("ΣΊΣΥΦΟΣ", ["σισυφοσ"]),
        ("हिन्दी", ["हिनदी"]),
        ("https://tab.test/#a_b", ["https", "tab", "test", "a", "b"]),
        ("東京都", ["東", "京", "都", "東京", "京都"]),
        ("見てmatrix!", ["見", "て", "見て", "matrix"]),
        ("👍 !!", []),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ("Martians and MEN and", ["martians", "and", "men"]),
        ("東京都", ["東京", "京都"]),
        ("京", ["京"]),
        ('" OR * §1', ["or", "1"]),
    ],
)
def test_words_of_a_term(term: str, words: list[str]) -> None:
    assert split_term(term) == words


def test_longer_words_are_found_by_their_beginning_if_it_says_something() -> None:
    assert is_found_by("martians", "mart")
    assert is_found_by("me", "me")
    assert not is_found_by("men", "me")
    assert not is_found_by("mart", "martians")
