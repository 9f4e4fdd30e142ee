"""Makes a database as a server would have it: rooms with messages, sent through the homeserver's own API.

usage: fill_database.py DATABASE SERVER_NAME MEGABYTES [EVENTS]

Fills DATABASE, a new file, until it has so many megabytes. With EVENTS, the SQL of so many further sends is recorded,
each as a list of statements with their values; they are not in DATABASE. Prints one line of JSON: the access token, a
room's id, a sync token, and the recorded statements.
"""

import asyncio
import json
import random
import shutil
import sqlite3
import string
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tabstead.configuration import Configuration, RateLimits, Search
from tabstead.homeserver import Homeserver
from tabstead.http import Request
from tabstead.storage.database import Database
from tabstead.storage.file_engine import FileEngine

ROOMS = 20
AT_ONCE = 200
TEXT = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=2700))
"""About two kilobytes once it is compressed, so that a big database needs no hours."""

SAVEPOINTS = ("SAVEPOINT", "RELEASE")
"""How the native server lets writers share a commit; a browser's transaction has none."""


class Filler:
    """One user of one homeserver."""

    def __init__(self, homeserver: Homeserver) -> None:
        self.homeserver = homeserver
        self.token = ""

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None, query: str = "") -> Any:
        request = Request(
            method=method,
            path=f"/_matrix/client/v3/{path}",
            query_string=query,
            headers={"authorization": f"Bearer {self.token}"} if self.token else {},
            body=json.dumps(body or {}).encode(),
        )
        response = await self.homeserver.handle(request)
        assert response.status == 200, response.body
        return json.loads(response.body)

    async def send(self, room_id: str, number: int, text: str) -> None:
        content = {"msgtype": "m.text", "body": f"{number}: {text}"}
        await self.ask("PUT", f"rooms/{room_id}/send/m.room.message/{number}", content)


async def open_filler(path: Path, server_name: str, search: Search = Search()) -> Filler:  # noqa: B008 (it is frozen)
    configuration = Configuration(
        server_name=server_name,
        base_url=f"http://{server_name}",
        rate_limits=RateLimits(enabled=False),
        search=search,
    )
    database = await Database.open(path)
    return Filler(
        await Homeserver.open(
            configuration=configuration, database=database, now_ms=lambda: time.time_ns() // 1_000_000
        )
    )


async def fill(path: Path, server_name: str, megabytes: int) -> dict[str, Any]:
    """Fill a new database; what a client needs to go on with it."""
    filler = await open_filler(path, server_name)
    account = await filler.ask("POST", "register", {"username": "filler", "auth": {"type": "m.login.dummy"}})
    filler.token = account["access_token"]
    rooms = [(await filler.ask("POST", "createRoom", {"name": f"Room {n}"}))["room_id"] for n in range(ROOMS)]
    number = 0
    while (await filler.homeserver.context.database.statistics()).size < megabytes * 1_000_000:
        batch = range(number, number := number + AT_ONCE)
        await asyncio.gather(*(filler.send(rooms[n % ROOMS], n, TEXT) for n in batch))
    synced = await filler.ask("GET", "sync", query="timeout=0")
    await filler.homeserver.close()
    return {
        "token": account["access_token"],
        "room_id": rooms[0],
        "since": synced["next_batch"],
        "events": number,
    }


async def record(path: Path, server_name: str, token: str, room_id: str, events: int) -> list[list[str]]:
    """The statements of each of so many sends, on a copy of the database.

    Without those of the search index, which is one of FTS5: not every build of SQLite has it.
    """
    statements: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(path, folder))
        filler = await open_filler(copy, server_name, Search(enabled=False))
        filler.token = token
        engine = filler.homeserver.context.database._engine
        assert isinstance(engine, FileEngine)
        engine.db.set_trace_callback(statements.append)
        recorded = []
        for number in range(events):
            statements.clear()
            await filler.send(room_id, 1_000_000 + number, "a message of ordinary length, as people send them")
            recorded.append([text for text in statements if not text.startswith(SAVEPOINTS)])
        engine.db.set_trace_callback(None)
        await filler.homeserver.close()
    return recorded


async def main(path: Path, server_name: str, megabytes: int, events: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        filled = Path(folder) / "filled.db"
        result = await fill(filled, server_name, megabytes)
        with sqlite3.connect(filled) as db:
            db.execute("VACUUM INTO ?", (str(path),))
    if events:
        result["sends"] = await record(path, server_name, result["token"], result["room_id"], events)
    print(json.dumps(result))


if __name__ == "__main__":
    database, name, size, *rest = sys.argv[1:]
    asyncio.run(main(Path(database), name, int(size), int(rest[0]) if rest else 0))
