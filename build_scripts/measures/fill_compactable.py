"""Makes a database of a server that was used for a while, in which there is something to compact.

usage: fill_compactable.py DATABASE SERVER_NAME MEGABYTES

Of so many megabytes, written in turns a tenth at a time, so that what stays lies between what goes, all of it two
months ago:

    45 %  messages with random data, each under a transaction id, and of which half mention a second user
    10 %  media that stays
    40 %  media whose ID is gone (deleted here by SQL: as when an administrator deletes it)
     5 %  uploads that were killed half-way

and besides, in each turn: 1,500 snapshots on forks of a room with 1,000 members, none of which an event refers to (as
after forks that were resolved); 200 messages to devices that are gone, 100 expired sessions of interactive
authentication, 50 expired access tokens, 50 answers kept for a second dispatch. Prints one line of JSON: access
tokens of two users, and a room of both.
"""

import asyncio
import json
import secrets
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from fill_database import Filler

from tabstead.configuration import Configuration, RateLimits
from tabstead.homeserver import Homeserver
from tabstead.http import Request
from tabstead.media.blobs import begin_upload
from tabstead.storage.database import Database, Db
from tabstead.storage.rooms import find_room
from tabstead.storage.state_history import add_snapshot

TURNS = 10
ROOMS = 20
AT_ONCE = 100
MESSAGE_BYTES = 1500
MEDIA_BYTES = 400_000
SLICE_BYTES = 1_000_000
TWO_MONTHS_MS = 60 * 24 * 60 * 60 * 1000


class Server:
    """The homeserver two months ago, and its first user."""

    def __init__(self, homeserver: Homeserver) -> None:
        self.homeserver = homeserver
        self.database = homeserver.context.database
        self.filler = Filler(homeserver)
        self.random = Random(1)
        self.sent = 0

    @classmethod
    async def open(cls, path: Path, server_name: str) -> "Server":
        configuration = Configuration(
            server_name=server_name, base_url=f"http://{server_name}", rate_limits=RateLimits(enabled=False)
        )
        return cls(
            await Homeserver.open(
                configuration=configuration,
                database=await Database.open(path),
                now_ms=lambda: time.time_ns() // 1_000_000 - TWO_MONTHS_MS,
            )
        )

    async def send_messages(self, rooms: list[str], mentioned: str, size: int) -> None:
        for _ in range(max(1, size // (MESSAGE_BYTES * AT_ONCE))):
            batch = range(self.sent, self.sent + AT_ONCE)
            self.sent += AT_ONCE
            await asyncio.gather(*(self.send_message(rooms[n % ROOMS], n, mentioned) for n in batch))

    async def send_message(self, room_id: str, number: int, mentioned: str) -> None:
        data = self.random.randbytes(MESSAGE_BYTES).hex()
        content: dict[str, Any] = {"msgtype": "m.text", "body": f"message {number}", "org.example.data": data}
        if number % 2:
            content["m.mentions"] = {"user_ids": [mentioned]}
        await self.filler.ask("PUT", f"rooms/{room_id}/send/m.room.message/{number}", content)

    async def upload(self, size: int) -> list[str]:
        """Media of random bytes; the IDs."""
        headers = {"authorization": f"Bearer {self.filler.token}", "content-type": "image/png"}
        names = []
        for _ in range(max(1, size // MEDIA_BYTES)):
            body = self.random.randbytes(MEDIA_BYTES)
            path = "/_matrix/media/v3/upload"
            answer = await self.homeserver.handle(Request(method="POST", path=path, headers=headers, body=body))
            names.append(json.loads(answer.body)["content_uri"].rpartition("/")[2])
        return names

    async def upload_half(self, size: int) -> None:
        """An upload that is killed before its last slice."""
        body = self.random.randbytes(size + SLICE_BYTES)  # the last slice is not written
        await begin_upload(self.database, body, self.homeserver.context.now_ms())

    async def write(self, work: Any) -> None:
        await self.database.write(work)


def delete_media(db: Db, names: list[str]) -> None:
    db.executemany("DELETE FROM media WHERE media_id = ?", [(name,) for name in names])


def add_forks(db: Db, room_id: str, random: Random) -> None:
    room = find_room(db, room_id)
    assert room is not None
    members = [("m.room.member", f"@user{number}:fork.test") for number in range(1000)]
    base = add_snapshot(db, room.room_nid, room.state_snapshot, dict.fromkeys(members, 1))
    for _ in range(15):
        snapshot = base
        for _ in range(100):
            snapshot = add_snapshot(db, room.room_nid, snapshot, {random.choice(members): random.randrange(1, 10_000)})


def insert_old_rows(db: Db, user_id: str, turn: int, then_ms: int) -> None:
    for number in range(200):
        db.execute(
            "INSERT INTO to_device_messages (stream_position, user_id, device_id, sender, type, content)"
            " VALUES (?, ?, 'GONE', ?, 'm.room.encrypted', ?)",
            (-(turn * 200 + number) - 1, user_id, user_id, json.dumps({"ciphertext": secrets.token_hex(300)})),
        )
    for _ in range(100):
        db.execute(
            "INSERT INTO interactive_auth_sessions (session_id, operation, body, expires_ts) VALUES (?, 'x', '{}', ?)",
            (secrets.token_hex(12), then_ms),
        )
    for _ in range(50):
        db.execute(
            "INSERT INTO access_tokens (token_hash, user_id, device_id, expires_ts) VALUES (?, ?, 'GONE', ?)",
            (secrets.token_bytes(32), user_id, then_ms),
        )
        db.execute(
            "INSERT INTO dispatches (dispatch_key, life, created_ts, status, headers, body)"
            " VALUES (?, '', ?, 200, '{}', ?)",
            (secrets.token_hex(16), then_ms, secrets.token_bytes(500)),
        )


async def fill(path: Path, server_name: str, megabytes: int) -> dict[str, Any]:
    server = await Server.open(path, server_name)
    filler = server.filler
    first, second = [
        await filler.ask("POST", "register", {"username": name, "auth": {"type": "m.login.dummy"}})
        for name in ("first", "second")
    ]
    filler.token = first["access_token"]
    rooms = []
    for number in range(ROOMS):
        options = {"name": f"Room {number}", "preset": "public_chat"}
        rooms.append((await filler.ask("POST", "createRoom", options))["room_id"])
    filler.token = second["access_token"]
    for room_id in rooms:
        await filler.ask("POST", f"join/{room_id}")
    filler.token = first["access_token"]
    share = megabytes * 1_000_000 // TURNS // 100
    then_ms = server.homeserver.context.now_ms()
    for turn in range(TURNS):
        await server.send_messages(rooms, second["user_id"], 45 * share)
        await server.upload(10 * share)
        gone = await server.upload(40 * share)
        await server.upload_half(5 * share)
        await server.write(lambda db, gone=gone: delete_media(db, gone))
        await server.write(lambda db: add_forks(db, rooms[0], server.random))
        await server.write(lambda db, turn=turn: insert_old_rows(db, first["user_id"], turn, then_ms))
    await server.homeserver.close()
    return {"tokens": [first["access_token"], second["access_token"]], "room_id": rooms[0], "events": server.sent}


if __name__ == "__main__":
    database, name, size = sys.argv[1:]
    print(json.dumps(asyncio.run(fill(Path(database), name, int(size)))))
