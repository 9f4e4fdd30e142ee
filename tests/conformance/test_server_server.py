"""Every operation of the Server-Server API over real TLS with real signatures: called well, badly, and by a liar.

The operations are read from the published description, so none can be left out; the test skips where that is absent.
Each answer is validated against it.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from conformance.server_operations import CASES
from conformance.server_world import FORGED, ServerWorld
from helpers.api_description import Operation
from helpers.federated_servers import FederatedServers
from helpers.homeserver import Answer
from helpers.peer_rooms import take_invites
from helpers.server_server_api import find_api
from helpers.signing_peer import SigningPeer

CALLED: Final[set[str]] = set()
"""The operations whose calls have come out right in this run."""


def every_operation() -> list[Any]:
    api = find_api()
    if api is None:
        absent = pytest.mark.skip(reason="the specification's data is not here")
        return [pytest.param(None, marks=absent, id="absent")]
    return [pytest.param(operation, id=operation.operation_id) for operation in api.operations]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerWorld]:
    api = find_api()
    assert api is not None
    servers = FederatedServers(tmp_path_factory.mktemp("server_server"))
    server = servers.start_tabstead('address = "localhost:8448"')
    peer = SigningPeer(servers.authority)
    take_invites(peer)
    await peer.start()
    yield ServerWorld(api, server, peer, await server.register("alice"))
    servers.stop()
    await peer.stop()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("operation", every_operation())
async def test_operation(operation: Operation, world: ServerWorld) -> None:
    case = CASES[operation.operation_id]
    answer = await case.good(world)
    assert answer.status == case.status, answer
    assert world.last is not None and world.last.operation_id == operation.operation_id
    await refuse_liars(operation, world)
    refused = await case.bad(world)
    assert (refused.status, errcode(refused)) == case.refusal, refused
    CALLED.add(operation.operation_id)


async def refuse_liars(operation: Operation, world: ServerWorld) -> None:
    """Who signs with another key or not at all is refused where a signature is demanded, and so is what is no JSON."""
    if not CASES[operation.operation_id].is_there:
        return
    if operation.is_authenticated:
        for liar in ({"key": FORGED}, {"is_signed": False}):
            refused = await world.repeat(**liar)
            assert (refused.status, errcode(refused)) == (401, "M_UNAUTHORIZED"), (liar, refused)
    assert world.last is not None
    if world.last.content is not None:
        refused = await world.repeat(body=b"{")
        assert (refused.status, errcode(refused)) == (400, "M_NOT_JSON"), refused


def errcode(answer: Answer) -> str:
    found: str = answer.json["errcode"]
    return found


@pytest.mark.after_all_others
def test_every_operation_was_called(request: pytest.FixtureRequest) -> None:
    """None is left out."""
    api = find_api()
    ran = sum(item.name.startswith("test_operation[") and item.path == request.path for item in request.session.items)
    if api is None or ran < len(api.operations):
        pytest.skip("not all were to be called")
    assert CASES.keys() == {operation.operation_id for operation in api.operations}
    assert CASES.keys() == CALLED
    assert len(CASES) == 36
