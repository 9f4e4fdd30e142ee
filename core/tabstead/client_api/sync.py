"""GET /sync. Client-Server API, § Syncing."""

from tabstead.client_api.call import Call
from tabstead.client_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.streams.presence import STATES
from tabstead.streams.tokens import parse_sync_token
from tabstead.sync.long_poll import SyncRequest

routes = Routes()

# The second is from before the parameter was in the specification; clients that use it look for its own answer.
_STATE_AFTER = {
    "use_state_after": "state_after",
    "org.matrix.msc4222.use_state_after": "org.matrix.msc4222.state_after",
}
"""Parameters that ask for the state at the timeline's end, and the keys under which it is told."""


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
        state_after_names=tuple(name for parameter, name in _STATE_AFTER.items() if query.boolean(parameter)),
        set_presence=query.choice("set_presence", STATES, "online"),
    )
    timeout_ms = max(query.integer("timeout", 0), 0)
    return json_response(await call.context.long_poll.answer(request, timeout_ms))
