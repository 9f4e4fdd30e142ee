"""Media over the Client-Server API, § Content repository."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from helpers.homeserver import Answer, Client, TestServer
from tabstead.errors import StorageFull
from tabstead.http import DispatchKey, Request
from tabstead.media.contents import MAX_PENDING_UPLOADS, UNUSED_EXPIRES_MS
from tabstead.native.pillow_thumbnailer import PillowThumbnailer
from tabstead.storage.database import Database

UPLOAD = "/_matrix/media/v3/upload"
CREATE = "/_matrix/media/v1/create"
LIMIT = 3_000_000


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestServer]:
    server = await TestServer.open(tmp_path, max_upload_bytes=LIMIT)
    server.homeserver.context = replace(server.homeserver.context, thumbnailer=PillowThumbnailer())
    yield server
    await server.close()


async def upload(client: Client, data: bytes, content_type: str | None = "image/png", **query: Any) -> str:
    """Upload; what follows mxc://."""
    headers = {} if content_type is None else {"content-type": content_type}
    answer = await client.answer("POST", UPLOAD, data, headers=headers, **query)
    assert answer.status == 200, answer.body
    return str(answer.json["content_uri"]).removeprefix("mxc://")


async def create(client: Client) -> str:
    """A media ID whose content is to come; what follows mxc://."""
    return str((await client.post(CREATE))["content_uri"]).removeprefix("mxc://")


async def download(client: Client, name: str, headers: dict[str, str] | None = None, **query: Any) -> Answer:
    return await client.answer("GET", f"/v1/media/download/{name}", headers=headers, **query)


async def thumbnail(client: Client, name: str, width: int, height: int, **query: Any) -> Image.Image:
    path = f"/v1/media/thumbnail/{name}"
    answer = await client.answer("GET", path, width=width, height=height, **query)
    assert answer.status == 200, answer.body
    image = Image.open(BytesIO(answer.body))
    assert answer.headers["content-type"] == Image.MIME[image.format or ""]
    assert answer.headers["content-disposition"].startswith('inline; filename="thumbnail.')
    return image


def picture(width: int = 1000, height: int = 500, image_format: str = "PNG", frames: int = 1) -> bytes:
    images = [Image.new("RGB", (width, height), (10, 90 + number, 60)) for number in range(frames)]
    options: dict[str, Any] = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    file = BytesIO()
    images[0].save(file, image_format, **options)
    return file.getvalue()


class TestUploadAndDownload:
    async def test_what_was_uploaded_is_downloaded_by_anybody_with_an_account(self, alice: Client, bob: Client) -> None:
        data = bytes(range(256)) * 5000
        answer = await download(bob, await upload(alice, data, filename="a b.png"))
        assert answer.status == 200
        assert answer.body == data
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["content-disposition"] == 'inline; filename="a b.png"'
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert answer.headers["access-control-allow-origin"] == "*"

    async def test_the_downloader_may_choose_the_file_name(self, alice: Client) -> None:
        name = await upload(alice, b"x", filename="theirs.png")
        answer = await download(alice, f"{name}/mine%2Fbest.png")
        assert answer.headers["content-disposition"] == 'inline; filename="mine/best.png"'

    async def test_what_is_dangerous_to_show_is_an_attachment(self, alice: Client) -> None:
        answer = await download(alice, await upload(alice, b"<script>", "text/html"))
        assert answer.headers["content-disposition"] == "attachment"

    async def test_content_without_a_type_is_octets(self, alice: Client) -> None:
        answer = await download(alice, await upload(alice, b"x", None))
        assert answer.headers["content-type"] == "application/octet-stream"

    async def test_it_survives_a_restart(self, server: TestServer, alice: Client) -> None:
        name = await upload(alice, b"still here")
        await server.restart()
        assert (await download(alice, name)).body == b"still here"

    async def test_strangers_and_guests_do_not_upload_and_strangers_do_not_download(
        self, server: TestServer, alice: Client
    ) -> None:
        name = await upload(alice, b"x")
        assert await server.anonymous().refused("POST", UPLOAD, b"x") == (401, "M_MISSING_TOKEN")
        guest = await server.register_guest()
        assert await guest.refused("POST", UPLOAD, b"x") == (403, "M_GUEST_ACCESS_FORBIDDEN")
        assert (await download(guest, name)).status == 200
        assert (await download(server.anonymous(), name)).status == 401

    async def test_the_biggest_upload_is_told_and_kept_to(self, alice: Client) -> None:
        for path in ("/v1/media/config", "/_matrix/media/v3/config", "/_matrix/media/r0/config"):
            assert await alice.get(path) == {"m.upload.size": LIMIT}
        await upload(alice, bytes(LIMIT))
        assert await alice.refused("POST", UPLOAD, bytes(LIMIT + 1)) == (413, "M_TOO_LARGE")

    @pytest.mark.parametrize(
        "name",
        ["tab.test/AAAAAAAA", "else.where/AAAAAAAA", "tab.test/..%2F..%2Fetc", "tab.test/%00", "tab.test/" + "a" * 300],
    )
    async def test_what_is_not_there_is_not_found(self, alice: Client, name: str) -> None:
        assert await alice.refused("GET", f"/v1/media/download/{name}") == (404, "M_NOT_FOUND")

    async def test_an_upload_that_is_dispatched_twice_is_one_upload(self, server: TestServer, alice: Client) -> None:
        request = Request(
            method="POST",
            path=UPLOAD,
            headers={"authorization": f"Bearer {alice.access_token}"},
            body=bytes(2_500_000),
            dispatch_key=DispatchKey(value="named by its page", exact=True),
        )
        assert (await server.handle(request)).json == (await server.handle(request)).json
        assert await server.read(lambda db: db.execute("SELECT count(*) FROM media").fetchone()[0]) == 1


