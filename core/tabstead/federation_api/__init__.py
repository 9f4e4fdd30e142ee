"""/_matrix/federation, /_matrix/key: one module per section of the server-server API.

An endpoint parses, calls one function, shapes the answer. Its docstring begins with the method and the path.
"""

from typing import Final

from tabstead.federation_api import (
    history,
    inviting,
    joining,
    keys,
    knocking,
    leaving,
    media,
    openid,
    public_rooms,
    queries,
    room_states,
    server,
    spaces,
    third_party_invites,
    transactions,
    user_keys,
)
from tabstead.federation_api.call import FederationContext
from tabstead.federation_api.routes import answer_with, build_router
from tabstead.http import Request, Response

__all__ = ["FederationContext", "answer"]

_ROUTER: Final = build_router(
    history.routes,
    inviting.routes,
    joining.routes,
    keys.routes,
    knocking.routes,
    leaving.routes,
    media.routes,
    openid.routes,
    public_rooms.routes,
    queries.routes,
    room_states.routes,
    server.routes,
    spaces.routes,
    third_party_invites.routes,
    transactions.routes,
    user_keys.routes,
)


async def answer(context: FederationContext, request: Request) -> Response:
    """Answer a request of another server. Raises MatrixError."""
    return await answer_with(_ROUTER, context, request)
