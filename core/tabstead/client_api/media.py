"""Media: upload, download, thumbnails. Client-Server API, § Content repository.

The old paths below /_matrix/media are frozen, as the specification asks for since v1.12: they serve those who
authenticate, and tell all others that there is nothing. (In a worker the `<img>` of an older client authenticates as
the page that it stands in.)

Contents may be big. So they go into the database and come out of it in slices, each a transaction of its own, and only
the one that names the content by a media ID makes it exist.
"""

from dataclasses import dataclass

from tabstead.client_api.call import Access, Call
from tabstead.client_api.other_servers import ask_others
from tabstead.client_api.routes import Routes
from tabstead.errors import NotFound, TooLarge
from tabstead.http import Response, json_response
from tabstead.media.blobs import Upload, begin_upload, delete_abandoned_uploads, read_blob
from tabstead.media.contents import (
    DEFAULT_WAIT_MS,
    MAX_WAIT_MS,
    build_media_id,
    create_pending_media,
    get_pending_media,
    is_media_id,
    make_thumbnail,
    wait_for_content,
)
from tabstead.media.serving import (
    DEFAULT_CONTENT_TYPE,
    build_media_headers,
    clean_content_type,
    clean_filename,
    find_range,
    is_cached,
)
from tabstead.media.thumbnails import parse_thumbnail_request
from tabstead.protocol.identifiers import ServerName, is_server_name
from tabstead.storage.database import Db
from tabstead.storage.media import Blob, insert_media, update_media_content
from tabstead.storage.positions import next_position

routes = Routes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """A content with what its uploader said of it."""

    content_type: str | None
    filename: str | None
    blob: Blob


@routes.read("GET", "/_matrix/client/v1/media/config", "/_matrix/media/v3/config")
def get_config(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v1/media/config, and the older /_matrix/media/v3/config."""
    return json_response({"m.upload.size": call.context.configuration.max_upload_bytes})


@routes.waiting("POST", "/_matrix/media/v3/upload", access=Access.USER)
async def post_upload(call: Call) -> Response:
    """POST /_matrix/media/v3/upload."""
    upload = await _begin_upload(call)

    def insert(db: Db) -> Response:
        media_id = build_media_id()
        insert_media(
            db,
            media_id,
            call.user_id,
            blob_nid=upload.finish(db, call.now_ms),
            content_type=clean_content_type(call.request.headers.get("content-type")),
            filename=clean_filename(call.query.get("filename")),
            now_ms=call.now_ms,
        )
        return json_response({"content_uri": _content_uri(call, media_id)})

    return await call.context.write_once(call.request, insert)


@routes.write("POST", "/_matrix/media/v1/create", access=Access.USER)
def post_create(call: Call, db: Db) -> Response:
    """POST /_matrix/media/v1/create. Added in v1.7."""
    media_id, expires_ts = create_pending_media(db, call.user_id, call.now_ms)
    return json_response({"content_uri": _content_uri(call, media_id), "unused_expires_at": expires_ts})


@routes.waiting("PUT", "/_matrix/media/v3/upload/{serverName}/{mediaId}", access=Access.USER)
async def put_upload(call: Call) -> Response:
    """PUT /_matrix/media/v3/upload/{serverName}/{mediaId}. Added in v1.7."""
    media_id = _local_media_id(call)
    await call.context.database.read(lambda db: get_pending_media(db, media_id, call.user_id, call.now_ms))
    upload = await _begin_upload(call)

    def update(db: Db) -> Response:
        get_pending_media(db, media_id, call.user_id, call.now_ms)
        update_media_content(
            db,
            media_id,
            blob_nid=upload.finish(db, call.now_ms),
            content_type=clean_content_type(call.request.headers.get("content-type")),
            filename=clean_filename(call.query.get("filename")),
        )
        next_position(db)  # no stream's row has it: it wakes the downloads that wait for this content
        return json_response({})

    return await call.context.write_once(call.request, update)


async def _begin_upload(call: Call) -> Upload:
    limit = call.context.configuration.max_upload_bytes
    if len(call.request.body) > limit:
        raise TooLarge(f"This server accepts files of up to {limit} bytes.")
    await delete_abandoned_uploads(call.context.database, call.now_ms)
    return await begin_upload(call.context.database, call.request.body, call.now_ms)


def _content_uri(call: Call, media_id: str) -> str:
    return f"mxc://{call.context.configuration.server_name}/{media_id}"


@routes.waiting(
    "GET",
    "/_matrix/client/v1/media/download/{serverName}/{mediaId}",
    "/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}",
)
async def get_download(call: Call) -> Response:
    """GET /_matrix/client/v1/media/download/{serverName}/{mediaId}, with or without /{fileName}. Added in v1.11."""
    media = await _wait_for_content(call)
    blob = media.blob
    filename = clean_filename(call.request.path_parameters.get("fileName")) or media.filename
    headers = build_media_headers(blob.sha256, media.content_type or DEFAULT_CONTENT_TYPE, filename)
    if is_cached(call.request.headers, blob.sha256):
        return Response(status=304, headers=headers)
    return await _serve(call, blob, headers)


async def _serve(call: Call, blob: Blob, headers: dict[str, str]) -> Response:
    """The bytes, or the range of them that was asked for."""
    part = find_range(call.request.headers, blob.sha256, blob.size)
    if part is None:
        return Response(headers=headers, body=await read_blob(call.context.database, blob))
    if part.start >= part.end:
        return Response(status=416, headers={**headers, "content-range": f"bytes */{blob.size}"})
    body = await read_blob(call.context.database, blob, part.start, part.end)
    content_range = f"bytes {part.start}-{part.end - 1}/{blob.size}"
    return Response(status=206, headers={**headers, "content-range": content_range}, body=body)


@routes.waiting("GET", "/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}")
async def get_thumbnail(call: Call) -> Response:
    """GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}. Added in v1.11."""
    wanted = parse_thumbnail_request(call.query)
    media = await _wait_for_content(call)
    thumbnail = await make_thumbnail(call.context.database, call.context.thumbnailer, media.blob, wanted, call.now_ms)
    extension = thumbnail.content_type.removeprefix("image/")
    headers = build_media_headers(thumbnail.sha256, thumbnail.content_type, f"thumbnail.{extension}")
    if is_cached(call.request.headers, thumbnail.sha256):
        return Response(status=304, headers=headers)
    return Response(headers=headers, body=thumbnail.data)


async def _wait_for_content(call: Call) -> Downloaded:
    """The path's media, of this server or of another one. Raises MatrixError."""
    timeout_ms = max(0, min(call.query.integer("timeout_ms", DEFAULT_WAIT_MS), MAX_WAIT_MS))
    if call.parameter("serverName") != call.context.configuration.server_name:
        return await _fetch_remote(call, timeout_ms)
    media, blob = await wait_for_content(
        call.context.database,
        call.context.notifier,
        _local_media_id(call),
        timeout_ms=timeout_ms,
        now_ms=call.context.now_ms,
    )
    return Downloaded(content_type=media.content_type, filename=media.filename, blob=blob)


