"""Media that nobody can ask for any more: IDs whose content never came, contents that no ID names, and what is left of
uploads that were killed. Media of other servers that nobody has asked for in a while, since it is there still. When
space is short, thumbnails too, which are made anew, and all media of other servers but the last.

Nothing is taken from under a reader or a writer: a content that loses its last name is kept an hour longer, and is then
declared incomplete, so that whoever uploads it again meanwhile goes on with what is there.
"""

from typing import Final

from tabstead.storage.compaction.slices import Circumstances, Position, Progress
from tabstead.storage.engine import Db
from tabstead.storage.media import delete_abandoned_chunks

_KEPT_MS: Final = 60 * 60 * 1000
_DAY_MS: Final = 24 * _KEPT_MS
_REMOTE_KEPT_MS: Final = 90 * _DAY_MS
_REMOTE_KEPT_WHEN_SHORT_MS: Final = 2 * _DAY_MS
"""Uses are noted by the day."""

_UNNAMED: Final = (
    "is_complete AND touched_ts < ?3"
    " AND NOT EXISTS (SELECT 1 FROM media m WHERE m.blob_nid = media_blobs.blob_nid)"
    " AND NOT EXISTS (SELECT 1 FROM remote_media r WHERE r.blob_nid = media_blobs.blob_nid)"
    " AND NOT EXISTS (SELECT 1 FROM media_thumbnails t WHERE t.thumbnail_nid = media_blobs.blob_nid)"
)


def delete_expired(db: Db, position: Position, limit: int, circumstances: Circumstances) -> Progress:
    """Forget media IDs whose content did not come in time. A unit is a row."""
    deleted = db.execute(
        "DELETE FROM media WHERE media_id IN"
        " (SELECT media_id FROM media WHERE blob_nid IS NULL AND expires_ts <= ? LIMIT ?)",
        (circumstances.now_ms - _KEPT_MS, limit),
    ).rowcount
    return Progress(used=deleted, position=position if deleted == limit else None)


def delete_remote(db: Db, position: Position, limit: int, circumstances: Circumstances) -> Progress:
    """Forget media of other servers; their contents go when they are unnamed for a while. A unit is a row."""
    kept_ms = _REMOTE_KEPT_WHEN_SHORT_MS if circumstances.is_short else _REMOTE_KEPT_MS
    rows = db.execute(
        "SELECT blob_nid, server_name, media_id FROM remote_media WHERE used_ts < ? ORDER BY used_ts LIMIT ?",
        (circumstances.now_ms - kept_ms, limit),
    ).fetchall()
    touch = "UPDATE media_blobs SET touched_ts = ? WHERE blob_nid = ?"
    db.executemany(touch, [(circumstances.now_ms, row[0]) for row in rows])
    db.executemany("DELETE FROM remote_media WHERE server_name = ? AND media_id = ?", [row[1:] for row in rows])
    return Progress(used=len(rows), position=position if len(rows) == limit else None)


def delete_thumbnails(db: Db, position: Position, limit: int, circumstances: Circumstances) -> Progress:
    """Forget thumbnails where space is short; their contents go when they are unnamed for a while. A unit is a row."""
    if not circumstances.is_short:
        return Progress(used=0, position=None)
    rows = db.execute("SELECT blob_nid, method, width, height, thumbnail_nid FROM media_thumbnails LIMIT ?", (limit,))
    thumbnails = rows.fetchall()
    touch = "UPDATE media_blobs SET touched_ts = ? WHERE blob_nid = ?"
    db.executemany(touch, [(circumstances.now_ms, row[4]) for row in thumbnails])
    db.executemany(
        "DELETE FROM media_thumbnails WHERE blob_nid = ? AND method = ? AND width = ? AND height = ?",
        [row[:4] for row in thumbnails],
    )
    return Progress(used=len(thumbnails), position=position if len(thumbnails) == limit else None)


def abandon_unnamed(db: Db, position: Position, limit: int, circumstances: Circumstances) -> Progress:
    """Declare contents incomplete that neither a media ID nor an image has, with their thumbnails. A unit is a row."""
    after = position[0] if position else 0
    (upto, count) = db.execute(
        "SELECT MAX(blob_nid), COUNT(*) FROM"
        " (SELECT blob_nid FROM media_blobs WHERE blob_nid > ? ORDER BY blob_nid LIMIT ?)",
        (after, limit),
    ).fetchone()
    if not count:
        return Progress(used=0, position=None)
    rows = db.execute(
        f"SELECT blob_nid FROM media_blobs WHERE blob_nid > ?1 AND blob_nid <= ?2 AND {_UNNAMED}",
        (after, upto, circumstances.now_ms - _KEPT_MS),
    )
    unnamed = rows.fetchall()
    db.executemany("UPDATE media_blobs SET is_complete = 0 WHERE blob_nid = ?", unnamed)
    db.executemany("DELETE FROM media_thumbnails WHERE blob_nid = ?", unnamed)
    return Progress(used=count, position=(upto,) if count == limit else None)


def delete_abandoned(db: Db, position: Position, limit: int, circumstances: Circumstances) -> Progress:
    """Delete contents that are incomplete and that nobody goes on with. A unit is a chunk."""
    before = circumstances.now_ms - _KEPT_MS
    more = delete_abandoned_chunks(db, touched_before_ts=before, limit=limit)
    return Progress(used=limit if more else 0, position=position if more else None)
