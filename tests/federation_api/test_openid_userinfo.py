"""GET /openid/userinfo: who carries a token."""

import json

from helpers.homeserver import TestServer
from tabstead.http import Request


async def user_info(server: TestServer, query: str) -> tuple[int, dict[str, str]]:
    """As a service asks that has no key."""
    path = "/_matrix/federation/v1/openid/userinfo"
    answer = await server.homeserver.handle(Request(method="GET", path=path, query_string=query))
    return answer.status, json.loads(answer.body)


async def test_a_token_tells_its_user_until_it_expires(right: TestServer) -> None:
    alice = await right.register("alice")
    granted = await alice.post(f"/v3/user/{alice.user_id}/openid/request_token")
    query = f"access_token={granted['access_token']}"
    assert await user_info(right, query) == (200, {"sub": alice.user_id})
    right.clock.now += granted["expires_in"] * 1000
    status, body = await user_info(right, query)
    assert (status, body["errcode"]) == (401, "M_UNKNOWN_TOKEN")


async def test_no_other_token_tells_anything(right: TestServer) -> None:
    alice = await right.register("alice")
    for query, refusal in (
        (f"access_token={alice.access_token}", (401, "M_UNKNOWN_TOKEN")),
        ("access_token=", (401, "M_UNKNOWN_TOKEN")),
        ("", (400, "M_MISSING_PARAM")),
    ):
        status, body = await user_info(right, query)
        assert (status, body["errcode"]) == refusal
