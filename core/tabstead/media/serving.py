"""How stored bytes are served to browsers: headers that keep hostile files harmless, caching, and parts of a file.

What an uploader claims is never trusted to be shown in place unless § Serving inline content lists its type.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"

_INLINE_CONTENT_TYPES: Final = frozenset(
    {
        "text/css",
        "text/plain",
        "text/csv",
        "application/json",
        "application/ld+json",
        "image/jpeg",
        "image/gif",
        "image/png",
        "image/apng",
        "image/webp",
        "image/avif",
        "video/mp4",
        "video/webm",
        "video/ogg",
        "video/quicktime",
        "audio/mp4",
        "audio/webm",
        "audio/aac",
        "audio/mpeg",
        "audio/ogg",
        "audio/wave",
        "audio/wav",
        "audio/x-wav",
        "audio/x-pn-wav",
        "audio/flac",
        "audio/x-flac",
    }
)
"""§ Serving inline content."""

_SCRIPT_CONTENT_TYPE: Final = re.compile(r"(?:text|application)/(?:x-)?(?:java|ecma|live|j)script[0-9.]*")
"""Not given out as such: an attachment is no document, but some page's `<script>` would run it in our origin."""

_SAFETY_HEADERS: Final = {
    # § Content repository recommends this very policy, and since v1.4 the resource policy.
    "content-security-policy": (
        "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf;"
        " style-src 'unsafe-inline'; object-src 'self';"
    ),
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
}

_token = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_CONTENT_TYPE: Final = re.compile(rf"{_token}/{_token}(?:[ \t]*;[ \t]*[\t -~]*)?")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")
_RANGE: Final = re.compile(r"bytes=(?P<first>[0-9]{0,15})-(?P<last>[0-9]{0,15})")


def clean_content_type(claimed: str | None) -> str:
    """The content type of an upload, or application/octet-stream where none or no valid one was given."""
    text = (claimed or "").strip()
    return text if len(text) <= 255 and _CONTENT_TYPE.fullmatch(text) else DEFAULT_CONTENT_TYPE


def clean_filename(claimed: str | None) -> str | None:
    """The file name of an upload without what does not belong into a header; None where nothing is left."""
    return _CONTROLS.sub("", claimed or "")[:255] or None


def build_media_headers(sha256: bytes, content_type: str, filename: str | None) -> dict[str, str]:
    """The headers that a content is served with."""
    essence = content_type.partition(";")[0].strip().lower()
    disposition = "inline" if essence in _INLINE_CONTENT_TYPES else "attachment"
    return {
        **_SAFETY_HEADERS,
        "content-type": DEFAULT_CONTENT_TYPE if _SCRIPT_CONTENT_TYPE.fullmatch(essence) else content_type,
        "content-disposition": disposition + _filename_parameter(filename),
        # An mxc:// URI names the same bytes for ever.
        "cache-control": "private, max-age=31536000, immutable",
        "etag": entity_tag(sha256),
        "accept-ranges": "bytes",
    }


def _filename_parameter(filename: str | None) -> str:
    """RFC 6266: a quoted string where ASCII suffices, else RFC 5987's encoding."""
    if not filename:
        return ""
    if filename.isascii():
        escaped = filename.replace("\\", "\\\\").replace('"', '\\"')
        return f'; filename="{escaped}"'
    return f"; filename*=utf-8''{quote(filename, safe='')}"


def entity_tag(sha256: bytes) -> str:
    return f'"{sha256.hex()}"'


def is_cached(headers: Mapping[str, str], sha256: bytes) -> bool:
    """Whether the client has these bytes already (If-None-Match)."""
    tags = headers.get("if-none-match", "")
    return tags.strip() == "*" or entity_tag(sha256) in tags


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """The bytes from `start` up to, not including, `end`."""

    start: int
    end: int


def find_range(headers: Mapping[str, str], sha256: bytes, size: int) -> ByteRange | None:
    """The one range of bytes that a request asks for; None where it asks for all of it, or for several.

    A range that begins behind the end has start >= end: it can't be satisfied.
    """
    match = _RANGE.fullmatch(headers.get("range", "").strip())
    if match is None or headers.get("if-range", entity_tag(sha256)) != entity_tag(sha256):
        return None
    first, last = match["first"], match["last"]
    if not first:
        return ByteRange(start=max(0, size - int(last)), end=size) if last else None
    if last and int(last) < int(first):
        return None
    return ByteRange(start=int(first), end=min(size, int(last) + 1) if last else size)
