"""Canonical JSON: the one encoding of a value that is hashed, signed and measured.

Numbers are integers within ±(2^53 - 1), text has no lone surrogates. Rooms of versions 1 to 5 hold events that break
this; there only what cannot be encoded at all is refused. Values are walked level by level and bounded to MAX_DEPTH
levels, because the C encoder recurses and WebAssembly's stack is small.
(appendix "Canonical JSON")
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from canonicaljson import encode_canonical_json as _encode

from tabstead.errors import BadJson

JsonDict: TypeAlias = dict[str, Any]
Container: TypeAlias = dict[str, Any] | list[Any]

MAX_DEPTH: Final = 200
MAX_INTEGER: Final = 2**53 - 1


def encode_canonical_json(value: object) -> bytes:
    """Encode a value whose depth was checked. Raises BadJson for what has no encoding: NaN, lone surrogates…"""
    try:
        return _encode(value)
    except (ValueError, TypeError) as error:
        raise BadJson(f"The value has no canonical JSON: {error}") from error


def check_canonical(value: object) -> None:
    """Raise BadJson unless the value has a canonical form that every server reads as the same value."""
    _check(value, strict=True)


def check_depth(value: object) -> None:
    """Raise BadJson if the value is nested deeper than MAX_DEPTH levels."""
    _check(value, strict=False)


def parse_json(text: str | bytes) -> Any:
    """Parse JSON whose depth was checked, with whole numbers as integers however they are written: `1e10`, `-0`.

    Raises BadJson for text that is not JSON, NaN and Infinity included.
    """
    try:
        return json.loads(text, parse_float=_parse_float, parse_constant=_refuse_constant)
    except ValueError as error:
        raise BadJson(f"Not JSON: {error}") from error


def _check(value: object, *, strict: bool) -> None:
    containers = _containers([value], strict=strict)
    for _ in range(MAX_DEPTH):
        if not containers:
            return
        containers = _containers(_members(containers), strict=strict)
    if containers:
        raise BadJson(f"The value is nested deeper than {MAX_DEPTH} levels.")


def _containers(values: Iterable[object], *, strict: bool) -> list[Container]:
    """The objects and arrays among the values; the others are checked here."""
    containers: list[Container] = []
    for value in values:
        if isinstance(value, dict | list):
            containers.append(value)
        elif strict:
            _check_scalar(value)
    return containers


def _members(containers: list[Container]) -> Iterator[object]:
    for container in containers:
        yield from container
        if isinstance(container, dict):
            yield from container.values()


def _check_scalar(value: object) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, bool) or value is None:
        pass
    elif isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise BadJson("An integer is outside of the range of canonical JSON, ±(2^53 - 1).")
    elif isinstance(value, float):
        raise BadJson("Canonical JSON has no floating-point numbers.")
    else:
        raise BadJson(f"A {type(value).__name__} is no JSON value.")


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadJson("A string holds a lone surrogate.") from None


def _parse_float(literal: str) -> int | float:
    number = float(literal)
    return int(number) if number.is_integer() and abs(number) <= MAX_INTEGER else number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")
