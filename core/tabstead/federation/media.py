"""Media of other servers: asked for when a client wants it first, and kept for a while.

Asked is the server that the mxc:// URI names, and no other. What it hands over is as untrusted as an upload, and is
stored like one: the same content is there once, whoever sent it. It may say instead where to get the content: that is
fetched as a stranger's address is, without a signature. A server that doesn't know the question yet is asked in the
older way, which needs no signature either. (server-server API, "Content Repository")
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from tabstead.errors import (
    MatrixError,
    NotFound,
    NotYetUploaded,
    OutboundFailed,
    OutboundTooLarge,
    PeerRefused,
    TooLarge,
    Unrecognized,
)
from tabstead.federation.client import FederationClient, Question, federation_path
from tabstead.federation.recent_answers import SharedFetches
from tabstead.media.blobs import begin_upload, delete_abandoned_uploads
from tabstead.media.multipart import MediaPart, MediaReader
from tabstead.media.serving import clean_content_type, clean_filename
from tabstead.outbound import Outbound, OutboundRequest
from tabstead.protocol.identifiers import ServerName
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Database, Db
from tabstead.storage.remote_media import (
    RemoteMedia,
    find_remote_media,
    insert_remote_media,
    is_use_unnoted,
    update_used,
)

_TRANSFER_MS: Final = 60_000
"""For the content itself, once it is there."""
_AROUND_BYTES: Final = 128 * 1024
"""What may stand around the content."""
_REDIRECTS: Final = 3
_MAX_URL: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaID:
    """What an mxc:// URI names."""

    server_name: ServerName
    media_id: str


class MediaFetcher:
    """Fetches media of other servers into storage."""

    def __init__(
        self,
        server: LocalServer,
        database: Database,
        client: FederationClient,
        outbound: Outbound | None,
        *,
        max_bytes: int,
    ) -> None:
        """`max_bytes` of a content; without an `outbound` no server can say that it is elsewhere."""
        self._server = server
        self._database = database
        self._client = client
        self._outbound = outbound
        self._max_bytes = max_bytes
        self._shared: SharedFetches[MediaID, RemoteMedia] = SharedFetches()

    async def find_or_fetch(self, wanted: MediaID, timeout_ms: int) -> RemoteMedia:
        """The media, for whose upload its server waits so long. Raises MatrixError, OutboundFailed."""
        now_ms = self._server.now_ms()
        known = await self._database.read(lambda db: find_remote_media(db, wanted.server_name, wanted.media_id))
        if known is None:
            return await self._shared.fetch(wanted, lambda: self._fetch(wanted, timeout_ms))
        if is_use_unnoted(known, now_ms):
            await self._database.write(lambda db: update_used(db, wanted.server_name, wanted.media_id, now_ms))
        return known

    async def _fetch(self, wanted: MediaID, timeout_ms: int) -> RemoteMedia:
        try:
            part = await self._ask(wanted, timeout_ms)
        except OutboundTooLarge as error:
            # 502: "The content is too large for the server to serve."
            raise TooLarge("The content is too large for this server.", status=502) from error
        except PeerRefused as refusal:
            raise _read_refusal(refusal) or refusal from refusal
        if len(part.data) > self._max_bytes:
            raise TooLarge("The content is too large for this server.", status=502)
        return await self._keep(wanted, part)

    async def _ask(self, wanted: MediaID, timeout_ms: int) -> MediaPart:
        try:
            part = await self._ask_for_parts(wanted, timeout_ms)
        except PeerRefused as refusal:
            if refusal.errcode != Unrecognized.errcode:
                raise
            return await self._ask_in_the_older_way(wanted, timeout_ms)
        location = part.headers.get("location")
        return part if location is None else await self._follow(location)

    async def _ask_for_parts(self, wanted: MediaID, timeout_ms: int) -> MediaPart:
        reader = MediaReader()
        question = Question(
            method="GET",
            path=federation_path("v1", "media", "download", wanted.media_id),
            query={"timeout_ms": str(timeout_ms)},
            timeout_ms=timeout_ms + _TRANSFER_MS,
            max_bytes=self._max_bytes + _AROUND_BYTES,
        )
        answer = await self._client.exchange(wanted.server_name, question, reader.take)
        return reader.finish(answer.headers.get("content-type", ""))

    async def _ask_in_the_older_way(self, wanted: MediaID, timeout_ms: int) -> MediaPart:
        """GET /_matrix/media/v3/download/{serverName}/{mediaId}, deprecated in v1.11."""
        segments = (quote(segment, safe="") for segment in (wanted.server_name, wanted.media_id))
        question = Question(
            method="GET",
            path="/_matrix/media/v3/download/" + "/".join(segments),
            query={"allow_remote": "false", "timeout_ms": str(timeout_ms)},
            timeout_ms=timeout_ms + _TRANSFER_MS,
            max_bytes=self._max_bytes,
            is_signed=False,
        )
        answer = await self._client.exchange(wanted.server_name, question)
        return MediaPart(headers=answer.headers, data=answer.body)

    async def _follow(self, location: str) -> MediaPart:
        """The content from where the server says it is."""
        if self._outbound is None:
            raise OutboundFailed("The content is where this server can't get it from.")
        if not location.startswith("https://") or len(location) > _MAX_URL:
            raise OutboundFailed("The content is said to be at what is no address.")
        answer = await self._outbound.send(
            OutboundRequest(
                url=location,
                timeout_ms=_TRANSFER_MS,
                max_bytes=self._max_bytes,
                max_redirects=_REDIRECTS,
                public_only=True,
            )
        )
        if not answer.is_success:
            raise OutboundFailed(f"Where the content is said to be, the answer is {answer.status}.")
        return MediaPart(headers=answer.headers, data=answer.body)

    async def _keep(self, wanted: MediaID, part: MediaPart) -> RemoteMedia:
        now_ms = self._server.now_ms()
        await delete_abandoned_uploads(self._database, now_ms)
        upload = await begin_upload(self._database, part.data, now_ms)

        def insert(db: Db) -> RemoteMedia:
            insert_remote_media(
                db,
                wanted.server_name,
                wanted.media_id,
                blob_nid=upload.finish(db, now_ms),
                content_type=clean_content_type(part.headers.get("content-type")),
                filename=read_filename(part.headers),
                now_ms=now_ms,
            )
            kept = find_remote_media(db, wanted.server_name, wanted.media_id)
            assert kept is not None
            return kept

        return await self._database.write(insert)


def read_filename(headers: Mapping[str, str]) -> str | None:
    """The file name of a Content-Disposition, in either of the ways in which it may be written (RFC 6266)."""
    from email.message import Message

    message = Message()
    message["content-disposition"] = headers.get("content-disposition", "").replace("\r", "").replace("\n", "")
    try:
        return clean_filename(message.get_filename())
    except (ValueError, LookupError):  # an encoding that is none
        return None


def _read_refusal(refusal: PeerRefused) -> MatrixError | None:
    """What a server's refusal means to who wants the media; None where it means nothing in particular."""
    if refusal.errcode == NotYetUploaded.errcode:
        return NotYetUploaded("The content has not been uploaded yet.")
    if refusal.errcode == TooLarge.errcode:
        return TooLarge("The content is too large for its server to serve.", status=502)
    if refusal.status == NotFound.status:
        return NotFound("There is no such media.")
    return None
