"""The compaction of a whole server's database: what it deletes, when it works, and that nobody notices."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from helpers.homeserver import Client, TestServer
from tabstead.errors import StorageFull
from tabstead.media.blobs import begin_upload, delete_abandoned_uploads
from tabstead.storage.compaction.compactor import Compactor
from tabstead.storage.compaction.jobs import JOBS, work_slice
from tabstead.storage.compaction.slices import Circumstances
from tabstead.storage.database import Database, Db

HOUR = 60 * 60 * 1000
DAY = 24 * HOUR
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000003e8000003e808020000003f6e8f4f0000000049454e44ae426082")


async def compact(server: TestServer) -> int:
    """Let the server compact until there is nothing more to do; how many slices that took."""
    compactor = server.homeserver.compactor
    before = compactor.slices
    while await compactor.run(60):
        pass
    return compactor.slices - before


async def compact_a_day_later(server: TestServer) -> None:
    server.clock.now += DAY
    server.homeserver.compactor._next_due_ts = None
    await compact(server)


async def count(server: TestServer, table: str) -> int:
    def select(db: Db) -> int:
        return int(db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])

    return await server.read(select)


async def test_a_new_server_has_nothing_to_compact(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path)
    assert server.homeserver.compactor.is_due, "it isn't asked when it opens"
    assert await compact(server) == 1
    assert not server.homeserver.compactor.is_due
    await server.restart()
    assert await compact(server) == 0, "the database knows when it is due again"
    await server.close()


async def test_a_transaction_id_is_remembered_for_days_and_then_forgotten(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path)
    alice = await server.register("alice")
    room_id = await alice.create_room()
    first = await alice.send(room_id, "hello", transaction_id="1")
    server.clock.now += 6 * DAY
    await compact(server)
    assert await alice.send(room_id, "hello", transaction_id="1") == first
    await compact_a_day_later(server)
    await compact_a_day_later(server)
    assert await count(server, "client_transactions") == 0
    await server.close()


async def test_a_token_that_expired_is_forgotten_unless_it_can_be_refreshed(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path)
    alice = await server.register("alice")

    def insert_tokens(db: Db) -> None:
        for number, (expires, refresh) in enumerate([(1, None), (1, b"refresh"), (None, None)]):
            db.execute(
                "INSERT INTO access_tokens (token_hash, user_id, device_id, expires_ts, refresh_token_hash)"
                " VALUES (?, ?, ?, ?, ?)",
                (bytes([number]), alice.user_id, alice.device_id, expires, refresh),
            )

    await server.write(insert_tokens)
    before = await count(server, "access_tokens")
    await compact(server)
    assert await count(server, "access_tokens") == before - 1
    assert (await alice.get("/v3/account/whoami"))["user_id"] == alice.user_id
    await server.close()


async def test_messages_to_a_device_that_is_gone_go_too(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path)
    alice, bob = await server.register("alice"), await server.register("bob")
    await alice.put("/v3/sendToDevice/x/1", {"messages": {bob.user_id: {bob.device_id: {"n": 1}}}})

    def insert_stray(db: Db) -> None:
        db.execute(
            "INSERT INTO to_device_messages SELECT 1000000, user_id, 'GONE', sender, type, content"
            " FROM to_device_messages"
        )

    await server.write(insert_stray)
    await compact(server)
    assert await count(server, "to_device_messages") == 1
    assert len((await bob.sync())["to_device"]["events"]) == 1
    await server.close()


async def test_what_was_read_long_ago_is_forgotten_and_what_is_unread_is_not(tmp_path: Path) -> None:
    server = await TestServer.open(tmp_path)
    alice, bob = await server.register("alice"), await server.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    read = await alice.send(room_id, "read")
    await bob.post(f"/v3/rooms/{room_id}/receipt/m.read/{read}", {})
    await bob.post(f"/v3/rooms/{room_id}/receipt/m.read/{read}", {"thread_id": "main"})
    await alice.send(room_id, "unread")
    await compact(server)
    assert await count(server, "push_actions") == 2
    unread = (await bob.sync())["rooms"]["join"][room_id]["unread_notifications"]

    await server.write(
        lambda db: db.execute("UPDATE counters SET value = value + 20100 WHERE name = 'stream'").rowcount
    )
    await compact_a_day_later(server)
    assert await count(server, "push_actions") == 1
    assert await count(server, "receipts") == 1, "the unthreaded one says it all"
    assert (await bob.sync())["rooms"]["join"][room_id]["unread_notifications"] == unread
    await server.close()


class TestMedia:
    async def upload(self, client: Client, body: bytes) -> str:
        answer = await client.answer("POST", "/_matrix/media/v3/upload", body)
        return str(answer.json["content_uri"])

    async def download(self, client: Client, uri: str) -> bytes:
        name = uri.removeprefix("mxc://")
        answer = await client.answer("GET", f"/_matrix/client/v1/media/download/{name}")
        assert answer.status == 200
        return answer.body

    async def test_what_no_id_names_is_deleted_and_the_rest_is_not(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path)
        alice = await server.register("alice")
        kept, gone = bytes(200_000), b"x" * 3_000_000
        uri, lost = await self.upload(alice, kept), await self.upload(alice, gone)

        def forget(db: Db) -> None:
            db.execute("DELETE FROM media WHERE media_id = ?", (lost.rpartition("/")[2],))

        await server.write(forget)
        await compact(server)
        assert await count(server, "media_blobs") == 2, "somebody may just be reading it"
        size = (await server.homeserver.context.database.statistics()).size
        await compact_a_day_later(server)
        assert await count(server, "media_blobs") == 1
        assert (await server.homeserver.context.database.statistics()).size < size - 2_500_000
        assert await self.download(alice, uri) == kept
        again = await self.upload(alice, gone)
        assert await self.download(alice, again) == gone
        await server.close()

    async def test_an_upload_goes_on_with_what_is_being_deleted(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path)
        database = server.homeserver.context.database
        body = Random(1).randbytes(2_000_000)
        upload = await begin_upload(database, body, server.clock())
        await database.write(lambda db: upload.finish(db, server.clock()))
        server.clock.now += 2 * HOUR
        deleting = {job.name: 3 for job in JOBS}
        for _ in range(8):
            circumstances = Circumstances(now_ms=server.clock())
            await database.write(lambda db: work_slice(db, circumstances, lambda job: deleting[job.name]))  # noqa: B023
        chunks = await count(server, "media_chunks")
        assert 0 < chunks < 41

        again = await begin_upload(database, body, server.clock())
        await database.write(lambda db: again.finish(db, server.clock()))
        assert await count(server, "media_chunks") == 41
        await delete_abandoned_uploads(database, server.clock())
        assert await count(server, "media_chunks") == 41
        await server.close()

    async def test_thumbnails_go_when_there_is_no_room_left(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path)
        alice = await server.register("alice")
        image, thumbnail = await self.upload(alice, PNG), await self.upload(alice, b"small")

        def name_thumbnail(db: Db) -> None:
            (small,) = db.execute(
                "DELETE FROM media WHERE media_id = ? RETURNING blob_nid", (thumbnail.rpartition("/")[2],)
            ).fetchone()
            (big,) = db.execute("SELECT blob_nid FROM media").fetchone()
            db.execute("INSERT INTO media_thumbnails VALUES (?, 'crop', 32, 32, 'image/png', ?)", (big, small))

        await server.write(name_thumbnail)
        await compact(server)
        await compact_a_day_later(server)
        assert await count(server, "media_thumbnails") == 1
        server.homeserver.compactor.note_full()
        server.clock.now += 2 * HOUR
        await compact(server)
        assert await count(server, "media_thumbnails") == 0
        await compact_a_day_later(server)
        assert await count(server, "media_blobs") == 1
        assert await self.download(alice, image) == PNG
        await server.close()


class TestWhen:
    async def test_requests_are_answered_between_slices(self, tmp_path: Path) -> None:
        """Whoever comes while a long compaction runs waits for one slice, not for all."""
        server = await TestServer.open(tmp_path)
        alice = await server.register("alice")
        room_id = await alice.create_room()
        await TestMedia().upload(alice, bytes(5_000_000))
        await server.write(lambda db: db.execute("DELETE FROM media").rowcount)
        server.clock.now += DAY
        compacting = asyncio.ensure_future(compact(server))
        sent = 0
        while not compacting.done():
            await alice.send(room_id, f"message {sent}")
            sent += 1
            assert sent < 20_000, "it never gets on"
        assert sent > 10
        assert compacting.result() > 5
        newest = (await alice.messages(room_id, limit=1))["chunk"][0]
        assert newest["content"]["body"] == f"message {sent - 1}"
        await server.close()

    async def test_time_that_is_lent_ends(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path)
        assert await server.homeserver.compactor.run(0)
        assert server.homeserver.compactor.slices == 0
        await server.close()

    async def test_a_server_that_ends_ends_the_compaction(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path)
        compacting = asyncio.ensure_future(server.homeserver.compactor.run(60))
        await server.close()
        assert await compacting is False

    async def test_a_full_disk_ends_it_for_the_moment(self, tmp_path: Path) -> None:
        class FullDatabase(Database):
            full = True

            async def write(self, fn: Callable[[Db], Any]) -> Any:
                if self.full:
                    raise StorageFull("full")
                return await super().write(fn)

        database = await Database.open(tmp_path / "some.sqlite")
        full = FullDatabase(database._engine)
        compactor = Compactor(full, lambda: 0)
        assert await compactor.run(60) is False
        full.full = False
        assert compactor.is_due
        await compactor.run(60)
        assert not compactor.is_due
        await database.close()


@pytest.mark.parametrize("seed", range(3))
async def test_nobody_notices(tmp_path: Path, seed: int) -> None:
    """Slices of any size between requests, killed at times, and the server started anew: all reads stay the same."""
    random = Random(seed)
    server = await TestServer.open(tmp_path)
    alice, bob = await server.register("alice"), await server.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    uri = await TestMedia().upload(alice, random.randbytes(150_000))
    events = []
    for number in range(150):
        if random.random() < 0.6:
            events.append(await alice.send_state(room_id, "org.example", {"n": number}, str(random.randrange(9))))
        else:
            events.append(await bob.send(room_id, f"message {number}"))
    since = (await bob.sync())["next_batch"]
    for number in range(20):
        events.append(await alice.send_state(room_id, "m.room.topic", {"topic": str(number)}))

    async def read() -> Any:
        contexts = [await bob.get(f"/v3/rooms/{room_id}/context/{event_id}", limit=3) for event_id in events[::7]]
        states = [{event["event_id"] for event in context.pop("state")} for context in contexts]
        history = (await bob.messages(room_id, limit=1000))["chunk"]
        for event in history:
            event.get("unsigned", {}).pop("age", None)
        for context in contexts:
            for event in (context["event"], *context["events_before"], *context["events_after"]):
                event.get("unsigned", {}).pop("age", None)
        synced = (await bob.sync(since))["rooms"]["join"][room_id]
        told = [event["event_id"] for event in synced["timeline"]["events"]]
        return states, contexts, history, told, synced["unread_notifications"], await TestMedia().download(alice, uri)

    before = await read()
    server.clock.now += 2 * DAY
    is_over = False
    while not is_over:
        circumstances = Circumstances(now_ms=server.clock.now)

        def work(db: Db) -> bool:
            done = work_slice(db, circumstances, lambda _: random.randint(3, 20))  # noqa: B023
            if random.random() < 0.2:
                raise sqlite3.OperationalError("killed")
            return done.next_due_ts > circumstances.now_ms  # noqa: B023

        try:
            is_over = await server.homeserver.context.database.write(work)
        except sqlite3.OperationalError:
            await server.restart()
        if random.random() < 0.1:
            assert await read() == before
    assert await read() == before
    assert await server.homeserver.context.database.integrity_check() == []
    await server.close()
