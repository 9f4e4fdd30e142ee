"""Which servers a room lets take part."""

from pathlib import Path

import pytest

from helpers.homeserver import Json, TestServer
from tabstead.errors import Forbidden
from tabstead.rooms.server_access import check_server_access
from tabstead.storage.database import Db
from tabstead.storage.rooms import find_room


async def who_may(server: TestServer, room_id: str, *names: str) -> list[str]:
    def select(db: Db) -> list[str]:
        room = find_room(db, room_id)
        assert room is not None
        allowed = []
        for name in names:
            try:
                check_server_access(db, room, name)
            except Forbidden:
                continue
            allowed.append(name)
        return allowed

    return await server.read(select)


async def test_a_room_without_an_acl_lets_everybody_in(server: TestServer) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room()
    assert await who_may(server, room_id, "good.test", "10.0.0.1") == ["good.test", "10.0.0.1"]


async def test_an_acl_keeps_servers_out_until_it_is_changed(server: TestServer) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room()
    path = f"/v3/rooms/{room_id}/state/m.room.server_acl"
    acl: Json = {"allow": ["*"], "deny": ["*.evil.test", "evil.test"], "allow_ip_literals": False}
    await alice.put(path, acl)
    names = ("good.test", "evil.test:8448", "a.evil.test", "10.0.0.1", "[::1]:1234")
    assert await who_may(server, room_id, *names) == ["good.test"]
    await alice.put(path, {"allow": ["*"]})
    assert await who_may(server, room_id, *names) == list(names)


@pytest.fixture
async def server(tmp_path: Path):
    server = await TestServer.open(tmp_path)
    yield server
    await server.close()
