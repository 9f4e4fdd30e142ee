"""Finding people. Client-Server API, § User Directory."""

from typing import Final

from tabstead.accounts.user_directory import bring_directory_up, is_directory_behind, search_users
from tabstead.client_api.call import Access, Call
from tabstead.client_api.rate_limits import LOOKING_UP
from tabstead.client_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.protocol.canonical_json import JsonDict
from tabstead.storage.user_directory import DirectoryUser

routes = Routes()

DEFAULT_RESULTS: Final = 10
MAX_RESULTS: Final = 100


@routes.waiting("POST", "/_matrix/client/v3/user_directory/search", access=Access.USER, limit=LOOKING_UP)
async def post_user_directory_search(call: Call) -> Response:
    """POST /_matrix/client/v3/user_directory/search. § User Directory."""
    body = call.body()
    term = body.string("search_term")
    limit = max(0, min(body.integer("limit", DEFAULT_RESULTS), MAX_RESULTS))
    database, server = call.context.database, call.context.local_server
    if await database.read(is_directory_behind):
        while await database.write(lambda db: bring_directory_up(db, server)):
            continue
    found = await database.read(lambda db: search_users(db, server, call.user_id, term, limit + 1))
    return json_response({"results": [_show(user) for user in found[:limit]], "limited": len(found) > limit})


def _show(user: DirectoryUser) -> JsonDict:
    shown = {"user_id": user.user_id, "display_name": user.displayname, "avatar_url": user.avatar_url}
    return {key: value for key, value in shown.items() if value is not None}