class TestCaching:
    async def test_what_never_changes_is_not_sent_twice(self, alice: Client) -> None:
        name = await upload(alice, b"once")
        first = await download(alice, name)
        assert "immutable" in first.headers["cache-control"]
        again = await download(alice, name, {"if-none-match": first.headers["etag"]})
        assert (again.status, again.body) == (304, b"")

    async def test_a_part_of_a_film_is_sent_alone(self, alice: Client) -> None:
        data = bytes(range(256)) * 8000
        name = await upload(alice, data, "video/mp4")
        part = await download(alice, name, {"range": "bytes=1500000-1500099"})
        assert (part.status, part.body) == (206, data[1_500_000:1_500_100])
        assert part.headers["content-range"] == f"bytes 1500000-1500099/{len(data)}"
        beyond = await download(alice, name, {"range": f"bytes={len(data)}-"})
        assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(data)}")


class TestLaterUpload:
    """The media ID first, its content later. Added in v1.7."""

    async def test_a_download_waits_for_the_content(self, alice: Client, bob: Client) -> None:
        name = await create(alice)
        waiting = asyncio.ensure_future(download(bob, name, timeout_ms=20_000))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await alice.put(f"{UPLOAD}/{name}", b"here it is")
        assert (await waiting).body == b"here it is"

    async def test_who_does_not_want_to_wait_is_told_that_it_is_to_come(self, alice: Client) -> None:
        path = f"/v1/media/download/{await create(alice)}"
        assert await alice.refused("GET", path, timeout_ms=0) == (504, "M_NOT_YET_UPLOADED")

    async def test_content_comes_once_and_from_its_creator(self, alice: Client, bob: Client) -> None:
        name = await create(alice)
        assert await bob.refused("PUT", f"{UPLOAD}/{name}", b"x") == (403, "M_FORBIDDEN")
        await alice.put(f"{UPLOAD}/{name}", b"x")
        assert await alice.refused("PUT", f"{UPLOAD}/{name}", b"y") == (409, "M_CANNOT_OVERWRITE_MEDIA")
        assert (await download(bob, name)).body == b"x"

    async def test_a_media_id_that_nobody_used_expires(self, server: TestServer, alice: Client) -> None:
        name = await create(alice)
        server.clock.now += UNUSED_EXPIRES_MS
        assert await alice.refused("PUT", f"{UPLOAD}/{name}", b"x") == (404, "M_NOT_FOUND")
        assert await alice.refused("GET", f"/v1/media/download/{name}", timeout_ms=0) == (404, "M_NOT_FOUND")

    async def test_nobody_may_keep_too_many_waiting(self, server: TestServer, alice: Client, bob: Client) -> None:
        for _ in range(MAX_PENDING_UPLOADS):
            await create(alice)
        assert await alice.refused("POST", CREATE, {}) == (429, "M_LIMIT_EXCEEDED")
        await create(bob)
        server.clock.now += UNUSED_EXPIRES_MS
        await create(alice)

    async def test_only_ids_that_were_created_here_have_a_content(self, alice: Client) -> None:
        for name in ("tab.test/AAAA", "else.where/AAAA"):
            assert await alice.refused("PUT", f"{UPLOAD}/{name}", b"x") == (404, "M_NOT_FOUND")


