"""GET /sync. Client-Server API, § Syncing."""

from tabstead.client_api.call import Call
from tabstead.client_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.streams.presence import STATES
from tabstead.streams.tokens import parse_sync_token
from tabstead.sync.long_poll import SyncRequest

routes = Routes()


@routes.waiting("GET", "/_matrix/client/v3/sync")
async def sync(call: Call) -> Response:
    """GET /_matrix/client/v3/sync. § Syncing."""
    query = call.query
    since = query.get("since")
    request = SyncRequest(
        user_id=call.user_id,
        device_id=call.requester.device_id,
        since=parse_sync_token(since) if since else None,
        filter=query.get("filter", ""),
        full_state=query.boolean("full_state"),
        # The second name is from before the parameter was in the specification.
        use_state_after=query.boolean("use_state_after") or query.boolean("org.matrix.msc4222.use_state_after"),
        set_presence=query.choice("set_presence", STATES, "online"),
    )
    timeout_ms = max(query.integer("timeout", 0), 0)
    return json_response(await call.context.long_poll.answer(request, timeout_ms))
