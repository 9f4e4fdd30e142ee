"""The content behind a media ID: made, awaited, and read as an image.

Functions of `db` run in a transaction that their caller opened.
"""

import contextlib
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tabstead.errors import BadRequest, Conflict, Forbidden, LimitExceeded, NotFound, NotYetUploaded, StorageFull
from tabstead.media.blobs import begin_upload, read_blob
from tabstead.media.image_header import HEAD_BYTES, find_image_header
from tabstead.media.thumbnails import Box, Thumbnailer, ThumbnailRequest, choose_box
from tabstead.storage.database import Database, Db
from tabstead.storage.media import (
    Blob,
    Media,
    delete_expired_media,
    find_media,
    find_thumbnail,
    insert_pending_media,
    insert_thumbnail,
    select_pending_count,
)
from tabstead.streams.notifier import Notifier

MAX_PENDING_UPLOADS: Final = 50
"""Media IDs of one user that wait for their content."""
UNUSED_EXPIRES_MS: Final = 24 * 60 * 60 * 1000
"""How long they wait."""
DEFAULT_WAIT_MS: Final = 20_000
MAX_WAIT_MS: Final = 25_000
"""How long a download waits for an upload; a browser kills its worker soon after."""

_media_id = re.compile(r"[A-Za-z0-9_-]{1,255}").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Bytes on their way to a client."""

    content_type: str
    sha256: bytes
    data: bytes


def is_media_id(text: str) -> bool:
    """Whether it is a media ID, of whatever server."""
    return _media_id(text) is not None


def build_media_id() -> str:
    """A new media ID that can't be guessed."""
    return secrets.token_urlsafe(18)


def create_pending_media(db: Db, user_id: str, now_ms: int) -> tuple[str, int]:
    """A media ID whose content is to come, and when it expires (ms). Raises LimitExceeded."""
    delete_expired_media(db, user_id, now_ms)
    if select_pending_count(db, user_id) >= MAX_PENDING_UPLOADS:
        raise LimitExceeded("Too many of your uploads have not arrived yet.", retry_after_ms=60_000)
    media_id, expires_ts = build_media_id(), now_ms + UNUSED_EXPIRES_MS
    insert_pending_media(db, media_id, user_id, expires_ts=expires_ts, now_ms=now_ms)
    return media_id, expires_ts


def get_media(db: Db, media_id: str, now_ms: int) -> Media:
    """Raises NotFound, also when the content did not come in time."""
    media = find_media(db, media_id) if is_media_id(media_id) else None
    if media is None or (media.expires_ts is not None and media.expires_ts <= now_ms):
        raise NotFound("There is no such media.")
    return media


def get_pending_media(db: Db, media_id: str, user_id: str, now_ms: int) -> Media:
    """Media whose content this user may upload. Raises NotFound, Forbidden, Conflict."""
    media = get_media(db, media_id, now_ms)
    if media.user_id != user_id:
        raise Forbidden("Somebody else created this media ID.")
    if media.blob is not None:
        raise Conflict("The content of this media ID was uploaded before.", errcode="M_CANNOT_OVERWRITE_MEDIA")
    return media


async def wait_for_content(
    database: Database, notifier: Notifier, media_id: str, *, timeout_ms: int, now_ms: Callable[[], int]
) -> tuple[Media, Blob]:
    """The media with its content, which may be uploaded meanwhile. Raises NotFound, NotYetUploaded."""
    deadline = now_ms() + timeout_ms
    while True:
        media = await database.read(lambda db: get_media(db, media_id, now_ms()))
        if media.blob is not None:
            return media, media.blob
        left = deadline - now_ms()
        if left <= 0 or not await notifier.wait(left):
            raise NotYetUploaded("The content has not been uploaded yet.")


async def make_thumbnail(
    database: Database, thumbnailer: Thumbnailer | None, blob: Blob, wanted: ThumbnailRequest, now_ms: int
) -> Content:
    """The thumbnail of an image, made when it is asked for first. Raises BadRequest, TooLarge."""
    image = find_image_header(await read_blob(database, blob, end=min(blob.size, HEAD_BYTES)))
    if image is None:
        raise BadRequest("No thumbnail can be made of this content.")
    box = choose_box(image, wanted)
    if box is None:
        return Content(content_type=image.content_type, sha256=blob.sha256, data=await read_blob(database, blob))
    stored = await database.read(lambda db: find_thumbnail(db, blob, box.method, box.width, box.height))
    if stored is None:
        return await _make_and_keep(database, thumbnailer, blob, box, now_ms)
    data = await read_blob(database, stored.blob)
    return Content(content_type=stored.content_type, sha256=stored.blob.sha256, data=data)


async def _make_and_keep(
    database: Database, thumbnailer: Thumbnailer | None, image: Blob, box: Box, now_ms: int
) -> Content:
    data = await read_blob(database, image)
    made = thumbnailer and await thumbnailer.make_thumbnail(data, width=box.width, height=box.height, method=box.method)
    if not made:
        raise BadRequest("No thumbnail can be made of this content.")
    content = Content(content_type=made.content_type, sha256=hashlib.sha256(made.data).digest(), data=made.data)
    with contextlib.suppress(StorageFull):  # it will be made again
        await _keep(database, image, box, content, now_ms)
    return content


async def _keep(database: Database, image: Blob, box: Box, thumbnail: Content, now_ms: int) -> None:
    upload = await begin_upload(database, thumbnail.data, now_ms)
    await database.write(
        lambda db: insert_thumbnail(
            db,
            image,
            box.method,
            box.width,
            box.height,
            content_type=thumbnail.content_type,
            thumbnail_nid=upload.finish(db, now_ms),
        )
    )
