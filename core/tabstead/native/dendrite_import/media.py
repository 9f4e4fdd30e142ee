"""What this server's users uploaded, under the same mxc:// URIs. Thumbnails are made again when they are asked for."""

from collections import Counter
from typing import Any, Final

from tabstead.storage.database import Db
from tabstead.storage.dendrite_import.media_source import MediaSource
from tabstead.storage.media import CHUNK_BYTES, insert_chunks, insert_media

SLICE_CHUNKS: Final = 64
"""Chunks per transaction: three megabytes."""


class MediaImport:
    """Takes media in slices, in the order of their IDs."""

    def __init__(self, source: MediaSource, server_name: str) -> None:
        self._source = source
        self._server_name = server_name

    def take_media(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """The position is the last media ID; of a big content there may be some already."""
        last: str = position or ""
        left = SLICE_CHUNKS
        while left > 0:
            media = self._source.find_next(last, self._server_name)
            if media is None:
                return None
            found = self._source.read(media)
            if found is None:
                counts["media whose file is lost"] += 1
                last = media.media_id
                continue
            digest, content = found
            blob_nid = insert_chunks(db, digest, content, limit=left, now_ms=media.created_ts)
            left -= len(content) // CHUNK_BYTES + 1
            if blob_nid is None:
                break
            insert_media(
                db,
                media.media_id,
                media.user_id,
                blob_nid=blob_nid,
                content_type=media.content_type,
                filename=media.filename,
                now_ms=media.created_ts,
            )
            counts["media"] += 1
            last = media.media_id
        return last
