"""Thumbnails: which size is made of what; the scaling itself is the edge's."""

from dataclasses import dataclass
from typing import Literal, Protocol


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
        self, data: bytes, *, width: int, height: int, method: Literal["crop", "scale"]
    ) -> Thumbnail | None:
        """At most (scale) or exactly (crop) width x height pixels; None when `data` is no image it can read."""
        ...
