"""Accounts made with the shared secret."""

import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from helpers.homeserver import TestServer
from tabstead.configuration import Registration
from tabstead.storage.users import find_user

PATH = "/_synapse/admin/v1/register"


@pytest.fixture
async def server(tmp_path: Path) -> TestServer:
    return await TestServer.open(tmp_path, registration=Registration(open=False, shared_secret="swordfish"))


def signed(nonce: str, username: str = "alice", *, admin: bool = False, secret: str = "swordfish") -> dict[str, Any]:
    role = b"admin" if admin else b"notadmin"
    message = b"\0".join([nonce.encode(), username.encode(), b"rosebud", role])
    mac = hmac.new(secret.encode(), message, hashlib.sha1).hexdigest()
    return {"nonce": nonce, "username": username, "password": "rosebud", "admin": admin, "mac": mac}


async def nonce(server: TestServer) -> str:
    fetched: str = (await server.anonymous().get(PATH))["nonce"]
    return fetched


async def test_who_knows_the_secret_makes_accounts_though_registration_is_closed(server: TestServer) -> None:
    made = await server.anonymous().post(PATH, {**signed(await nonce(server)), "displayname": "Alice"})
    assert made["user_id"] == "@alice:tab.test" and made["access_token"]
    alice = await server.log_in("alice", "rosebud")
    assert await alice.get("/v3/profile/@alice:tab.test") == {"displayname": "Alice"}


@pytest.mark.parametrize("admin", [True, False])
async def test_the_account_is_an_administrators_if_asked_for(server: TestServer, admin: bool) -> None:
    await server.anonymous().post(PATH, signed(await nonce(server), admin=admin))
    user = await server.read(lambda db: find_user(db, "@alice:tab.test"))
    assert user is not None and user.is_admin is admin


async def test_the_secret_must_be_right(server: TestServer) -> None:
    forged = signed(await nonce(server), secret="salmon")
    assert await server.anonymous().refused("POST", PATH, forged) == (403, "M_FORBIDDEN")


async def test_nothing_of_the_account_may_be_changed_under_way(server: TestServer) -> None:
    for change in ({"admin": True}, {"username": "mallory"}, {"password": "mine"}):
        tampered = {**signed(await nonce(server)), **change}
        assert await server.anonymous().refused("POST", PATH, tampered) == (403, "M_FORBIDDEN")


async def test_a_nonce_is_good_for_one_account(server: TestServer) -> None:
    used = await nonce(server)
    await server.anonymous().post(PATH, signed(used))
    assert await server.anonymous().refused("POST", PATH, signed(used, "bob")) == (400, "M_UNKNOWN")
    assert await server.anonymous().refused("POST", PATH, signed("made up")) == (400, "M_UNKNOWN")


async def test_names_are_checked_as_ever(server: TestServer) -> None:
    refused = await server.anonymous().refused("POST", PATH, signed(await nonce(server), "a b"))
    assert refused == (400, "M_INVALID_USERNAME")


async def test_without_a_secret_there_is_no_such_path(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path)
    assert await server.anonymous().refused("GET", PATH) == (404, "M_UNRECOGNIZED")
    assert await server.anonymous().refused("POST", PATH, signed("n", secret="")) == (404, "M_UNRECOGNIZED")
