"""Push gateways are told of notifications, by a real one that checks what it is told."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from helpers.homeserver import Client, Json, TestServer, quoted
from tabstead.native.httpx_outbound import HttpxOutbound
from tabstead.push.gateway import FIRST_PAUSE_MS, GIVE_UP_AFTER_MS, PushGateway

DESCRIPTION = Path(__file__).parents[3] / "shared" / "spec" / "push-gateway.json"


@dataclass
class Gateway:
    """The other side."""

    process: asyncio.subprocess.Process
    port: int

    @classmethod
    async def start(cls) -> "Gateway":
        description = [str(DESCRIPTION)] if DESCRIPTION.exists() else []
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("gateway.py")),
            *description,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        return cls(process=process, port=int(await process.stdout.readline()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/_matrix/push/v1/notify"

    async def told(self) -> Json:
        """The next notification, which must be as the specification has it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):  # or the test would hang where it should fail
            line = json.loads(await self.process.stdout.readline())
        assert line["problems"] == []
        notification: Json = line["body"]["notification"]
        return notification

    async def behave(self, status: int = 200, rejected: tuple[str, ...] = ()) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"status": status, "rejected": list(rejected)}).encode() + b"\n")
        assert await self.process.stdout.readline() == b"heard\n"

    async def stop(self) -> None:
        self.process.kill()
        await self.process.wait()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = await Gateway.start()
    yield gateway
    await gateway.stop()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestServer]:
    server = await TestServer.open(tmp_path, outbound=allowing_outbound())
    yield server
    await server.close()


def allowing_outbound() -> HttpxOutbound:
    return HttpxOutbound([ip_network("127.0.0.0/8")])


@pytest.fixture
async def alice(server: TestServer) -> Client:
    return await server.register("alice")


@pytest.fixture
async def bob(server: TestServer) -> Client:
    return await server.register("bob")


@pytest.fixture
async def room_id(alice: Client, bob: Client) -> str:
    room_id = await alice.create_room(preset="public_chat", name="Mission Control")
    await bob.join(room_id)
    return room_id


def pusher(gateway: Gateway, **changes: Any) -> Json:
    return {
        "app_id": "org.example.app",
        "pushkey": "key",
        "kind": "http",
        "app_display_name": "App",
        "device_display_name": "Phone",
        "lang": "en",
        "data": {"url": gateway.url, "custom": 1},
        **changes,
    }


async def work(server: TestServer) -> int | None:
    """Let the follower do what is due, until nothing is."""
    (follower,) = (one for one in server.homeserver.build_followers() if isinstance(one, PushGateway))
    due = await follower.work()
    while due is not None and due <= server.clock.now:
        due = await follower.work()
    return due


async def test_an_event_is_told_with_everything_a_gateway_may_want(
    server: TestServer, alice: Client, bob: Client, room_id: str, gateway: Gateway
) -> None:
    await bob.post("/v3/pushers/set", pusher(gateway))
    await alice.put(f"/v3/profile/{quoted(alice.user_id)}/displayname", {"displayname": "Major Tom"})
    event_id = await alice.send(room_id, "hello")
    await work(server)

    told = await gateway.told()
    (device,) = told.pop("devices")
    assert told == {
        "event_id": event_id,
        "room_id": room_id,
        "type": "m.room.message",
        "sender": alice.user_id,
        "sender_display_name": "Major Tom",
        "room_name": "Mission Control",
        "content": {"msgtype": "m.text", "body": "hello"},
        "prio": "high",
        "counts": {"unread": 1},
    }
    assert device.pop("pushkey_ts") == server.clock.now // 1000
    assert device == {
        "app_id": "org.example.app",
        "pushkey": "key",
        "data": {"custom": 1},
        "tweaks": {"sound": "default"},
    }


async def test_with_event_id_only_nothing_else_leaves_the_server(
    server: TestServer, alice: Client, bob: Client, room_id: str, gateway: Gateway
) -> None:
    await bob.post("/v3/pushers/set", pusher(gateway, data={"url": gateway.url, "format": "event_id_only"}))
    event_id = await alice.send(room_id, "secret")
    await work(server)

    told = await gateway.told()
    (device,) = told.pop("devices")
    assert told == {"event_id": event_id, "room_id": room_id, "prio": "high", "counts": {"unread": 1}}
    assert device["data"] == {"format": "event_id_only"}
    assert "tweaks" not in device


async def test_an_invite_names_its_target_and_quiet_events_have_low_priority(
    server: TestServer, alice: Client, bob: Client, room_id: str, gateway: Gateway
) -> None:
    carol = await server.register("carol")
    await carol.join(room_id)
    await bob.post("/v3/pushers/set", pusher(gateway))
    await alice.send(room_id, "among three")
    await alice.invite(await alice.create_room(), bob)
    await work(server)

    assert (await gateway.told())["prio"] == "low"
    invite = await gateway.told()
    assert invite["user_is_target"] is True
    assert invite["counts"] == {"unread": 2}


async def test_what_was_read_is_not_told_but_that_less_is_unread_is(
    server: TestServer, alice: Client, bob: Client, room_id: str, gateway: Gateway
) -> None:
    await bob.post("/v3/pushers/set", pusher(gateway))
    await alice.send(room_id, "one")
    await work(server)
    assert (await gateway.told())["counts"] == {"unread": 1}

    event_id = await alice.send(room_id, "two")
    await bob.post(f"/v3/rooms/{room_id}/receipt/m.read/{quoted(event_id)}")
    await work(server)
    await alice.send(room_id, "three")
    await work(server)

    told = await gateway.told()
    assert told["counts"] == {} and "event_id" not in told
    assert (await gateway.told())["content"]["body"] == "three"


