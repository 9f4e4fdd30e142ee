"""Thumbnails with Pillow, in threads beside the event loop.

An image is refused by what Pillow reads in its header, before a pixel is decoded, when it would take too much memory; a
few at a time are worked on. Only formats that browsers show are read at all. The first frame of an animation counts.
"""

import asyncio
from io import BytesIO
from typing import Any, Final

from tabstead.media.thumbnails import MAX_PIXELS, Thumbnail, ThumbnailMethod

_FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP")
_AT_ONCE: Final = 2
_JPEG_QUALITY: Final = 80


class PillowThumbnailer:
    """The native server's Thumbnailer."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def make_thumbnail(
        self, data: bytes, *, width: int, height: int, method: ThumbnailMethod
    ) -> Thumbnail | None:
        async with self._turn:
            return await asyncio.to_thread(make_thumbnail, data, width=width, height=height, method=method)


def make_thumbnail(data: bytes, *, width: int, height: int, method: ThumbnailMethod) -> Thumbnail | None:
    """Scale an image; None when it is none that can be read, or too big. Blocks."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            scaled = _scale(image, width, height, method)
            return _encode(scaled)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None  # whatever Pillow raises for a broken file


def _scale(image: Any, width: int, height: int, method: ThumbnailMethod) -> Any:
    from PIL import Image, ImageOps

    if image.format == "JPEG":
        image.draft("RGB", (2 * width, 2 * height))  # decodes at a fraction of the size
    upright = ImageOps.exif_transpose(image)
    picture = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    if method == "crop":
        return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    picture.thumbnail((width, height), Image.Resampling.LANCZOS)
    return picture


def _encode(picture: Any) -> Thumbnail:
    encoded = BytesIO()
    if picture.mode == "RGBA":
        content_type = "image/png"
        picture.save(encoded, "PNG")
    else:
        content_type = "image/jpeg"
        picture.save(encoded, "JPEG", quality=_JPEG_QUALITY)
    return Thumbnail(content_type=content_type, data=encoded.getvalue(), width=picture.width, height=picture.height)
