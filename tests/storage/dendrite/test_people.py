"""Whoever had an account on Dendrite goes on here as if nothing had happened."""

from binascii import b2a_base64
from pathlib import Path
from typing import Any

from helpers.dendrite import KEY, Roomserver, move
from helpers.dendrite_people import write_media, write_people
from helpers.homeserver import Client, TestServer

ALICE, BOB = "@alice:tab.test", "@bob:tab.test"


async def test_a_person_goes_on_where_they_were(source: Path) -> None:
    password_hash = "$2a$04$uFx7uc8IvRotd6K2kmG/jeO0GhiZzQWP/FyRSZHSSFauZAhFbR0L2"
    people = write_people(source.parent, ALICE, password_hash=password_hash, access_token="dendrite's token")
    with Roomserver(source) as dendrite:
        room = dendrite.create_room(ALICE)
        room.send(ALICE, "m.room.name", {"name": "Porch"}, "")
        room.join(BOB)
        answered = room.send(BOB, "m.room.message", {"msgtype": "m.text", "body": "a question"})
        relation = {"event_id": answered, "rel_type": "m.annotation", "key": "+"}
        room.send(ALICE, "m.reaction", {"m.relates_to": relation})
        room.send(BOB, "m.room.member", {"membership": "leave"}, BOB)
        left = dendrite.create_room(BOB)
        left.join(ALICE)
        left.send(ALICE, "m.room.member", {"membership": "leave"}, ALICE)
        dendrite.forgotten.add((left.room_nid, ALICE))
        dendrite.db.execute(
            "INSERT INTO roomserver_room_aliases VALUES (?, ?, ?)", ("#porch:tab.test", room.room_id, ALICE)
        )
        dendrite.db.execute("INSERT INTO roomserver_published VALUES (?, TRUE)", (room.room_id,))
    counts = await move(source, **people)
    assert (counts["accounts"], counts["devices"], counts["aliases"], counts["public rooms"]) == (2, 1, 1, 1)

    server = await TestServer.open(source.parent)
    alice = Client(server=server, user_id=ALICE, device_id="DEVICE", access_token="dendrite's token")
    assert await alice.get("/v3/account/whoami") == {"user_id": ALICE, "device_id": "DEVICE", "is_guest": False}
    synced = await alice.get("/v3/sync")
    assert [*synced["rooms"]["join"]] == [room.room_id]
    assert synced["device_one_time_keys_count"] == {"signed_curve25519": 3}
    assert {event["type"] for event in synced["account_data"]["events"]} == {"m.push_rules", "org.example"}
    timeline = synced["rooms"]["join"][room.room_id]["timeline"]["events"]
    assert timeline[-1]["content"] == {"membership": "leave"}
    assert timeline[-1]["unsigned"]["prev_content"] == {"membership": "join"}
    assert (await alice.get("/v3/publicRooms"))["chunk"][0]["name"] == "Porch"
    assert (await alice.get("/v3/directory/room/%23porch%3Atab.test"))["room_id"] == room.room_id
    keys = await alice.post("/v3/keys/query", {"device_keys": {ALICE: []}})
    assert keys["device_keys"][ALICE]["DEVICE"]["keys"] == {"ed25519:DEVICE": "key"}
    claimed = await alice.post("/v3/keys/claim", {"one_time_keys": {ALICE: {"DEVICE": "signed_curve25519"}}})
    assert [*claimed["one_time_keys"][ALICE]["DEVICE"]] == ["signed_curve25519:AAAA0"]
    assert (await alice.get(f"/v3/profile/{ALICE}"))["displayname"] == "A Name"

    criteria = {"room_events": {"search_term": "question", "keys": ["content.body"]}}
    found = (await alice.post("/v3/search", {"search_categories": criteria}))["search_categories"]["room_events"]
    assert [result["result"]["event_id"] for result in found["results"]] == [answered]

    said = await alice.send(room.room_id, "and it goes on")
    assert (await alice.get(f"/v3/rooms/{room.room_id}/event/{said}"))["content"]["body"] == "and it goes on"
    await alice.put(f"/v3/rooms/{room.room_id}/state/m.room.topic", {"topic": "moved"})
    assert (await server.log_in("alice", "correct horse")).user_id == ALICE
    assert (await server.anonymous().refused(*LOG_IN, log_in_body("alice", "wrong")))[0] == 403
    assert (await server.anonymous().refused(*LOG_IN, log_in_body("gone", "")))[0] == 403
    assert await server.homeserver.context.database.integrity_check() == []
    await server.close()


LOG_IN = "POST", "/v3/login"


def log_in_body(localpart: str, password: str) -> Any:
    identifier = {"type": "m.id.user", "user": localpart}
    return {"type": "m.login.password", "identifier": identifier, "password": password}


async def test_what_was_uploaded_is_downloaded_under_the_same_uri(source: Path) -> None:
    people = write_people(source.parent, ALICE, password_hash=None, access_token="dendrite's token")
    contents = {"small": b"small", "big": bytes(range(256)) * 20_000, "copy": b"small", "lost": b""}
    media = write_media(source.parent, ALICE, contents)
    with Roomserver(source) as dendrite:
        dendrite.create_room(ALICE)
    counts = await move(source, **people, **media)
    assert (counts["media"], counts["media whose file is lost"]) == (3, 1)

    server = await TestServer.open(source.parent)
    alice = Client(server=server, user_id=ALICE, device_id="DEVICE", access_token="dendrite's token")
    for name in ("small", "big", "copy"):
        downloaded = await alice.answer("GET", f"/_matrix/client/v1/media/download/tab.test/id_of_{name}")
        assert (downloaded.status, downloaded.body) == (200, contents[name])
    assert (await alice.refused("GET", "/_matrix/client/v1/media/download/tab.test/id_of_lost"))[0] == 404
    await server.close()


async def test_nobody_can_take_the_name_of_a_user_whose_account_was_left_behind(source: Path) -> None:
    with Roomserver(source) as dendrite:
        dendrite.create_room(ALICE)
    assert (await move(source))["accounts without a password"] == 1
    server = await TestServer.open(source.parent)
    register = {"username": "alice", "auth": {"type": "m.login.dummy"}}
    assert await server.anonymous().refused("POST", "/v3/register", register) == (400, "M_USER_IN_USE")
    assert (await server.anonymous().refused(*LOG_IN, log_in_body("alice", "")))[0] == 403
    await server.close()


async def test_the_server_keeps_its_signing_key(source: Path, tmp_path: Path) -> None:
    pem = tmp_path / "matrix_key.pem"
    encoded = b2a_base64(KEY.seed).decode()
    pem.write_text(
        f"-----BEGIN MATRIX PRIVATE KEY-----\nKey-ID: {KEY.key_id}abc\n\n{encoded}-----END MATRIX PRIVATE KEY-----\n"
    )
    with Roomserver(source) as dendrite:
        dendrite.create_room(ALICE)
    await move(source, signing_key=pem)
    server = await TestServer.open(tmp_path)
    signing_key = server.homeserver.context.local_server.signing_key
    assert (signing_key.key_id, signing_key.seed) == (f"{KEY.key_id}abc", KEY.seed)
    await server.close()


async def test_without_a_file_the_server_gets_a_key(source: Path) -> None:
    with Roomserver(source) as dendrite:
        dendrite.create_room(ALICE)
    await move(source)
    server = await TestServer.open(source.parent)
    assert server.homeserver.context.local_server.signing_key.key_id == "ed25519:1"
    await server.close()
