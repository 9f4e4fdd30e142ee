"""Columns of whole numbers in few bytes, packed and unpacked at the speed of C.

A column is stored in the fewest whole bytes that hold each of its numbers, or each one's offset from the least if that
takes fewer. The first bytes of all come together, then the second ones, and so on: what varies little then stands side
by side for the compression (raw deflate) that all columns of a blob go through.
"""

import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import Final

_HEADER: Final = 12  # bytes per column: how many numbers, bytes per offset, the least number
_WORD: Final = 8
_LEVEL: Final = 9


def encode_columns(*columns: Sequence[int]) -> bytes:
    """The columns, each of numbers from 0 to 2^56."""
    raw = b"".join(map(_pack, columns))
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
    return deflate.compress(raw) + deflate.flush()


def decode_columns(encoded: bytes) -> list[list[int]]:
    """The inverse of `encode_columns`."""
    raw = zlib.decompress(encoded, -15)
    columns = []
    at = 0
    while at < len(raw):
        count, width = int.from_bytes(raw[at : at + 4], "little"), raw[at + 4]
        least = int.from_bytes(raw[at + 5 : at + _HEADER], "little")
        at += _HEADER
        columns.append(_unpack(raw[at : at + count * width], count, width, least))
        at += count * width
    return columns


def to_steps(rising: Sequence[int]) -> list[int]:
    """Numbers that never fall, each as the step from the one before."""
    return [later - earlier for earlier, later in pairwise(chain((0,), rising))]


def from_steps(steps: Sequence[int]) -> list[int]:
    """The inverse of `to_steps`."""
    return list(accumulate(steps))


def _pack(column: Sequence[int]) -> bytes:
    least, greatest = min(column, default=0), max(column, default=0)
    width = _bytes_for(greatest - least)
    if width == _bytes_for(greatest):
        least = 0
    words = array("Q", [number - least for number in column])
    if sys.byteorder == "big":
        words.byteswap()
    data = words.tobytes()
    planes = b"".join(data[plane::_WORD] for plane in range(width))
    return len(column).to_bytes(4, "little") + bytes((width,)) + least.to_bytes(_HEADER - 5, "little") + planes


def _bytes_for(number: int) -> int:
    return number.bit_length() + 7 >> 3


def _unpack(planes: bytes, count: int, width: int, least: int) -> list[int]:
    if width == 0:
        return [least] * count
    if width == 1:
        return [least + offset for offset in planes] if least else list(planes)
    typecode, word = ("H", 2) if width == 2 else ("I", 4) if width <= 4 else ("Q", 8)
    data = bytearray(count * word)
    for plane in range(width):
        data[plane::word] = planes[plane * count : (plane + 1) * count]
    words = array(typecode, bytes(data))
    if sys.byteorder == "big":
        words.byteswap()
    return [least + offset for offset in words] if least else words.tolist()
