"""Media as servers hand it to each other: `multipart/mixed` with two parts.

The first part is a JSON object that says something of the media, nothing so far. The second is the content, or has a
`Location` to get it from. What comes in is read as it comes, and held once.
(server-server API, "Content Repository")
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

from tabstead.errors import PeerMisbehaved

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser

_CRLF: Final = b"\r\n"
_MAX_BOUNDARY: Final = 70
"""RFC 2046."""
_MAX_METADATA: Final = 64 * 1024
_PARTS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPart:
    """The second part."""

    headers: Mapping[str, str]
    """Names in lower case."""
    data: bytes


def encode_media(headers: Mapping[str, str], data: bytes) -> tuple[str, bytes]:
    """The content type and the body of an answer with this content."""
    boundary = secrets.token_hex(16)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"--{boundary}\r\ncontent-type: application/json\r\n\r\n{{}}\r\n--{boundary}\r\n{lines}\r\n"
    body = b"".join((head.encode("utf-8", "surrogatepass"), data, f"\r\n--{boundary}--\r\n".encode()))
    return f"multipart/mixed; boundary={boundary}", body  # not quoted: Synapse would take the quotes for part of it


class MediaReader:
    """Takes the body of an answer piece by piece.

    The first line says what separates the parts, before the header of the answer is known; `finish` compares.
    """

    def __init__(self) -> None:
        self._begin = b""
        self._parser: MultipartParser | None = None
        self._boundary = ""
        self._parts = 0
        self._name = self._value = b""
        self._headers: dict[str, str] = {}
        self._metadata = 0
        self._content = BytesIO()
        self._is_whole = False

    def take(self, piece: bytes) -> None:
        """Raises PeerMisbehaved."""
        if self._parser is None:
            self._begin += piece
            self._parser = self._find_parser()
            piece, self._begin = (self._begin, b"") if self._parser is not None else (b"", self._begin)
        if self._parser is None or not piece:
            return
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise PeerMisbehaved("What is handed over is not in two parts.") from error

    def finish(self, content_type: str) -> MediaPart:
        """The content, once all was taken. Raises PeerMisbehaved for what is not whole, or of another type."""
        from python_multipart.multipart import parse_options_header

        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"").decode("latin-1")
        if kind.lower() != b"multipart/mixed" or boundary != self._boundary or not self._is_whole:
            raise PeerMisbehaved("What is handed over is no media.")
        if self._parts != _PARTS:
            raise PeerMisbehaved(f"What is handed over has {self._parts} parts.")
        return MediaPart(headers=self._headers, data=self._content.getvalue())

    def _find_parser(self) -> "MultipartParser | None":
        """What reads the parts, once the first line is there."""
        line, end, _ = self._begin.removeprefix(_CRLF).partition(_CRLF)
        if len(line) > _MAX_BOUNDARY + 3 or (end and (len(line) < 3 or not line.startswith(b"--"))):
            raise PeerMisbehaved("What is handed over is not in parts.")
        if not end:
            return None
        from python_multipart.multipart import MultipartParser

        self._boundary = line[2:].decode("latin-1")
        return MultipartParser(
            self._boundary.encode("latin-1"),
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._read_name,
                "on_header_value": self._read_value,
                "on_header_end": self._end_header,
                "on_part_data": self._read_data,
                "on_end": self._end,
            },
        )

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > _PARTS:
            raise PeerMisbehaved("What is handed over has more than two parts.")

    def _read_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _read_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._parts == _PARTS:
            self._headers[self._name.decode("latin-1").lower()] = self._value.decode("utf-8", "replace").strip()
        self._name = self._value = b""

    def _read_data(self, data: bytes, start: int, end: int) -> None:
        if self._parts == _PARTS:
            self._content.write(memoryview(data)[start:end])
            return
        self._metadata += end - start
        if self._metadata > _MAX_METADATA:
            raise PeerMisbehaved("What is said of the media is too much.")

    def _end(self) -> None:
        self._is_whole = True
