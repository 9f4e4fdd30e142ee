"""Whole numbers in few bytes: seven bits a byte, the lowest first, the high bit where more follow."""

from collections.abc import Iterable, Iterator


def encode_varints(numbers: Iterable[int]) -> bytes:
    """The numbers, none of which is negative, one after the other."""
    encoded = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:
            encoded.append(rest & 0x7F | 0x80)
            rest >>= 7
        encoded.append(rest)
    return bytes(encoded)


def decode_varints(encoded: bytes) -> Iterator[int]:
    """The inverse of `encode_varints`."""
    number = shift = 0
    for byte in encoded:
        number |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
        else:
            yield number
            number = shift = 0
