"""What the server's name leads to."""

from pathlib import Path

import pytest

from helpers.homeserver import TestServer
from tabstead.configuration import Contact, Federation, Support, WellKnown


async def test_clients_find_the_api_and_what_the_operator_adds(tmp_path: Path) -> None:
    well_known = WellKnown(identity_server="https://id.example", extra={"org.example.app": {"colour": "green"}})
    server = await TestServer.open(tmp_path, well_known=well_known)
    assert await server.anonymous().get("/.well-known/matrix/client") == {
        "m.homeserver": {"base_url": "https://tab.test"},
        "m.identity_server": {"base_url": "https://id.example"},
        "org.example.app": {"colour": "green"},
    }
    await server.close()


async def test_other_servers_find_where_this_one_is(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path, federation=Federation(address="matrix.tab.test:443"))
    assert await server.anonymous().get("/.well-known/matrix/server") == {"m.server": "matrix.tab.test:443"}
    await server.close()
    plain = await TestServer.open(tmp_path, "plain.test")
    assert await plain.anonymous().refused("GET", "/.well-known/matrix/server") == (404, "M_NOT_FOUND")
    await plain.close()


async def test_users_find_whom_to_turn_to(tmp_path: Path) -> None:
    contacts = (
        Contact(matrix_id="@admin:tab.test"),
        Contact(email_address="security@tab.test", role="m.role.security"),
    )
    server = await TestServer.open(tmp_path, support=Support(page="https://tab.test/help", contacts=contacts))
    assert await server.anonymous().get("/.well-known/matrix/support") == {
        "contacts": [
            {"role": "m.role.admin", "matrix_id": "@admin:tab.test"},
            {"role": "m.role.security", "email_address": "security@tab.test"},
        ],
        "support_page": "https://tab.test/help",
    }
    await server.close()


async def test_a_policy_server_shows_its_key(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path, well_known=WellKnown(policy_server_key="6yhHGKhCiXTSEN2ksjV7kX"))
    shown = await server.anonymous().get("/.well-known/matrix/policy_server")
    assert shown == {"public_keys": {"ed25519": "6yhHGKhCiXTSEN2ksjV7kX"}}
    await server.close()


@pytest.mark.parametrize("name", ["support", "policy_server"])
async def test_what_is_not_configured_is_not_there(server: TestServer, name: str) -> None:
    assert await server.anonymous().refused("GET", f"/.well-known/matrix/{name}") == (404, "M_NOT_FOUND")
