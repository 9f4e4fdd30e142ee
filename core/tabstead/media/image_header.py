"""What an image file's first bytes say of it, without decoding a pixel.

Formats are told by their signatures, never by the content type that an uploader claimed. What is cut off or is none of
the known formats is None.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

HEAD_BYTES: Final = 256 * 1024
"""How much of a file is looked at; before its dimensions a JPEG may have metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    content_type: str
    width: int
    height: int
    is_animated: bool = False


def find_image_header(data: bytes) -> ImageHeader | None:
    """The header of a PNG, JPEG, GIF, WebP or AVIF file, of which `data` is at least the first HEAD_BYTES."""
    data = data[:HEAD_BYTES]
    for offset, signature, read in _FORMATS:
        if data.startswith(signature, offset):
            try:
                header = read(data)
            except (struct.error, IndexError):
                return None
            return header if header and header.width > 0 and header.height > 0 else None
    return None


def _read_png(data: bytes) -> ImageHeader:
    width, height = struct.unpack_from(">II", data, 16)
    animation = data.find(b"acTL")
    pixels = data.find(b"IDAT")
    is_animated = animation != -1 and (pixels == -1 or animation < pixels)
    return ImageHeader(content_type="image/png", width=width, height=height, is_animated=is_animated)


def _read_gif(data: bytes) -> ImageHeader:
    width, height = struct.unpack_from("<HH", data, 6)
    # A graphic control extension begins each frame; who loops says so at the start.
    is_animated = b"NETSCAPE2.0" in data or data.count(b"\x00\x21\xf9\x04") > 1
    return ImageHeader(content_type="image/gif", width=width, height=height, is_animated=is_animated)


def _read_jpeg(data: bytes) -> ImageHeader | None:
    offset = 2
    while data[offset] == 0xFF:
        marker = data[offset + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # a start of frame
            height, width = struct.unpack_from(">HH", data, offset + 5)
            return ImageHeader(content_type="image/jpeg", width=width, height=height)
        if marker == 0xFF:  # a fill byte
            offset += 1
        else:
            offset += 2 + struct.unpack_from(">H", data, offset + 2)[0]
    return None


def _read_webp(data: bytes) -> ImageHeader | None:
    chunk = data[12:16]
    if data[8:12] != b"WEBP":
        return None
    if chunk == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        return _webp(width, height, is_animated=bool(data[20] & 0x02))
    if chunk == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return _webp(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return _webp(width & 0x3FFF, height & 0x3FFF)
    return None


def _webp(width: int, height: int, *, is_animated: bool = False) -> ImageHeader:
    return ImageHeader(content_type="image/webp", width=width, height=height, is_animated=is_animated)


def _read_avif(data: bytes) -> ImageHeader | None:
    brand = data[8:12]
    extents = data.find(b"ispe")
    if brand not in {b"avif", b"avis"} or extents == -1:
        return None
    width, height = struct.unpack_from(">II", data, extents + 8)
    return ImageHeader(content_type="image/avif", width=width, height=height, is_animated=brand == b"avis")


_FORMATS: Final[tuple[tuple[int, bytes, Callable[[bytes], ImageHeader | None]], ...]] = (
    (0, b"\x89PNG\r\n\x1a\n", _read_png),
    (0, b"GIF87a", _read_gif),
    (0, b"GIF89a", _read_gif),
    (0, b"\xff\xd8\xff", _read_jpeg),
    (0, b"RIFF", _read_webp),
    (4, b"ftyp", _read_avif),
)
