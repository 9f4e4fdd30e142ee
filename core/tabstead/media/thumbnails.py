"""Thumbnails: which size is made of what; the scaling itself is the edge's.

Only a few sizes are made, on demand, and kept; a request gets the smallest that is big enough. Nothing is ever scaled
up: an image that fits into the size is served as it is, and so is one of which more is asked than the biggest size. An
animation is served, whole, to those alone who ask for animations; all others get its first frame.
"""

from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias, cast

from tabstead.errors import InvalidParam, TooLarge
from tabstead.http import Query
from tabstead.media.image_header import ImageHeader

ThumbnailMethod: TypeAlias = Literal["crop", "scale"]

MAX_PIXELS: Final = 50_000_000
"""Bigger images are not thumbnailed: decoded, a pixel takes four bytes."""

THUMBNAIL_SIZES: Final[dict[ThumbnailMethod, tuple[tuple[int, int], ...]]] = {
    "crop": ((32, 32), (96, 96), (320, 320), (640, 640)),
    "scale": ((320, 240), (640, 480), (800, 600)),
}
"""§ Thumbnails recommends the first two and the last three; dense screens ask for bigger squares."""

_SERVED_AS_THEY_ARE: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""What a thumbnail may be, of that which is uploaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A scaled image."""

    content_type: str
    data: bytes
    width: int
    height: int


class Thumbnailer(Protocol):
    """Scales images: a canvas in the worker, Pillow on CPython."""

    async def make_thumbnail(
        self, data: bytes, *, width: int, height: int, method: ThumbnailMethod
    ) -> Thumbnail | None:
        """At most (scale) or exactly (crop) width x height pixels; None when `data` is no image it can read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailRequest:
    """What a client asks for: at least so many pixels, and whether an animation may come."""

    width: int
    height: int
    method: ThumbnailMethod
    animated: bool


def parse_thumbnail_request(query: Query) -> ThumbnailRequest:
    """The query of a request for a thumbnail, a client's or another server's. Raises MissingParam, InvalidParam."""
    return ThumbnailRequest(
        width=_parse_pixels(query, "width"),
        height=_parse_pixels(query, "height"),
        method=cast("ThumbnailMethod", query.choice("method", ("crop", "scale"), "scale")),
        animated=query.boolean("animated"),
    )


def _parse_pixels(query: Query, name: str) -> int:
    query.string(name)  # it must be there
    value = query.integer(name, 0)
    if value <= 0:
        raise InvalidParam(f"The query parameter '{name}' must be a number of pixels.")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What a thumbnail has to fit into (scale) or to fill (crop), in pixels."""

    method: ThumbnailMethod
    width: int
    height: int


def choose_box(image: ImageHeader, wanted: ThumbnailRequest) -> Box | None:
    """The thumbnail to make for a request, or None where the image itself is the answer.

    Raises TooLarge when the image has more than MAX_PIXELS.
    """
    if wanted.animated and image.is_animated and image.content_type in _SERVED_AS_THEY_ARE:
        return None
    if image.width * image.height > MAX_PIXELS:
        raise TooLarge("The image is too large to make a thumbnail of it.")
    for width, height in THUMBNAIL_SIZES[wanted.method]:
        if width >= wanted.width and height >= wanted.height:
            return _fit(image, wanted.method, width, height)
    return _whole(image)


def _fit(image: ImageHeader, method: ThumbnailMethod, width: int, height: int) -> Box | None:
    if image.width <= width and image.height <= height:
        return _whole(image)
    if method == "crop":
        side = min(width, image.width, image.height)
        return Box(method=method, width=side, height=side)
    return Box(method=method, width=width, height=height)


def _whole(image: ImageHeader) -> Box | None:
    """The image in its own size."""
    if image.content_type in _SERVED_AS_THEY_ARE and not image.is_animated:
        return None
    return Box(method="scale", width=image.width, height=image.height)
