"""What the user was notified of. Client-Server API, § Listing Notifications."""

from tabstead.client_api.call import Call
from tabstead.client_api.routes import Routes
from tabstead.errors import InvalidParam
from tabstead.http import Response, json_response
from tabstead.push.notifications import list_notifications
from tabstead.rooms.client_events import Reader
from tabstead.storage.database import Db

routes = Routes()

_DEFAULT_LIMIT = 50
_MAX_LIMIT = 200


@routes.read("GET", "/_matrix/client/v3/notifications")
def get_notifications(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/notifications. § Listing Notifications."""
    page = list_notifications(
        db,
        Reader(user_id=call.user_id, device_id=call.requester.device_id),
        before=_position(call.query.get("from")),
        limit=min(max(call.query.integer("limit", _DEFAULT_LIMIT), 1), _MAX_LIMIT),
        only_highlights=call.query.get("only") == "highlight",
        now_ms=call.now_ms,
    )
    body = {"notifications": page.notifications}
    return json_response(body if page.next_position is None else {**body, "next_token": str(page.next_position)})


def _position(token: str | None) -> int | None:
    if token is None:
        return None
    if not (token.isascii() and token.isdigit() and len(token) < 17):
        raise InvalidParam("This is not a token of this list.")
    return int(token)
