"""Previews of the pages that people link to: fetched over `outbound`, kept for a while, their images among the media.

Whoever asks chooses the address. So only public ones are connected to, and what comes is bounded in size and time. An
address is fetched once at a time; everybody who asks meanwhile gets the same. A browser may not read most pages: there
the site's owner names a proxy that does.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

from tabstead.configuration import UrlPreviews
from tabstead.errors import InvalidParam, NotFound, OutboundFailed, StorageFull
from tabstead.media.blobs import begin_upload
from tabstead.media.contents import build_media_id
from tabstead.media.image_header import ImageHeader, find_image_header
from tabstead.outbound import Outbound, OutboundRequest, OutboundResponse
from tabstead.storage.database import Database, Db
from tabstead.storage.media import insert_media
from tabstead.storage.url_previews import StoredPreview, delete_old_previews, find_preview, insert_preview

MAX_URL_CHARACTERS: Final = 2048
FRESH_MS: Final = 60 * 60 * 1000
"""How long a preview is taken from storage,"""
FAILURE_FRESH_MS: Final = 5 * 60 * 1000
"""and how long an address is left alone at which there was none."""
KEPT_MS: Final = 30 * 24 * 60 * 60 * 1000
_PAGE_BYTES: Final = 10 * 1024 * 1024
_TIMEOUT_MS: Final = 15_000
_REDIRECTS: Final = 5
_AT_ONCE: Final = 8

_PAGE_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_NOBODY: Final = ""
"""Whose media the images are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    header: ImageHeader
    data: bytes


class UrlPreviewer:
    """Previews addresses for one homeserver."""

    def __init__(
        self, options: UrlPreviews, outbound: Outbound, database: Database, *, server_name: str, max_image_bytes: int
    ) -> None:
        self._options = options
        self._outbound = outbound
        self._database = database
        self._server_name = server_name
        self._max_image_bytes = max_image_bytes
        self._running: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def preview(self, url: str, language: str | None, now_ms: int) -> dict[str, Any]:
        """The properties of what is at the address; empty where it says nothing. Raises InvalidParam, NotFound."""
        url = _check(url)
        stored = await self._database.read(lambda db: find_preview(db, url))
        if stored is not None and _is_fresh(stored, now_ms):
            return _require(stored.preview)
        task = self._running.get(url)
        if task is None:
            task = self._running[url] = asyncio.create_task(self._fetch_and_keep(url, language, now_ms))
            task.add_done_callback(lambda _: self._running.pop(url, None))
        return await asyncio.shield(task)

    async def _fetch_and_keep(self, url: str, language: str | None, now_ms: int) -> dict[str, Any]:
        async with self._turn:
            try:
                properties, image = await self._look_at(url, language)
            except OutboundFailed as error:
                await self._database.write(lambda db: insert_preview(db, url, None, now_ms))
                raise NotFound(f"There is no preview: {error}") from error
            return await self._keep(url, properties, image, now_ms)

    async def _look_at(self, url: str, language: str | None) -> tuple[dict[str, Any], _Image | None]:
        headers = {"accept": "text/html, application/xhtml+xml, image/*;q=0.9, */*;q=0.1"}
        if language:
            headers["accept-language"] = language[:200]
        response = await self._get(url, headers, max(_PAGE_BYTES, self._max_image_bytes))
        image = self._read_image(response.body)
        if image is not None:
            return {}, image
        content_type = response.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() not in _PAGE_TYPES:
            return {}, None
        from tabstead.media.page_metadata import read_page_metadata  # an HTML parser: seldom needed

        properties: dict[str, Any] = dict(read_page_metadata(response.body, content_type))
        address = properties.get("og:image")
        base = url if self._options.proxy else response.url
        return properties, await self._find_image(base, address) if address else None

    async def _find_image(self, base: str, address: str) -> _Image | None:
        """The image at an address that a page named, which may be relative to its own."""
        try:
            response = await self._get(_check(urljoin(base, address)), {"accept": "image/*"}, self._max_image_bytes)
        except (OutboundFailed, InvalidParam, ValueError):
            return None
        return self._read_image(response.body)

    def _read_image(self, data: bytes) -> _Image | None:
        header = find_image_header(data) if len(data) <= self._max_image_bytes else None
        return None if header is None else _Image(header=header, data=data)

    async def _get(self, url: str, headers: dict[str, str], max_bytes: int) -> OutboundResponse:
        proxy = self._options.proxy
        response = await self._outbound.send(
            OutboundRequest(
                url=proxy.replace("{url}", quote(url, safe="")) if proxy else url,
                headers=headers,
                timeout_ms=_TIMEOUT_MS,
                max_bytes=max_bytes,
                max_redirects=_REDIRECTS,
                public_only=proxy is None,
            )
        )
        if not response.is_success:
            raise OutboundFailed(f"{urlsplit(url).hostname} answered with {response.status}.")
        return response

    async def _keep(self, url: str, properties: dict[str, Any], image: _Image | None, now_ms: int) -> dict[str, Any]:
        preview = {name: value for name, value in properties.items() if not name.startswith("og:image")}
        media_id = None
        if image is not None:
            media_id = build_media_id()
            preview |= _image_properties(image, f"mxc://{self._server_name}/{media_id}")
        try:
            await self._store(url, preview, image, media_id, now_ms)
        except StorageFull:  # it can be done without its image, and without being kept
            return {name: value for name, value in preview.items() if "image" not in name}
        return preview

    async def _store(
        self, url: str, preview: dict[str, Any], image: _Image | None, media_id: str | None, now_ms: int
    ) -> None:
        upload = image and await begin_upload(self._database, image.data, now_ms)

        def insert(db: Db) -> None:
            if image and upload and media_id:
                insert_media(
                    db,
                    media_id,
                    _NOBODY,
                    blob_nid=upload.finish(db, now_ms),
                    content_type=image.header.content_type,
                    filename=None,
                    now_ms=now_ms,
                )
            insert_preview(db, url, preview, now_ms)
            delete_old_previews(db, fetched_before_ts=now_ms - KEPT_MS, limit=10)

        await self._database.write(insert)


def _check(url: str) -> str:
    """The address without its fragment. Raises InvalidParam where it is none of the web."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or len(url) > MAX_URL_CHARACTERS or any(ord(character) <= ord(" ") for character in url):
        raise InvalidParam("The query parameter 'url' must be an http or https address.")
    if parts.username is not None or parts.password is not None:
        raise InvalidParam("An address with a user name or a password in it is not previewed.")
    return parts._replace(fragment="").geturl()


def _is_fresh(stored: StoredPreview, now_ms: int) -> bool:
    return now_ms - stored.fetched_ts < (FAILURE_FRESH_MS if stored.preview is None else FRESH_MS)


def _require(preview: dict[str, Any] | None) -> dict[str, Any]:
    if preview is None:
        raise NotFound("There was no preview of this address a moment ago.")
    return preview


def _image_properties(image: _Image, content_uri: str) -> dict[str, Any]:
    return {
        "og:image": content_uri,
        "og:image:type": image.header.content_type,
        "og:image:width": image.header.width,
        "og:image:height": image.header.height,
        "matrix:image:size": len(image.data),
    }
