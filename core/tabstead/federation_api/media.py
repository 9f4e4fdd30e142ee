"""This server's media, for other servers. Server-server API, § Content Repository."""

from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response
from tabstead.media.blobs import read_blob
from tabstead.media.contents import DEFAULT_WAIT_MS, MAX_WAIT_MS, make_thumbnail, wait_for_content
from tabstead.media.multipart import encode_media
from tabstead.media.serving import DEFAULT_CONTENT_TYPE, build_media_headers
from tabstead.media.thumbnails import parse_thumbnail_request
from tabstead.storage.media import Blob, Media

routes = Routes()


@routes.waiting("GET", "/_matrix/federation/v1/media/download/{mediaId}")
async def get_download(call: FederationCall) -> Response:
    """GET /_matrix/federation/v1/media/download/{mediaId}. § Content Repository."""
    media, blob = await _wait_for_content(call)
    content_type = media.content_type or DEFAULT_CONTENT_TYPE
    data = await read_blob(call.federation.commits.database, blob)
    return _hand_over(build_media_headers(blob.sha256, content_type, media.filename), data)


@routes.waiting("GET", "/_matrix/federation/v1/media/thumbnail/{mediaId}")
async def get_thumbnail(call: FederationCall) -> Response:
    """GET /_matrix/federation/v1/media/thumbnail/{mediaId}. § Content Repository."""
    wanted = parse_thumbnail_request(call.query)
    _, blob = await _wait_for_content(call)
    database = call.federation.commits.database
    made = await make_thumbnail(database, call.context.thumbnailer, blob, wanted, call.context.now_ms())
    extension = made.content_type.removeprefix("image/")
    return _hand_over(build_media_headers(made.sha256, made.content_type, f"thumbnail.{extension}"), made.data)


def _hand_over(headers: dict[str, str], data: bytes) -> Response:
    described = {name: headers[name] for name in ("content-type", "content-disposition")}
    content_type, body = encode_media(described, data)
    return Response(headers={"content-type": content_type}, body=body)


async def _wait_for_content(call: FederationCall) -> tuple[Media, Blob]:
    wait_ms = call.query.integer("timeout_ms", DEFAULT_WAIT_MS)
    commits = call.federation.commits
    return await wait_for_content(
        commits.database,
        commits.notifier,
        call.parameter("mediaId"),
        timeout_ms=max(0, min(wait_ms, MAX_WAIT_MS)),
        now_ms=call.context.now_ms,
    )
