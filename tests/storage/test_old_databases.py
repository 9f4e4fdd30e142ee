"""Databases of every schema version there was are opened, and nothing in them is lost, even if the opener is killed."""

import gzip
import random
import shutil
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL

import pytest

from helpers.homeserver import TestServer
from tabstead.storage.migrations import MIGRATIONS

DATABASES = sorted((Path(__file__).parents[1] / "fixtures" / "databases").glob("v*.sqlite.gz"))
PASSWORD = "correct horse"


def test_there_is_a_database_of_every_earlier_version() -> None:
    assert [path.name for path in DATABASES] == [f"v{version}.sqlite.gz" for version in range(1, len(MIGRATIONS))]


@pytest.fixture(params=DATABASES, ids=lambda path: path.name)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with an old database in it, under the name that a test server's has."""
    (tmp_path / "tab.test.sqlite").write_bytes(gzip.decompress(request.param.read_bytes()))
    return tmp_path


async def test_an_old_database_is_brought_up_to_date_and_has_everything(folder: Path) -> None:
    await check_everything(folder)


async def check_everything(folder: Path) -> None:
    server = await TestServer.open(folder)
    statistics = await server.homeserver.context.database.statistics()
    assert statistics.schema_version == len(MIGRATIONS)
    assert await server.homeserver.context.database.integrity_check() == []

    alice = await server.log_in("alice", PASSWORD)
    room_id = (await alice.get("/v3/joined_rooms"))["joined_rooms"][0]
    history = (await alice.get(f"/v3/rooms/{room_id}/messages", dir="b", limit="100"))["chunk"]
    said = [event["content"]["body"] for event in reversed(history) if event["type"] == "m.room.message"]
    assert said == ["message 0", "message 1", "message 2", "an answer"]
    assert (await alice.get(f"/v3/rooms/{room_id}/state/m.room.topic"))["topic"] == "new"
    assert await alice.get(f"/v3/user/{alice.user_id}/account_data/org.example") == {"kept": True}
    await alice.send(room_id, "and it goes on")
    await server.close()


OPEN_WITH_LITTLE_TIME = """
import asyncio, os, signal, sqlite3, sys
from tabstead.storage.database import Database
from tabstead.storage.migrations import compact_rows

path, left = sys.argv[1], int(sys.argv[2])
compact_rows._ROWS = 3
connect = sqlite3.connect

def count(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def connect_and_count(*arguments, **options):
    db = connect(*arguments, **options)
    db.set_trace_callback(count)
    return db

async def main():
    await (await Database.open(path)).close()

sqlite3.connect = connect_and_count
asyncio.run(main())
print(int(sys.argv[2]) - left)
"""
"""Opens a database in slices of a few rows, and is killed as it begins its n-th SQL statement."""


def open_until(path: Path, statement: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", OPEN_WITH_LITTLE_TIME, str(path), str(statement)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("seed", range(2))
async def test_an_upgrade_that_is_killed_again_and_again_loses_nothing(folder: Path, seed: int) -> None:
    path = folder / "tab.test.sqlite"
    shutil.copy(path, folder / "copy.sqlite")
    statements = int(open_until(folder / "copy.sqlite", 1_000_000).stdout)
    chance = random.Random(seed)
    kills = 0
    while (opened := open_until(path, chance.randrange(statements // 20, statements // 2))).returncode != 0:
        assert opened.returncode == -SIGKILL, opened.stderr
        kills += 1
    assert kills > 1
    await check_everything(folder)
