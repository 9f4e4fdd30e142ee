"""Glob patterns: `*` is any text, `?` any one character, everything else itself; case does not matter.

A pattern is the fixed-length pieces between its stars. Taking the leftmost place for each piece in turn finds a match
where there is one and never backtracks, so that no pattern makes a long message expensive.
(appendix "Glob-style matching"; client-server API, `event_match`)
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_WORD_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def matches_all(pattern: str, text: str) -> bool:
    """Whether the whole text matches."""
    text = text.casefold()
    first, *others = _pieces(pattern)
    if not others:
        return first.fullmatch(text) is not None
    start = first.match(text)
    if start is None:
        return False
    *middle, last = others
    position = _find_in_turn(middle, text, start.end())
    return position is not None and any(match.end() == len(text) for match in _occurrences(last, text, position))


def matches_words(pattern: str, text: str) -> bool:
    """Whether some part of the text that begins and ends at word boundaries matches."""
    text = text.casefold()
    first, *others = _pieces(pattern)
    starts = (match for match in _occurrences(first, text, 0) if _is_boundary(text, match.start()))
    if not others:
        return any(_is_boundary(text, match.end()) for match in starts)
    start = next(starts, None)
    if start is None:
        return False
    *middle, last = others
    position = _find_in_turn(middle, text, start.end())
    return position is not None and any(_is_boundary(text, match.end()) for match in _occurrences(last, text, position))


def contains_words(words: str, text: str) -> bool:
    """Whether the text contains these very words, stars and question marks included, at word boundaries."""
    text = text.casefold()
    literal = re.compile(re.escape(words.casefold()))
    return any(
        _is_boundary(text, match.start()) and _is_boundary(text, match.end())
        for match in _occurrences(literal, text, 0)
    )


def _find_in_turn(pieces: list[re.Pattern[str]], text: str, position: int) -> int | None:
    """Where the leftmost places of these pieces end, one after the other."""
    for piece in pieces:
        match = piece.search(text, position)
        if match is None:
            return None
        position = match.end()
    return position


def _occurrences(piece: re.Pattern[str], text: str, position: int) -> Iterator[re.Match[str]]:
    """All places of a piece, overlapping ones too."""
    match = piece.search(text, position)
    while match is not None:
        yield match
        if match.start() == len(text):
            return
        match = piece.search(text, match.start() + 1)


@lru_cache(maxsize=256)
def _pieces(pattern: str) -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(".".join(re.escape(part) for part in piece.split("?")), re.DOTALL)
        for piece in re.sub(r"\*+", "*", pattern.casefold()).split("*")
    )


def _is_boundary(text: str, position: int) -> bool:
    """Whether no word goes on across this position."""
    if position in (0, len(text)):
        return True
    return text[position - 1] not in _WORD_CHARACTERS or text[position] not in _WORD_CHARACTERS
