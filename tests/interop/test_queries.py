"""What servers ask each other without being in a room together: Tabstead of Synapse, Synapse of Tabstead, and among
Tabsteads."""

import struct
import zlib
from collections.abc import Iterator
from itertools import count

import pytest

from helpers.federated_servers import FederatedServer, FederatedServers, eventually
from helpers.homeserver import Client, quoted
from tabstead.http import Request

_numbers = count()

PAIRS = ["Tabstead asks Synapse", "Synapse asks Tabstead", "Tabstead asks Tabstead"]


@pytest.fixture(scope="module")
def synapse(servers: FederatedServers) -> FederatedServer:
    return servers.start_synapse(room_list_publication_rules=[{"action": "allow"}])


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[FederatedServer, FederatedServer]]:
    """Who asks, and who answers."""
    names = {
        PAIRS[0]: ("tabstead", "synapse"),
        PAIRS[1]: ("synapse", "tabstead"),
        PAIRS[2]: ("tabstead", "other_tabstead"),
    }[request.param]
    asker, answerer = (request.getfixturevalue(name) for name in names)
    yield asker, answerer


async def users(pair: tuple[FederatedServer, FederatedServer]) -> tuple[Client, Client]:
    """Bob, who asks, and Alice, of whose server he asks."""
    asker, answerer = pair
    number = next(_numbers)
    return await asker.register(f"bob{number}"), await answerer.register(f"alice{number}")


def picture() -> bytes:
    """A grey PNG of 200 x 100 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 200, 100, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes([row]) * 200 for row in range(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def test_a_profile(pair: tuple[FederatedServer, FederatedServer]) -> None:
    bob, alice = await users(pair)
    path = f"/v3/profile/{quoted(alice.user_id)}"
    await alice.put(f"{path}/displayname", {"displayname": "Alice Liddell"})
    await alice.put(f"{path}/avatar_url", {"avatar_url": "mxc://wonder.land/hat"})
    assert await bob.get(path) == {"displayname": "Alice Liddell", "avatar_url": "mxc://wonder.land/hat"}
    assert await bob.get(f"{path}/displayname") == {"displayname": "Alice Liddell"}
    stranger = f"@nobody:{alice.user_id.partition(':')[2]}"
    assert (await bob.refused("GET", f"/v3/profile/{quoted(stranger)}"))[0] == 404


async def test_an_alias(pair: tuple[FederatedServer, FederatedServer]) -> None:
    bob, alice = await users(pair)
    server_name = alice.user_id.partition(":")[2]
    localpart = alice.user_id.partition(":")[0][1:]
    room_id = await alice.create_room(room_alias_name=localpart)
    found = await bob.get(f"/v3/directory/room/{quoted(f'#{localpart}:{server_name}')}")
    assert found["room_id"] == room_id
    assert server_name in found["servers"]
    unknown = quoted(f"#nothing:{server_name}")
    assert await bob.refused("GET", f"/v3/directory/room/{unknown}") == (404, "M_NOT_FOUND")


async def test_published_rooms(pair: tuple[FederatedServer, FederatedServer]) -> None:
    bob, alice = await users(pair)
    server_name = alice.user_id.partition(":")[2]
    word = f"garden{next(_numbers)}"
    listed = {
        await alice.create_room(preset="public_chat", visibility="public", name=f"{word} {number}")
        for number in range(3)
    }
    wanted = {"filter": {"generic_search_term": word}, "limit": 10}

    async def search() -> bool:
        found = await bob.post("/v3/publicRooms", wanted, server=server_name)
        return {room["room_id"] for room in found["chunk"]} == listed

    assert await eventually(search)
    first = await bob.get("/v3/publicRooms", server=server_name, limit=2)
    second = await bob.get("/v3/publicRooms", server=server_name, limit=2, since=first["next_batch"])
    pages = [{room["room_id"] for room in page["chunk"]} for page in (first, second)]
    assert not pages[0] & pages[1]


async def test_a_space_that_leads_over(pair: tuple[FederatedServer, FederatedServer]) -> None:
    bob, alice = await users(pair)
    server_name = alice.user_id.partition(":")[2]
    room = await alice.create_room(preset="public_chat", name="Garden")
    closed = await alice.create_room(name="Cellar")
    space = {"creation_content": {"type": "m.space"}, "preset": "public_chat"}
    inner, outer = await alice.create_room(**space, name="House"), await bob.create_room(**space, name="Street")
    for number, child in enumerate((room, closed)):
        content = {"via": [server_name], "order": str(number)}
        await alice.send_state(inner, "m.space.child", content, child)
    await bob.send_state(outer, "m.space.child", {"via": [server_name]}, inner)

    page = await bob.get(f"/v1/rooms/{quoted(outer)}/hierarchy")
    assert [(found["room_id"], found["name"]) for found in page["rooms"]] == [
        (outer, "Street"),
        (inner, "House"),
        (room, "Garden"),
    ]
    summary = await bob.get(f"/v1/room_summary/{quoted(room)}", via=server_name)
    assert (summary["name"], summary["num_joined_members"], summary["membership"]) == ("Garden", 1, "leave")


async def test_media(pair: tuple[FederatedServer, FederatedServer]) -> None:
    bob, alice = await users(pair)
    for data, content_type, name in ((picture(), "image/png", "grey.png"), (b"x" * 3_000_000, "text/plain", "x.txt")):
        headers = {"content-type": content_type}
        answer = await alice.answer("POST", "/_matrix/media/v3/upload", data, headers=headers, filename=name)
        path = answer.json["content_uri"].removeprefix("mxc://")
        answer = await bob.answer("GET", f"/v1/media/download/{path}")
        assert (answer.status, answer.body) == (200, data)
        assert answer.headers["content-type"].startswith(content_type)
        assert name in answer.headers["content-disposition"]
        if content_type == "image/png":
            answer = await bob.answer("GET", f"/v1/media/thumbnail/{path}", width=32, height=32, method="crop")
            assert answer.status == 200
            assert answer.headers["content-type"] in {"image/png", "image/jpeg", "image/webp"}


async def test_media_that_is_not_there(pair: tuple[FederatedServer, FederatedServer], synapse: FederatedServer) -> None:
    bob, alice = await users(pair)
    server_name = alice.user_id.partition(":")[2]
    assert await bob.refused("GET", f"/v1/media/download/{server_name}/nothing") == (404, "M_NOT_FOUND")
    created = await alice.post("/_matrix/media/v1/create", {})
    path = created["content_uri"].removeprefix("mxc://")
    refusal = await bob.refused("GET", f"/v1/media/download/{path}", timeout_ms=100)
    # Synapse passes that on in words of its own.
    assert refusal == ((502, "M_UNKNOWN") if pair[0].name == synapse.name else (504, "M_NOT_YET_UPLOADED"))


async def test_whose_token_it_is(tabstead: FederatedServer, synapse: FederatedServer) -> None:
    for server in (tabstead, synapse):
        alice = await server.register(f"alice{next(_numbers)}")
        granted = await alice.post(f"/v3/user/{quoted(alice.user_id)}/openid/request_token")
        path, query = "/_matrix/federation/v1/openid/userinfo", f"access_token={granted['access_token']}"
        answer = await server.handle(Request(method="GET", path=path, query_string=query))
        assert answer.json == {"sub": alice.user_id}
