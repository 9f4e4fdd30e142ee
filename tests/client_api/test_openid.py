"""OpenID tokens, with which users prove to another service who they are."""

from helpers.homeserver import Client, TestServer
from tabstead.accounts.tickets import find_openid_user


async def test_a_token_names_its_user_for_an_hour(server: TestServer, alice: Client) -> None:
    token = await alice.post(f"/v3/user/{alice.user_id}/openid/request_token")
    assert (token["token_type"], token["matrix_server_name"], token["expires_in"]) == ("Bearer", "tab.test", 3600)
    named = lambda now_ms: lambda db: find_openid_user(db, token["access_token"], now_ms)  # noqa: E731
    assert await server.read(named(server.clock.now)) == alice.user_id
    assert await server.read(named(server.clock.now + 3_600_000)) is None


async def test_it_is_no_access_token(server: TestServer, alice: Client) -> None:
    token = await alice.post(f"/v3/user/{alice.user_id}/openid/request_token")
    impostor = Client(server=server, access_token=token["access_token"])
    assert await impostor.refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")


async def test_nobody_gets_one_for_another(alice: Client, bob: Client) -> None:
    refused = await alice.refused("POST", f"/v3/user/{bob.user_id}/openid/request_token", {})
    assert refused == (403, "M_FORBIDDEN")
