"""What an HTML page says of itself: OpenGraph's properties, and what stands for those that it lacks.

Reads the beginning of a page, which is as somebody else wrote it: nothing is trusted, everything is bounded.
"""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Final

PARSED_CHARACTERS: Final = 512 * 1024
"""How much of a page is looked at; metadata stands at its beginning."""
_MAX_PROPERTIES: Final = 50
_MAX_CHARACTERS: Final = 1000
"""Of a value; longer ones are cut."""

_SUBSTITUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "og:title": ("twitter:title", "title", "h1"),
    "og:description": ("twitter:description", "description"),
    "og:image": ("og:image:secure_url", "og:image:url", "twitter:image", "twitter:image:src", "image_src"),
    "og:site_name": ("application-name",),
}

_CHARSET_OF_TYPE: Final = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_CHARSET_OF_PAGE: Final = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_XML_ENCODING: Final = re.compile(rb"\A\s*<\?xml[^>]+encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)
_WHITE_SPACE: Final = re.compile(r"\s+")


def read_page_metadata(page: bytes, content_type: str) -> dict[str, str]:
    """The `og:` properties of a page. `og:image` is as the page names it: perhaps relative to the page."""
    parser = _MetadataParser()
    parser.feed(_decode(page, content_type)[:PARSED_CHARACTERS])
    found = parser.found
    for name, substitutes in _SUBSTITUTES.items():
        value = next((found[other] for other in (name, *substitutes) if found.get(other)), None)
        if value is not None:
            found[name] = value
    properties = [(name, value) for name, value in found.items() if name.startswith("og:") and value]
    return dict(properties[:_MAX_PROPERTIES])


def _decode(page: bytes, content_type: str) -> str:
    """The text, in the encoding that the server says, else the page; UTF-8 where both say nothing that is known."""
    head = page[:4096]
    named = [match[1] for match in (_CHARSET_OF_PAGE.search(head), _XML_ENCODING.search(head)) if match]
    # A declaration that could be read as ASCII is not in UTF-16, whatever it says.
    encodings = [
        name for encoding in named if not (name := encoding.decode("ascii", "replace").lower()).startswith("utf-16")
    ]
    if match := _CHARSET_OF_TYPE.search(content_type):
        encodings.insert(0, match[1])
    for encoding in encodings:
        try:
            return page.decode(encoding, "replace")
        except (LookupError, ValueError):
            continue
    return page.decode("utf-8", "replace")


class _MetadataParser(HTMLParser):
    """Collects the first value of each property, and the texts of title and first heading."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, str] = {}
        self._open: str | None = None
        """The element whose text is being read."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in reversed(attrs)}
        if tag == "meta":
            name = attributes.get("property") or attributes.get("name") or ""
            self._note(name.strip().lower(), attributes.get("content", ""))
        elif tag == "link" and attributes.get("rel", "").lower() == "image_src":
            self._note("image_src", attributes.get("href", ""))
        elif tag in {"title", "h1"} and tag not in self.found:
            self._open = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open:
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.found[self._open] = _shorten(self.found.get(self._open, "") + data)

    def _note(self, name: str, value: str) -> None:
        if name and len(name) <= 100 and len(self.found) < 10 * _MAX_PROPERTIES:
            self.found.setdefault(name, _shorten(value))


def _shorten(text: str) -> str:
    return _WHITE_SPACE.sub(" ", text[: 2 * _MAX_CHARACTERS]).strip()[:_MAX_CHARACTERS]
