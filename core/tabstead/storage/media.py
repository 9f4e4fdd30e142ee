"""Media: what each mxc:// URI names, and its bytes.

Contents ("blobs") are stored in chunks, each a row, and once per SHA-256 however often they were uploaded. Chunks are
written from the first on; a blob is complete when all are there, and from then on never changes. An incomplete one is
what an upload left that is running or was killed: whoever uploads the same content goes on with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tabstead.storage.database import Db

CHUNK_BYTES: Final = 48 * 1024
_CHUNKS_PER_BLOB: Final = 65536
"""Chunk numbers are below it: a blob has at most 3 GiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """The bytes of one content."""

    nid: int
    sha256: bytes
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What an mxc:// URI names; `blob` is None until its content was uploaded."""

    media_id: str
    user_id: str
    expires_ts: int | None
    content_type: str | None
    filename: str | None
    blob: Blob | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredThumbnail:
    content_type: str
    blob: Blob


def find_media(db: Db, media_id: str) -> Media | None:
    row = db.execute(
        "SELECT user_id, expires_ts, content_type, filename, blob_nid, sha256, size"
        " FROM media LEFT JOIN media_blobs USING (blob_nid) WHERE media_id = ?",
        (media_id,),
    ).fetchone()
    if row is None:
        return None
    user_id, expires_ts, content_type, filename, nid, sha256, size = row
    return Media(
        media_id=media_id,
        user_id=user_id,
        expires_ts=expires_ts,
        content_type=content_type,
        filename=filename,
        blob=None if nid is None else Blob(nid=nid, sha256=sha256, size=size),
    )


def insert_media(
    db: Db, media_id: str, user_id: str, *, blob_nid: int, content_type: str, filename: str | None, now_ms: int
) -> None:
    """Media with its content."""
    db.execute(
        "INSERT INTO media (media_id, user_id, created_ts, content_type, filename, blob_nid) VALUES (?, ?, ?, ?, ?, ?)",
        (media_id, user_id, now_ms, content_type, filename, blob_nid),
    )


def insert_pending_media(db: Db, media_id: str, user_id: str, *, expires_ts: int, now_ms: int) -> None:
    """Media whose content is to come."""
    db.execute(
        "INSERT INTO media (media_id, user_id, created_ts, expires_ts) VALUES (?, ?, ?, ?)",
        (media_id, user_id, now_ms, expires_ts),
    )


def update_media_content(db: Db, media_id: str, *, blob_nid: int, content_type: str, filename: str | None) -> None:
    """The content of pending media came."""
    db.execute(
        "UPDATE media SET blob_nid = ?, content_type = ?, filename = ?, expires_ts = NULL WHERE media_id = ?",
        (blob_nid, content_type, filename, media_id),
    )


def select_pending_count(db: Db, user_id: str) -> int:
    """How many of the user's media wait for their content."""
    row = db.execute("SELECT count(*) FROM media WHERE user_id = ? AND blob_nid IS NULL", (user_id,)).fetchone()
    return int(row[0])


def delete_expired_media(db: Db, user_id: str, now_ms: int) -> None:
    """Forget the user's pending media whose time is up."""
    db.execute("DELETE FROM media WHERE user_id = ? AND blob_nid IS NULL AND expires_ts <= ?", (user_id, now_ms))


def insert_chunks(db: Db, sha256: bytes, body: bytes, *, limit: int, now_ms: int) -> int | None:
    """Write at most `limit` of the chunks that the blob still lacks. Its nid once it is complete, else None."""
    nid, written, is_complete = _find_or_insert_blob(db, sha256, len(body), now_ms)
    if is_complete:
        return nid
    view = memoryview(body)
    total = -(-len(body) // CHUNK_BYTES)
    until = min(total, written + limit)
    for number in range(written, until):
        data = view[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
        db.execute("INSERT INTO media_chunks (chunk_nid, data) VALUES (?, ?)", (_chunk_nid(nid, number), data))
    db.execute(
        "UPDATE media_blobs SET written = ?, is_complete = ?, touched_ts = ? WHERE blob_nid = ?",
        (until, until == total, now_ms, nid),
    )
    return nid if until == total else None


def _find_or_insert_blob(db: Db, sha256: bytes, size: int, now_ms: int) -> tuple[int, int, bool]:
    row = db.execute("SELECT blob_nid, written, is_complete FROM media_blobs WHERE sha256 = ?", (sha256,)).fetchone()
    if row is not None:
        return int(row[0]), int(row[1]), bool(row[2])
    inserted = db.execute(
        "INSERT INTO media_blobs (sha256, size, touched_ts) VALUES (?, ?, ?) RETURNING blob_nid",
        (sha256, size, now_ms),
    ).fetchone()
    return int(inserted[0]), 0, False


def select_chunks(db: Db, blob: Blob, first: int, end: int) -> Iterator[bytes]:
    """The data of a blob's chunks from number `first` up to, not including, `end`."""
    rows = db.execute(
        "SELECT data FROM media_chunks WHERE chunk_nid >= ? AND chunk_nid < ? ORDER BY chunk_nid",
        (_chunk_nid(blob.nid, first), _chunk_nid(blob.nid, end)),
    )
    return (row[0] for row in rows)


def delete_abandoned_chunks(db: Db, *, touched_before_ts: int, limit: int) -> bool:
    """Delete at most `limit` chunks of a blob that nobody goes on with. True when there may be more to delete."""
    row = db.execute(
        "SELECT blob_nid, written FROM media_blobs WHERE NOT is_complete AND touched_ts < ? LIMIT 1",
        (touched_before_ts,),
    ).fetchone()
    if row is None:
        return False
    nid, written = row
    rest = max(0, written - limit)
    db.execute(
        "DELETE FROM media_chunks WHERE chunk_nid >= ? AND chunk_nid < ?",
        (_chunk_nid(nid, rest), _chunk_nid(nid, written)),
    )
    if rest:
        db.execute("UPDATE media_blobs SET written = ? WHERE blob_nid = ?", (rest, nid))
    else:
        db.execute("DELETE FROM media_blobs WHERE blob_nid = ?", (nid,))
    return True


def find_thumbnail(db: Db, image: Blob, method: str, width: int, height: int) -> StoredThumbnail | None:
    """The thumbnail that was made of the image for a box."""
    row = db.execute(
        "SELECT content_type, media_blobs.blob_nid, sha256, size FROM media_thumbnails"
        " JOIN media_blobs ON media_blobs.blob_nid = thumbnail_nid"
        " WHERE media_thumbnails.blob_nid = ? AND method = ? AND width = ? AND height = ?",
        (image.nid, method, width, height),
    ).fetchone()
    if row is None:
        return None
    return StoredThumbnail(content_type=row[0], blob=Blob(nid=row[1], sha256=row[2], size=row[3]))


def insert_thumbnail(
    db: Db, image: Blob, method: str, width: int, height: int, *, content_type: str, thumbnail_nid: int
) -> None:
    """Keep a thumbnail, unless somebody else was faster."""
    db.execute(
        "INSERT OR IGNORE INTO media_thumbnails (blob_nid, method, width, height, content_type, thumbnail_nid)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (image.nid, method, width, height, content_type, thumbnail_nid),
    )


def _chunk_nid(blob_nid: int, number: int) -> int:
    return blob_nid * _CHUNKS_PER_BLOB + number
