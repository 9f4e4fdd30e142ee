"""What a client wants that another server has: whether it can be asked, and what it means when it fails.

The modules that ask are loaded when somebody is asked: a server that wakes for its own users needs none of them.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from tabstead.client_api.call import Call
from tabstead.client_api.routes import Elsewhere
from tabstead.errors import OutboundFailed
from tabstead.http import Response

if TYPE_CHECKING:
    from tabstead.federation.federation import Federation

T = TypeVar("T")


def may_ask(call: Call, identifier: str) -> bool:
    """Whether the identifier's server is another one, and other servers can be asked."""
    return call.context.federation is not None and not call.context.local_server.owns(identifier)


def elsewhere(call: Call, ask: Callable[["Federation"], Awaitable[Response]]) -> Elsewhere:
    """What an endpoint returns when another server has the answer; `may_ask` has said that it can be asked."""
    return Elsewhere(ask=lambda: ask_others(call, ask))


async def ask_others(call: Call, ask: Callable[["Federation"], Awaitable[T]]) -> T:
    """Ask, and let a failure be a Matrix error to the client. Raises MatrixError."""
    federation = call.context.federation
    assert federation is not None, "may_ask was not asked"
    try:
        return await ask(federation)
    except OutboundFailed as failure:
        from tabstead.federation.answers import explain

        raise explain(failure) from failure