async def _fetch_remote(call: Call, timeout_ms: int) -> Downloaded:
    server_name, media_id = call.parameter("serverName"), call.parameter("mediaId")
    is_wanted = is_server_name(server_name) and is_media_id(media_id) and call.query.boolean("allow_remote", True)
    if call.context.federation is None or not is_wanted:
        raise NotFound("This server has no media of other servers.")
    from tabstead.federation.media import MediaID

    wanted = MediaID(server_name=ServerName(server_name), media_id=media_id)
    media = await ask_others(call, lambda federation: federation.media.find_or_fetch(wanted, timeout_ms))
    return Downloaded(content_type=media.content_type, filename=media.filename, blob=media.blob)


def _local_media_id(call: Call) -> str:
    """The path's media ID. Raises NotFound where the path names another server."""
    if call.parameter("serverName") != call.context.configuration.server_name:
        raise NotFound("This is media of another server.")
    return call.parameter("mediaId")


@routes.waiting(
    "GET",
    "/_matrix/media/v3/download/{serverName}/{mediaId}",
    "/_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}",
    access=Access.OPTIONAL,
)
async def get_frozen_download(call: Call) -> Response:
    """GET /_matrix/media/v3/download/{serverName}/{mediaId}, with or without /{fileName}. Deprecated in v1.11."""
    _check_frozen(call)
    return await get_download(call)


@routes.waiting("GET", "/_matrix/media/v3/thumbnail/{serverName}/{mediaId}", access=Access.OPTIONAL)
async def get_frozen_thumbnail(call: Call) -> Response:
    """GET /_matrix/media/v3/thumbnail/{serverName}/{mediaId}. Deprecated in v1.11."""
    _check_frozen(call)
    return await get_thumbnail(call)


def _check_frozen(call: Call) -> None:
    """§ Content repository: what is uploaded after the freeze is there for those alone who authenticate."""
    if call.optional_requester is None:
        raise NotFound("Media is served to authenticated clients only: ask at /_matrix/client/v1/media.")
