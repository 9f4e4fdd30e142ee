"""The words of a text, as searches compare them.

A word is a run of letters, digits and marks, without regard to case, width and accents: `Ångström` and `angstrom` are
the same. Where a script writes no spaces (Chinese, Japanese kana), every character and every two neighbours are words,
and what is searched for is split into neighbours.
"""

import re
from typing import Final

_UNSPACED: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_runs: Final = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+").findall
_unspaced: Final = re.compile(f"[{_UNSPACED}]+").fullmatch

MIN_PREFIX: Final = 3
"""A word of so many letters that is searched for also finds the longer words which begin with it."""


def split_words(text: str) -> list[str]:
    """The words of a text that can be searched for, in their order; a word comes as often as the text has it."""
    words: list[str] = []
    for run in _split_runs(text):
        if _unspaced(run):
            words += run
            words += _neighbours(run)
        else:
            words.append(run)
    return words


def split_term(term: str) -> list[str]:
    """The words that a text must have to be found by a term, each once."""
    words: list[str] = []
    for run in _split_runs(term):
        words += _neighbours(run) if len(run) > 1 and _unspaced(run) else [run]
    return list(dict.fromkeys(words))


def is_found_by(word: str, wanted: str) -> bool:
    """Whether a word of a text is what a word of a term asks for."""
    return word == wanted or (len(wanted) >= MIN_PREFIX and word.startswith(wanted))


def _split_runs(text: str) -> list[str]:
    """The words, those of unspaced scripts in one piece."""
    runs: list[str] = []
    for part in _normalise(text).split():
        runs += _runs(part)
    return runs


def _normalise(text: str) -> str:
    """The text without accents and case, with nothing but words and spaces."""
    if text.isascii():
        return re.sub(r"[^0-9a-z]", " ", text.lower())
    import unicodedata  # a megabyte of tables

    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = (
        character if character.isalnum() or unicodedata.category(character)[0] == "M" else " "
        for character in decomposed
        if not unicodedata.combining(character)
    )
    return "".join(kept)


def _neighbours(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]
