"""Who asks: the signature on another server's request."""

import json
from pathlib import Path

import pytest

from helpers.federation import Network
from helpers.homeserver import TestServer
from tabstead.configuration import Federation
from tabstead.errors import OutboundRefused
from tabstead.federation.client import Question
from tabstead.http import Request
from tabstead.protocol.identifiers import ServerName
from tabstead.protocol.request_auth import SignedRequest, encode_authorization
from tabstead.protocol.signatures import SigningKey

PATH = "/_matrix/federation/v1/query/profile"
QUERY = "user_id=%40a%3Aright.test"


@pytest.fixture
async def network(tmp_path: Path):
    network = Network()
    await network.open(tmp_path, "left.test")
    await network.open(tmp_path, "right.test")
    yield network
    await network.close()


async def ask(server: TestServer, authorization: str | None, query: str = QUERY) -> tuple[int, str]:
    headers = {} if authorization is None else {"authorization": authorization}
    answer = await server.homeserver.handle(Request(method="GET", path=PATH, query_string=QUERY, headers=headers))
    return answer.status, json.loads(answer.body).get("errcode", "")


def sign(server: TestServer, *, destination: str = "right.test", query: str = QUERY) -> str:
    signed = SignedRequest(method="GET", uri=f"{PATH}?{query}")
    return encode_authorization(signed, server.name, destination, server.homeserver.context.local_server.signing_key)


async def test_a_server_publishes_its_key_signed_with_it(network: Network) -> None:
    left = network.servers["left.test"]
    context = network.servers["right.test"].homeserver.context
    assert context.federation is not None
    question = Question(method="GET", path="/_matrix/key/v2/server", is_signed=False)
    response = await context.federation.client.ask(left.name, question)
    key = left.homeserver.context.local_server.signing_key.verify_key
    assert response["verify_keys"] == {key.key_id: {"key": key.encode()}}
    assert response["signatures"].keys() == {"left.test"}


async def test_a_request_is_answered_to_the_server_that_signed_it(network: Network) -> None:
    left, right = network.servers.values()
    await right.register("a")
    assert (await ask(right, sign(left)))[0] == 200


async def test_a_request_without_a_signature_that_holds_is_refused(network: Network) -> None:
    left, right = network.servers.values()
    await right.register("a")
    assert await ask(right, None) == (401, "M_UNAUTHORIZED")
    assert await ask(right, sign(left, query="user_id=%40b%3Aright.test")) == (401, "M_UNAUTHORIZED")
    assert await ask(right, sign(left, destination="other.test")) == (401, "M_UNAUTHORIZED")
    assert await ask(right, sign(right)) == (401, "M_UNAUTHORIZED")


async def test_a_key_that_is_not_the_servers_signs_nothing(network: Network) -> None:
    left, right = network.servers.values()
    await right.register("a")
    forged = SigningKey(key_id=left.homeserver.context.local_server.signing_key.key_id, seed=b"\1" * 32)
    signed = SignedRequest(method="GET", uri=f"{PATH}?{QUERY}")
    assert await ask(right, encode_authorization(signed, "left.test", "right.test", forged)) == (401, "M_UNAUTHORIZED")


async def test_a_server_that_cannot_be_asked_for_its_key_is_not_believed(network: Network) -> None:
    left, right = network.servers.values()
    await right.register("a")
    network.cut("left.test", "right.test")
    assert await ask(right, sign(left)) == (401, "M_UNAUTHORIZED")


async def test_who_is_blocked_is_neither_answered_nor_asked(network: Network, tmp_path: Path) -> None:
    left = network.servers["left.test"]
    for options in (Federation(blocked_servers=("left.test",)), Federation(allowed_servers=("right.test",))):
        name = f"{len(network.servers)}.test"
        guarded = await network.open(tmp_path, name, federation=options)
        await guarded.register("a")
        federation = guarded.homeserver.context.federation
        assert federation is not None
        with pytest.raises(OutboundRefused):
            await federation.client.ask(ServerName("left.test"), Question(method="GET", path="/"))
        assert await ask(guarded, sign(left, destination=name)) == (403, "M_FORBIDDEN")
        assert {request.destination for origin, request in network.requests if origin == name} == set()


async def test_a_body_is_not_read_without_end_nor_if_it_is_no_object(network: Network) -> None:
    left, right = network.servers.values()
    for body, refusal in ((bytes(16 * 1024 * 1024 + 1), (413, "M_TOO_LARGE")), (b"[]", (400, "M_BAD_JSON"))):
        headers = {"authorization": sign(left)}
        answer = await right.homeserver.handle(
            Request(method="PUT", path="/_matrix/federation/v1/send/1", headers=headers, body=body)
        )
        assert (answer.status, json.loads(answer.body)["errcode"]) == refusal
