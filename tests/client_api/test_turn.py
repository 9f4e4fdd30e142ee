"""Credentials for the TURN server."""

import base64
import hashlib
import hmac
from pathlib import Path

from helpers.homeserver import TestServer
from tabstead.configuration import Turn

URIS = ("turn:turn.example:3478?transport=udp", "turns:turn.example:5349")


async def test_with_a_shared_secret_each_user_gets_a_name_that_expires(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path, turn=Turn(uris=URIS, shared_secret="swordfish", lifetime_seconds=600))
    alice = await server.register("alice")
    granted = await alice.get("/v3/voip/turnServer")
    assert (granted["uris"], granted["ttl"]) == (list(URIS), 600)
    expires, _, user_id = granted["username"].partition(":")
    assert int(expires) == server.clock.now // 1000 + 600
    assert user_id == alice.user_id
    digest = hmac.digest(b"swordfish", granted["username"].encode(), hashlib.sha1)
    assert base64.b64decode(granted["password"]) == digest
    await server.close()


async def test_without_one_everybody_gets_the_configured_name(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path, turn=Turn(uris=URIS, username="caller", password="rosebud"))
    granted = await (await server.register("alice")).get("/v3/voip/turnServer")
    assert (granted["username"], granted["password"]) == ("caller", "rosebud")
    await server.close()


async def test_without_a_server_there_is_none_to_use(server: TestServer) -> None:
    assert (await (await server.register("alice")).get("/v3/voip/turnServer"))["uris"] == []


async def test_guests_do_not_call_through_it(server: TestServer) -> None:
    guest = await server.register_guest()
    assert await guest.refused("GET", "/v3/voip/turnServer") == (403, "M_GUEST_ACCESS_FORBIDDEN")
