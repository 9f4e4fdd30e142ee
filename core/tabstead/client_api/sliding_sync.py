"""POST /sync: simplified sliding sync (MSC4186), under its unstable name."""

from tabstead.client_api.call import Call
from tabstead.client_api.routes import Routes
from tabstead.errors import InvalidParam
from tabstead.http import JsonObject, Query, Response, json_response
from tabstead.streams.presence import STATES
from tabstead.sync.sliding.request import (
    SlidingRequest,
    parse_conn_id,
    parse_extensions,
    parse_lists,
    parse_subscriptions,
)

routes = Routes()


@routes.waiting("POST", "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync")
async def sliding_sync(call: Call) -> Response:
    """POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync. MSC4186.

    Clients give `pos`, `timeout` and `set_presence` in the query; the accepted proposal has them in the body.
    """
    body = call.request.optional_json_object()
    request = SlidingRequest(
        user_id=call.user_id,
        device_id=call.requester.device_id,
        conn_id=parse_conn_id(body),
        pos=call.query.get("pos") or body.find_string("pos") or None,
        set_presence=_parse_presence(call.query, body),
        lists=parse_lists(body, call.user_id),
        subscriptions=parse_subscriptions(body, call.user_id),
        extensions=parse_extensions(body),
    )
    timeout_ms = call.query.integer("timeout", body.integer("timeout", 0))
    return json_response(await call.context.sliding_sync.answer(request, max(timeout_ms, 0)))


def _parse_presence(query: Query, body: JsonObject) -> str:
    presence = query.get("set_presence") or body.string("set_presence", "online")
    if presence not in STATES:
        raise InvalidParam(f"'set_presence' must be one of {', '.join(STATES)}.")
    return presence
