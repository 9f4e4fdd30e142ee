"""Dendrite's media: a database of what each mxc:// URI names, and a folder of contents by their SHA-256."""

import sqlite3
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from tabstead.errors import ImportRefused

_COLUMNS: Final = "media_id media_origin content_type creation_ts upload_name base64hash user_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMedia:
    media_id: str
    user_id: str
    created_ts: int
    content_type: str
    filename: str | None
    base64hash: str


class MediaSource:
    """The database and the folder, or nothing."""

    def __init__(self, database: Path | None, folder: Path | None) -> None:
        """Raises ImportRefused where one is not what it should be, or is given without the other."""
        if (database is None) is not (folder is None):
            raise ImportRefused("Media are a database and a folder: give both.")
        self._folder = folder or Path()
        self._db: sqlite3.Connection | None = None
        if database is None or folder is None:
            return
        for path in (database, folder):
            if not path.exists():
                raise ImportRefused(f"{path} is not there.")
        self._db = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            columns = {row[1] for row in self._db.execute("PRAGMA table_info(mediaapi_media_repository)")}
        except sqlite3.Error as error:
            self.close()
            raise ImportRefused(f"{database} can't be read: {error}.") from error
        if not columns.issuperset(_COLUMNS.split()):
            self.close()
            raise ImportRefused(f"{database} is not a database of Dendrite's media.")

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def find_next(self, after: str, server_name: str) -> SourceMedia | None:
        """What has the next media ID among the media of this server."""
        if self._db is None:
            return None
        row = self._db.execute(
            "SELECT media_id, user_id, creation_ts, content_type, upload_name, base64hash"
            " FROM mediaapi_media_repository WHERE media_id > ? AND media_origin = ? ORDER BY media_id LIMIT 1",
            (after, server_name),
        ).fetchone()
        if row is None:
            return None
        media_id, user_id, created_ts, content_type, filename, base64hash = row
        return SourceMedia(
            media_id=media_id,
            user_id=user_id,
            created_ts=created_ts,
            content_type=content_type,
            filename=filename or None,
            base64hash=base64hash,
        )

    def read(self, media: SourceMedia) -> tuple[bytes, bytes] | None:
        """(SHA-256, content), or None where the file is missing or is not what it was."""
        named = media.base64hash.rstrip("=")
        try:
            content = (self._folder / named[:1] / named[1:2] / named[2:] / "file").read_bytes()
        except (OSError, ValueError):
            return None
        digest = sha256(content).digest()
        return (digest, content) if urlsafe_b64encode(digest).decode().rstrip("=") == named else None
