"""What an event costs in bytes written: in a browser each changed byte goes through IndexedDB."""

import sqlite3
from pathlib import Path

from helpers.homeserver import TestServer

PAGE_BYTES = 4096


def database_bytes(path: Path) -> bytes:
    """The database file with all that was committed."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    return path.read_bytes()


def count_changed(before: bytes, after: bytes) -> int:
    before = before.ljust(len(after), b"\0")
    pages = range(0, len(after), PAGE_BYTES)
    return sum(
        sum(old != new for old, new in zip(before[at : at + PAGE_BYTES], after[at : at + PAGE_BYTES], strict=True))
        for at in pages
        if before[at : at + PAGE_BYTES] != after[at : at + PAGE_BYTES]
    )


async def test_a_message_changes_few_bytes(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path)
    alice, bob = await server.register("alice"), await server.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    for number in range(150):
        await alice.send(room_id, f"message {number}, as long as people write them, more or less")
    await server.close()

    path = tmp_path / "tab.test.sqlite"
    costs = []
    for number in range(10):
        before = database_bytes(path)
        await server.start()
        await alice.send(room_id, f"message {number}, which is measured, and no longer than the others")
        await server.close()
        costs.append(count_changed(before, database_bytes(path)))
    assert sum(costs) / len(costs) < 4000
