"""A server's question to another one, as it is signed and answered."""

from typing import Any

from helpers.homeserver import Json, TestServer
from tabstead.errors import PeerRefused
from tabstead.federation.client import Question


async def ask(
    server: TestServer, other: TestServer, method: str, path: str, content: Any = None, /, **query: str
) -> tuple[int, Json]:
    """Status and body; `path` is what follows `/_matrix/federation/v1`, percent-encoded."""
    federation = server.homeserver.context.federation
    assert federation is not None
    question = Question(method=method, path=f"/_matrix/federation/v1{path}", query=query, content=content)
    try:
        return 200, await federation.client.ask(other.name, question)
    except PeerRefused as refusal:
        return refusal.status, dict(refusal.body)
