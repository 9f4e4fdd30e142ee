"""Contents in the database: whole, once, and nothing left of those that never arrived."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tabstead.media.blobs import begin_upload, delete_abandoned_uploads, read_blob
from tabstead.storage.database import Database, Db
from tabstead.storage.media import CHUNK_BYTES, Blob

NOW = 1_700_000_000_000
HOUR = 60 * 60 * 1000


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "t.db")
    yield database
    await database.close()


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


async def save(database: Database, body: bytes, now_ms: int = NOW) -> Blob:
    upload = await begin_upload(database, body, now_ms)
    nid = await database.write(lambda db: upload.finish(db, now_ms))
    return Blob(nid=nid, sha256=upload.sha256, size=len(body))


async def counts(database: Database) -> tuple[int, int]:
    """How many blobs and chunks there are."""

    def count(db: Db) -> tuple[int, int]:
        counted = db.execute("SELECT (SELECT count(*) FROM media_blobs), (SELECT count(*) FROM media_chunks)")
        blobs, chunks = counted.fetchone()
        return blobs, chunks

    return await database.read(count)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 20 * CHUNK_BYTES, 50 * CHUNK_BYTES + 7])
async def test_what_was_stored_is_read(database: Database, size: int) -> None:
    body = content(size)
    assert await read_blob(database, await save(database, body)) == body


@pytest.mark.parametrize(("start", "end"), [(0, 1), (CHUNK_BYTES - 1, CHUNK_BYTES + 1), (1_500_000, 2_500_000), (5, 5)])
async def test_a_part_is_read(database: Database, start: int, end: int) -> None:
    body = content(60 * CHUNK_BYTES)
    assert await read_blob(database, await save(database, body), start, end) == body[start:end]


async def test_rows_stay_below_64_kibibytes(database: Database) -> None:
    await save(database, content(3_000_000))
    longest = await database.read(lambda db: db.execute("SELECT max(length(data)) FROM media_chunks").fetchone()[0])
    assert longest < 64 * 1024


async def test_the_same_content_is_stored_once(database: Database) -> None:
    body = content(3_000_000)
    first = await save(database, body)
    stored = await counts(database)
    assert await save(database, bytes(bytearray(body))) == first
    assert await counts(database) == stored


async def test_a_killed_upload_is_gone_on_with(database: Database) -> None:
    body = content(3_000_000)
    await begin_upload(database, body, NOW)  # killed before its last slice
    _, chunks = await counts(database)
    assert 0 < chunks < 3_000_000 // CHUNK_BYTES
    assert await read_blob(database, await save(database, body)) == body


async def test_a_killed_upload_that_nobody_repeats_is_deleted_after_a_while(database: Database) -> None:
    kept = await save(database, content(2_000_000), NOW)
    await begin_upload(database, content(20_000_000), NOW)
    await delete_abandoned_uploads(database, NOW + HOUR - 1)
    assert (await counts(database))[0] == 2
    await delete_abandoned_uploads(database, NOW + HOUR + 1)
    assert await counts(database) == (1, -(-2_000_000 // CHUNK_BYTES))
    assert await read_blob(database, kept) == content(2_000_000)


async def test_an_upload_whose_beginning_was_deleted_meanwhile_is_whole_nevertheless(database: Database) -> None:
    body = content(3_000_000)
    upload = await begin_upload(database, body, NOW)
    await delete_abandoned_uploads(database, NOW + 2 * HOUR)
    nid = await database.write(lambda db: upload.finish(db, NOW + 2 * HOUR))
    assert await read_blob(database, Blob(nid=nid, sha256=upload.sha256, size=len(body))) == body
