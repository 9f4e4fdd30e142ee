"""Thumbnails made by the worker's canvas (service_worker/thumbnails.js)."""

from collections.abc import Awaitable
from typing import Any, Literal, Protocol

from pyodide.ffi import to_js

from tabstead.media.thumbnails import Thumbnail


class Canvas(Protocol):
    """service_worker/thumbnails.js."""

    def makeThumbnail(self, data: Any, width: int, height: int, method: str) -> Awaitable[Any]: ...  # noqa: N802


class CanvasThumbnailer:
    """A `tabstead.media.thumbnails.Thumbnailer`."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas

    async def make_thumbnail(
        self, data: bytes, *, width: int, height: int, method: Literal["crop", "scale"]
    ) -> Thumbnail | None:
        made = await self._canvas.makeThumbnail(to_js(data), width, height, method)
        if not made:
            return None
        return Thumbnail(content_type=made.contentType, data=made.data.to_bytes(), width=made.width, height=made.height)