async def test_a_gateway_that_fails_is_tried_again_later_and_in_order(
    server: TestServer, alice: Client, bob: Client, room_id: str, gateway: Gateway
) -> None:
    await bob.post("/v3/pushers/set", pusher(gateway))
    await gateway.behave(status=500)
    for text in ("one", "two"):
        await alice.send(room_id, text)
    due = await work(server)
    assert due is not None and due > server.clock.now
    assert (await gateway.told())["content"]["body"] == "one"
    await work(server)

    server.outbound = allowing_outbound()
    await server.restart()
    server.clock.now += FIRST_PAUSE_MS
    assert await work(server) > server.clock.now + FIRST_PAUSE_MS  # type: ignore[operator]
    assert (await gateway.told())["content"]["body"] == "one"

    await gateway.behave()
    server.clock.now += 2 * FIRST_PAUSE_MS
    assert await work(server) is None
    assert [(await gateway.told())["content"]["body"] for _ in range(2)] == ["one", "two"]


async def test_what_can_not_be_told_for_a_day_is_dropped(
    server: TestServer, alice: Client, bob: Client, room_id: str, gateway: Gateway
) -> None:
    await bob.post("/v3/pushers/set", pusher(gateway))
    await alice.send(room_id, "old news")
    await gateway.behave(status=503)
    await work(server)
    server.clock.now += GIVE_UP_AFTER_MS
    await work(server)
    assert [(await gateway.told())["content"]["body"] for _ in range(2)] == ["old news"] * 2

    await gateway.behave()
    server.clock.now += GIVE_UP_AFTER_MS
    await work(server)
    await alice.send(room_id, "news")
    await work(server)
    assert (await gateway.told())["content"]["body"] == "news"


async def test_a_rejected_key_ends_its_pusher(
    server: TestServer, alice: Client, bob: Client, room_id: str, gateway: Gateway
) -> None:
    await bob.post("/v3/pushers/set", pusher(gateway))
    await bob.post("/v3/pushers/set", pusher(gateway, pushkey="other"))
    await gateway.behave(rejected=("key",))
    await alice.send(room_id, "hello")
    await work(server)

    assert [row["pushkey"] for row in (await bob.get("/v3/pushers"))["pushers"]] == ["other"]


async def test_a_server_that_runs_tells_by_itself(
    server: TestServer, alice: Client, bob: Client, room_id: str, gateway: Gateway
) -> None:
    following = asyncio.create_task(server.homeserver.follow())
    await bob.post("/v3/pushers/set", pusher(gateway))
    await alice.send(room_id, "hello")
    assert (await gateway.told())["content"]["body"] == "hello"
    server.homeserver.drain()
    await following


async def test_pushers_are_set_listed_replaced_and_deleted(
    server: TestServer, alice: Client, bob: Client, gateway: Gateway
) -> None:
    first = pusher(gateway)
    await alice.post("/v3/pushers/set", {**first, "append": False, "profile_tag": "tag"})
    assert (await alice.get("/v3/pushers"))["pushers"] == [{**first, "profile_tag": "tag"}]
    await alice.post("/v3/pushers/set", {**first, "lang": "fr"})
    assert [row["lang"] for row in (await alice.get("/v3/pushers"))["pushers"]] == ["fr"]

    await bob.post("/v3/pushers/set", {**first, "append": True})
    assert len((await alice.get("/v3/pushers"))["pushers"]) == 1
    await bob.post("/v3/pushers/set", first)
    assert (await alice.get("/v3/pushers"))["pushers"] == []

    await bob.post("/v3/pushers/set", {"app_id": first["app_id"], "pushkey": first["pushkey"], "kind": None})
    assert (await bob.get("/v3/pushers"))["pushers"] == []

    await bob.post("/v3/pushers/set", first)
    await bob.post("/v3/logout")
    assert await server.read(lambda db: db.execute("SELECT COUNT(*) FROM pushers").fetchone()[0]) == 0


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"app_id": "x" * 65}, "M_INVALID_PARAM"),
        ({"pushkey": "ü" * 257}, "M_INVALID_PARAM"),
        ({"kind": "smoke"}, "M_INVALID_PARAM"),
        ({"data": {"url": "http://push.example.org/_matrix/push/v1/notify"}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https://push.example.org/elsewhere"}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https://[/_matrix/push/v1/notify"}}, "M_INVALID_PARAM"),
        ({"data": {}}, "M_MISSING_PARAM"),
        ({"lang": None}, "M_MISSING_PARAM"),
        ({"lang": 5}, "M_BAD_JSON"),
    ],
)
async def test_malformed_pushers_are_refused(alice: Client, gateway: Gateway, changes: Json, errcode: str) -> None:
    assert await alice.refused("POST", "/v3/pushers/set", pusher(gateway, **changes)) == (400, errcode)


async def test_an_address_that_is_not_public_is_not_asked(tmp_path: Path, gateway: Gateway) -> None:
    server = await TestServer.open(tmp_path, outbound=HttpxOutbound())
    alice, bob = await server.register("alice"), await server.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    await bob.post("/v3/pushers/set", pusher(gateway))
    await alice.send(room_id, "hello")
    due = await work(server)
    assert due is not None and due > server.clock.now
    await server.close()
    await gateway.behave()  # answers "heard", and has been told nothing before
