"""Databases of every schema version there was are opened, and nothing in them is lost."""

import gzip
from pathlib import Path

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
