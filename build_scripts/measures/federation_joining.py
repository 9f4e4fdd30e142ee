"""Joining a big room through the server that has it: how long it takes, and how much memory, ours beside Synapse's.

    build_scripts/measure federation --part join [--members 5000] [--version 11]

One Tabstead has the room, all of whose members were invited and then joined: twice as many member events as members,
half of them in the auth chains alone. Another Tabstead and a Synapse, both new, join it one after the other over TLS.
The time is that of the client's request; the memory is the most that the process came to need, and how much more that
is than it needed before. The last line is one line of JSON.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from helpers.federated_servers import FederatedServer, FederatedServers, has_synapse
from helpers.homeserver import Client, quoted
from tabstead.accounts.registration import create_user
from tabstead.homeserver import find_server_name
from tabstead.protocol.identifiers import UserID
from tabstead.protocol.room_versions import get_room_version
from tabstead.protocol.signatures import SigningKey
from tabstead.rooms.create import PRESETS, RoomCreation, create_room
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.membership import invite_user, join_room
from tabstead.storage.database import Database, Db
from tabstead.storage.rooms import Room, get_room
from tabstead.storage.server_facts import find_fact

IN_A_TRANSACTION = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=5000)
    parser.add_argument("--version", default="11")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tabstead-joining-") as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), options.members, options.version))))


async def measure(folder: Path, members: int, version: str) -> dict[str, Any]:
    servers = FederatedServers(folder)
    try:
        resident = servers.start_tabstead()
        resident.kill()
        started = time.monotonic()
        room_id = await fill(resident.folder / "tabstead.db", members, version)
        print(f"a room of {members} members, made in {time.monotonic() - started:.0f} s", file=sys.stderr)
        resident.start()
        figures: dict[str, Any] = {"members": members, "room_version": version}
        figures["tabstead"] = await join(servers.start_tabstead(), resident, room_id, members)
        print(f"Tabstead joins: {figures['tabstead']}", file=sys.stderr)
        if has_synapse():
            figures["synapse"] = await join(servers.start_synapse(), resident, room_id, members)
            print(f"Synapse joins: {figures['synapse']}", file=sys.stderr)
        return figures
    finally:
        servers.stop()


async def join(server: FederatedServer, resident: FederatedServer, room_id: str, members: int) -> dict[str, float]:
    user = await server.register("joiner")
    before = memory_of(server.pid, "VmRSS")
    started = time.monotonic()
    await user.post(f"/v3/join/{quoted(room_id)}", via=[resident.name], server_name=[resident.name])
    seconds = time.monotonic() - started
    peak = memory_of(server.pid, "VmHWM")
    assert await count_members(user, room_id) >= members
    return {
        "seconds": round(seconds, 2),
        "peak_megabytes": round(peak, 1),
        "megabytes_more": round(peak - before, 1),
    }


async def count_members(user: Client, room_id: str) -> int:
    return len((await user.get(f"/v3/rooms/{quoted(room_id)}/joined_members"))["joined"])


def memory_of(pid: int, name: str) -> float:
    """Megabytes that a process needs (VmRSS), or needed at most (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


async def fill(path: Path, members: int, version: str) -> str:
    """Make the room in a server's database while the server is down; its id."""
    database = await Database.open(path)
    server = await database.read(local_server)
    creator = UserID(f"@creator:{server.name}")

    def begin(db: Db) -> Room:
        create_user(db, creator, None, is_admin=False, now_ms=server.now_ms())
        creation = RoomCreation(version=get_room_version(version), preset=PRESETS["public_chat"], name="Big")
        return create_room(db, server, creator, creation)

    room = await database.write(begin)
    for start in range(1, members, IN_A_TRANSACTION):
        numbers = range(start, min(start + IN_A_TRANSACTION, members))
        await database.write(lambda db, numbers=numbers: add_members(db, server, room, creator, numbers))  # type: ignore[misc]
    await database.close()
    return room.room_id


def add_members(db: Db, server: LocalServer, room: Room, creator: str, numbers: range) -> None:
    for number in numbers:
        user_id = f"@member{number}:{server.name}"
        invite_user(db, server, get_room(db, room.room_nid), creator, user_id)
        join_room(db, server, get_room(db, room.room_nid), user_id)


def local_server(db: Db) -> LocalServer:
    """The server whose database it is."""
    name, seed = find_server_name(db), find_fact(db, "signing_key_seed")
    assert name is not None and seed is not None, "the server was started before"
    key_id = find_fact(db, "signing_key_id")
    key = SigningKey(key_id="ed25519:1" if key_id is None else key_id.decode(), seed=seed)
    return LocalServer(name=name, signing_key=key, now_ms=lambda: int(time.time() * 1000))


if __name__ == "__main__":
    main()
