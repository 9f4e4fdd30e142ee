"""What is kept for other servers goes once it is of no use: what they were told, and what they have sent."""

from pathlib import Path

from helpers.federation_peers import Peers
from helpers.homeserver import TestServer
from helpers.key_owner import DeviceKeys
from tabstead.storage.database import Db
from tabstead.storage.device_lists import find_device_change
from tabstead.storage.outbound_news import insert_relay
from tabstead.storage.positions import select_position
from tabstead.storage.remote_devices import insert_inbound_message

BOB, CAROL = "@bob:far.test", "@carol:near.test"
DAY = 24 * 60 * 60 * 1000


async def compact(server: TestServer, days: int) -> None:
    server.clock.now += days * DAY
    server.homeserver.compactor._next_due_ts = None
    while await server.homeserver.compactor.run(60):
        pass


async def count(server: TestServer, table: str) -> int:
    def select(db: Db) -> int:
        return int(db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])

    return await server.read(select)


async def test_a_relay_stays_until_everybody_was_told(tmp_path: Path) -> None:
    peers = Peers(down={"far.test"})
    server = await TestServer.open(tmp_path, transport=peers)
    alice = await server.register("alice")
    room_id = await alice.create_room(preset="public_chat")
    await peers.join(server, room_id, BOB)
    event_id = await peers.set_member(server, room_id, CAROL, "join")
    await server.write(lambda db: insert_relay(db, select_position(db), "near.test"))
    await compact(server, 1)
    assert await count(server, "outbound_relays") == 1, "nobody has looked"
    await peers.settle(server)
    await compact(server, 1)
    assert await count(server, "outbound_relays") == 1, "one server is down"
    peers.down.clear()
    await peers.settle(server)
    assert peers.pdus("far.test") == [event_id]
    await compact(server, 1)
    assert await count(server, "outbound_relays") == 0
    await server.close()


async def test_of_a_devices_changes_the_last_one_stays(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path)
    alice = await server.register("alice")
    await alice.post("/v3/keys/upload", {"device_keys": DeviceKeys.of(alice).signed})
    for name in "abc":
        await alice.put(f"/v3/devices/{alice.device_id}", {"display_name": name})
    last = await server.read(lambda db: find_device_change(db, alice.user_id))
    await compact(server, 1)
    assert await count(server, "device_changes") == 4, "it was just now"
    await server.write(lambda db: db.execute("UPDATE counters SET value = value + 100000 WHERE name = 'stream'"))
    await compact(server, 1)
    assert await count(server, "device_changes") == 1
    assert await server.read(lambda db: find_device_change(db, alice.user_id)) == last
    await server.close()


async def test_the_ids_of_messages_are_remembered_for_a_month(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path)
    assert await server.write(lambda db: insert_inbound_message(db, "far.test", "1", server.clock()))
    await compact(server, 29)
    assert not await server.write(lambda db: insert_inbound_message(db, "far.test", "1", server.clock()))
    await compact(server, 2)
    assert await server.write(lambda db: insert_inbound_message(db, "far.test", "1", server.clock()))
    await server.close()
