"""Contents going into the database and out of it, a slice at a time.

A slice is about a megabyte: enough to be quick, and small enough that other requests get their turn, that a transaction
which is repeated for a missing page has little to repeat, and that no commit is as big as an upload. Every slice is
durable by itself, so a killed upload leaves an incomplete blob behind: the next upload of the same content goes on with
it, and after a while it is deleted.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from tabstead.storage.database import Database, Db
from tabstead.storage.media import (
    CHUNK_BYTES,
    Blob,
    delete_abandoned_chunks,
    insert_chunks,
    select_chunks,
)

_CHUNKS_PER_SLICE: Final = 20
_SLICE_BYTES: Final = _CHUNKS_PER_SLICE * CHUNK_BYTES
_ABANDONED_MS: Final = 60 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A content of which all but the last slice is stored."""

    sha256: bytes
    body: bytes

    def finish(self, db: Db, now_ms: int) -> int:
        """Store what is missing; the blob's nid. To be called in the transaction that makes use of it."""
        while True:
            nid = insert_chunks(db, self.sha256, self.body, limit=_CHUNKS_PER_SLICE, now_ms=now_ms)
            if nid is not None:
                return nid


async def begin_upload(database: Database, body: bytes, now_ms: int) -> Upload:
    """Store all but the last slice of a content, unless it is there already. Raises StorageFull."""
    sha256 = await _hash(body)
    for _ in range(_SLICE_BYTES, len(body), _SLICE_BYTES):
        if await database.write(lambda db: _insert_slice_but_last(db, sha256, body, now_ms)):
            break
    return Upload(sha256=sha256, body=body)


def _insert_slice_but_last(db: Db, sha256: bytes, body: bytes, now_ms: int) -> bool:
    return insert_chunks(db, sha256, body, limit=_CHUNKS_PER_SLICE, now_ms=now_ms) is not None


async def _hash(body: bytes) -> bytes:
    digest, view = hashlib.sha256(), memoryview(body)
    for start in range(0, len(body), _SLICE_BYTES):
        digest.update(view[start : start + _SLICE_BYTES])
        await asyncio.sleep(0)
    return digest.digest()


async def read_blob(database: Database, blob: Blob, start: int = 0, end: int | None = None) -> bytes:
    """The bytes from `start` up to, not including, `end`."""
    end = blob.size if end is None else end
    content = BytesIO()  # getvalue() gives its buffer away without a copy
    for first in range(start // CHUNK_BYTES, -(-end // CHUNK_BYTES), _CHUNKS_PER_SLICE):
        chunks = await database.read(lambda db, first=first: _select_slice(db, blob, first, end))  # type: ignore[misc]
        for number, data in enumerate(chunks, first):
            offset = number * CHUNK_BYTES
            content.write(memoryview(data)[max(0, start - offset) : max(0, end - offset)])
    return content.getvalue()


def _select_slice(db: Db, blob: Blob, first: int, end: int) -> list[bytes]:
    return list(select_chunks(db, blob, first, min(first + _CHUNKS_PER_SLICE, -(-end // CHUNK_BYTES))))


async def delete_abandoned_uploads(database: Database, now_ms: int) -> None:
    """Delete what uploads left that were killed and not repeated."""
    before = now_ms - _ABANDONED_MS
    while await database.write(  # noqa: ASYNC110  (nothing is waited for: others get their turn)
        lambda db: delete_abandoned_chunks(db, touched_before_ts=before, limit=10 * _CHUNKS_PER_SLICE)
    ):
        await asyncio.sleep(0)
