"""Whose a database is: the server's name and its signing key come into it together, once."""

import json
from pathlib import Path

import pytest

from helpers.homeserver import TestServer
from tabstead.configuration import Configuration
from tabstead.errors import ServerNameMismatch
from tabstead.homeserver import Homeserver, find_server_name
from tabstead.http import Request
from tabstead.storage.database import Database


async def open_under(database: Database, name: str) -> Homeserver:
    configuration = Configuration(server_name=name, base_url="https://somewhere.test")
    return await Homeserver.open(configuration=configuration, database=database, now_ms=lambda: 0)


async def test_a_database_belongs_to_nobody_until_a_homeserver_opens_it(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "new.sqlite")
    assert await database.read(find_server_name) is None
    await open_under(database, "tab.test")
    assert await database.read(find_server_name) == "tab.test"
    await database.close()


async def test_another_name_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "new.sqlite")
    key = (await open_under(database, "tab.test")).context.local_server.signing_key
    with pytest.raises(ServerNameMismatch, match=r"server_name is other\.test, but the database is that of tab\.test"):
        await open_under(database, "other.test")
    again = await open_under(database, "tab.test")
    assert again.context.local_server.signing_key == key
    await database.close()


async def test_a_server_may_move_to_another_address(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path)
    alice = await server.register("alice")
    await server.close()
    database = await Database.open(tmp_path / f"{server.name}.sqlite")
    moved = await open_under(database, server.name)
    headers = {"authorization": f"Bearer {alice.access_token}"}
    whoami = await moved.handle(Request(method="GET", path="/_matrix/client/v3/account/whoami", headers=headers))
    assert json.loads(whoami.body)["user_id"] == f"@alice:{server.name}"
    address = await moved.handle(Request(method="GET", path="/.well-known/matrix/client"))
    assert json.loads(address.body)["m.homeserver"] == {"base_url": "https://somewhere.test"}
    await moved.close()
