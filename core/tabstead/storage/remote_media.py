"""Media of other servers, as they were handed over. What an mxc:// URI names never changes."""

from dataclasses import dataclass
from typing import Final

from tabstead.storage.database import Db
from tabstead.storage.media import Blob

_NOTED_EVERY_MS: Final = 24 * 60 * 60 * 1000
"""To note each use would be a write for each read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteMedia:
    used_ts: int
    content_type: str
    filename: str | None
    blob: Blob


def find_remote_media(db: Db, server_name: str, media_id: str) -> RemoteMedia | None:
    row = db.execute(
        "SELECT used_ts, content_type, filename, blob_nid, sha256, size FROM remote_media JOIN media_blobs USING"
        " (blob_nid) WHERE server_name = ? AND media_id = ?",
        (server_name, media_id),
    ).fetchone()
    if row is None:
        return None
    used_ts, content_type, filename, nid, sha256, size = row
    blob = Blob(nid=nid, sha256=sha256, size=size)
    return RemoteMedia(used_ts=used_ts, content_type=content_type, filename=filename, blob=blob)


def insert_remote_media(
    db: Db, server_name: str, media_id: str, *, blob_nid: int, content_type: str, filename: str | None, now_ms: int
) -> None:
    """Keep what was handed over, unless somebody else was faster."""
    db.execute(
        "INSERT OR IGNORE INTO remote_media (server_name, media_id, used_ts, content_type, filename, blob_nid)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (server_name, media_id, now_ms, content_type, filename, blob_nid),
    )


def is_use_unnoted(media: RemoteMedia, now_ms: int) -> bool:
    return media.used_ts < now_ms - _NOTED_EVERY_MS


def update_used(db: Db, server_name: str, media_id: str, now_ms: int) -> None:
    """Somebody asked for it."""
    db.execute(
        "UPDATE remote_media SET used_ts = ? WHERE server_name = ? AND media_id = ?", (now_ms, server_name, media_id)
    )