class TestThumbnails:
    async def test_scale_fits_and_crop_fills(self, alice: Client) -> None:
        name = await upload(alice, picture())
        assert (await thumbnail(alice, name, 320, 240)).size == (320, 160)
        assert (await thumbnail(alice, name, 90, 90, method="crop")).size == (96, 96)

    async def test_it_is_made_once(self, server: TestServer, alice: Client) -> None:
        name = await upload(alice, picture())
        first = await thumbnail(alice, name, 320, 240)
        server.homeserver.context = replace(server.homeserver.context, thumbnailer=None)
        assert (await thumbnail(alice, name, 300, 200)).tobytes() == first.tobytes()

    async def test_a_small_image_is_its_own_thumbnail(self, alice: Client) -> None:
        data = picture(20, 20)
        answer = await alice.answer(
            "GET", f"/v1/media/thumbnail/{await upload(alice, data)}", width=96, height=96, method="crop"
        )
        assert answer.body == data

    async def test_the_claimed_type_does_not_matter(self, alice: Client) -> None:
        name = await upload(alice, picture(20, 20), "text/html")
        assert (await thumbnail(alice, name, 32, 32)).format == "PNG"

    async def test_an_animation_moves_for_those_alone_who_want_it(self, alice: Client) -> None:
        name = await upload(alice, picture(400, 400, "GIF", frames=3), "image/gif")
        assert getattr(await thumbnail(alice, name, 96, 96, animated=True), "n_frames", 1) == 3
        assert getattr(await thumbnail(alice, name, 96, 96, animated=False), "n_frames", 1) == 1
        assert getattr(await thumbnail(alice, name, 96, 96), "n_frames", 1) == 1

    @pytest.mark.parametrize("data", [b"", b"an encrypted file", b"<svg/>", picture()[:60]])
    async def test_what_is_no_image_has_none(self, alice: Client, data: bytes) -> None:
        path = f"/v1/media/thumbnail/{await upload(alice, data)}"
        assert await alice.refused("GET", path, width=96, height=96) == (400, "M_UNKNOWN")

    async def test_an_image_that_is_too_large_to_decode_is_refused(self, alice: Client) -> None:
        path = f"/v1/media/thumbnail/{await upload(alice, picture(9000, 9000))}"
        assert await alice.refused("GET", path, width=96, height=96) == (413, "M_TOO_LARGE")

    @pytest.mark.parametrize(
        ("query", "errcode"),
        [
            ({"width": 1}, "M_MISSING_PARAM"),
            ({"width": 0, "height": 5}, "M_INVALID_PARAM"),
            ({"width": -1, "height": 5}, "M_INVALID_PARAM"),
            ({"width": "a", "height": 5}, "M_INVALID_PARAM"),
            ({"width": 5, "height": 5, "method": "stretch"}, "M_INVALID_PARAM"),
        ],
    )
    async def test_a_request_that_makes_no_sense_is_refused(
        self, alice: Client, query: dict[str, Any], errcode: str
    ) -> None:
        path = f"/v1/media/thumbnail/{await upload(alice, picture())}"
        assert await alice.refused("GET", path, **query) == (400, errcode)

    async def test_a_full_disk_does_not_keep_anybody_from_seeing_it(
        self, server: TestServer, alice: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = await upload(alice, picture())

        async def refuse(self: Database, fn: object) -> None:
            raise StorageFull("The server's storage is full.")

        monkeypatch.setattr(Database, "write", refuse)
        assert (await thumbnail(alice, name, 320, 240)).size == (320, 160)


class TestFrozenPaths:
    """The deprecated paths, which tell strangers nothing. § Content repository, since v1.12."""

    @pytest.mark.parametrize("version", ["v3", "r0"])
    async def test_they_serve_those_who_authenticate(self, server: TestServer, alice: Client, version: str) -> None:
        name = await upload(alice, picture())
        paths = {
            f"/_matrix/media/{version}/download/{name}": {},
            f"/_matrix/media/{version}/download/{name}/cat.png": {},
            f"/_matrix/media/{version}/thumbnail/{name}": {"width": 32, "height": 32},
        }
        for path, query in paths.items():
            assert (await alice.answer("GET", path, **query)).status == 200
            in_query = {**query, "access_token": alice.access_token}
            assert (await server.anonymous().answer("GET", path, **in_query)).status == 200
            assert await server.anonymous().refused("GET", path, **query) == (404, "M_NOT_FOUND")
