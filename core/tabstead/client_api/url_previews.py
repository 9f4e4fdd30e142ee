"""Previews of linked pages. Client-Server API, § Content repository."""

from tabstead.client_api.call import Access, Call
from tabstead.client_api.rate_limits import PREVIEWING
from tabstead.client_api.routes import Routes
from tabstead.errors import NotFound
from tabstead.http import Response, json_response

routes = Routes()


@routes.waiting(
    "GET",
    "/_matrix/client/v1/media/preview_url",
    "/_matrix/media/v3/preview_url",
    access=Access.USER,
    limit=PREVIEWING,
)
async def get_preview_url(call: Call) -> Response:
    """GET /_matrix/client/v1/media/preview_url, and the deprecated /_matrix/media/v3/preview_url.

    `ts` only expresses a preference: what is there now, or was a while ago, is all that there is to give.
    """
    url = call.query.string("url")
    call.query.integer("ts", 0)
    if call.context.url_previewer is None:
        raise NotFound("This server makes no previews of linked pages.")
    language = call.request.headers.get("accept-language")
    return json_response(await call.context.url_previewer.preview(url, language, call.now_ms))
