"""Which servers are in a room: whoever has a joined member, however the memberships came to be."""

import gzip
from pathlib import Path

from helpers.homeserver import TestServer
from tabstead.protocol.identifiers import RoomID
from tabstead.protocol.room_versions import get_room_version
from tabstead.storage.database import Database, Db
from tabstead.storage.memberships import delete_membership, update_membership
from tabstead.storage.room_servers import is_server_in, select_joined_by_server, select_servers
from tabstead.storage.rooms import find_room, insert_room

OLD_DATABASE = Path(__file__).parents[1] / "fixtures" / "databases" / "v1.sqlite.gz"


async def test_a_server_is_in_a_room_as_long_as_one_of_its_users_is(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "new.sqlite")

    def work(db: Db) -> None:
        room_nid = insert_room(db, RoomID("!r:one.test"), get_room_version("10")).room_nid

        def move(user_id: str, membership: str) -> dict[str, int]:
            update_membership(db, user_id, room_nid, membership=membership, event_nid=1, stream_position=1)
            return dict(select_joined_by_server(db, room_nid))

        assert move("@a:one.test", "join") == {"one.test": 1}
        assert move("@a:one.test", "join") == {"one.test": 1}, "a new display name is no second member"
        assert move("@b:two.test:8448", "invite") == {"one.test": 1}
        assert move("@b:two.test:8448", "join") == {"one.test": 1, "two.test:8448": 1}
        assert move("@c:two.test:8448", "join") == {"one.test": 1, "two.test:8448": 2}
        assert move("@b:two.test:8448", "ban") == {"one.test": 1, "two.test:8448": 1}
        assert select_servers(db, room_nid) == ["one.test", "two.test:8448"]
        assert is_server_in(db, room_nid, "two.test:8448")
        delete_membership(db, "@c:two.test:8448", room_nid)
        assert not is_server_in(db, room_nid, "two.test:8448")
        assert select_servers(db, room_nid) == ["one.test"]

    await database.write(work)
    await database.close()


async def test_the_servers_of_rooms_that_were_there_before_are_known(tmp_path: Path) -> None:
    (tmp_path / "tab.test.sqlite").write_bytes(gzip.decompress(OLD_DATABASE.read_bytes()))
    server = await TestServer.open(tmp_path)
    alice = await server.log_in("alice", "correct horse")
    room_id = (await alice.get("/v3/joined_rooms"))["joined_rooms"][0]

    def select(db: Db) -> dict[str, int]:
        room = find_room(db, room_id)
        assert room is not None
        return dict(select_joined_by_server(db, room.room_nid))

    members = (await alice.get(f"/v3/rooms/{room_id}/joined_members"))["joined"]
    assert await server.read(select) == {"tab.test": len(members)}
    await server.close()
