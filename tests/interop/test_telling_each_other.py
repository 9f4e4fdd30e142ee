"""What servers tell each other once they share a room: Tabstead and Synapse, and two Tabsteads, over TLS."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from helpers.federated_servers import FederatedServer, eventually
from helpers.homeserver import Client, quoted
from helpers.key_owner import CrossSigning, DeviceKeys

Json = dict[str, Any]


_WHOLE_TIMELINES = '{"room": {"timeline": {"limit": 100}}}'


class Listener:
    """A client that remembers what /sync has told it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.since: str | None = None
        self.timeline: list[Json] = []
        self.ephemeral: list[Json] = []
        self.presence: list[Json] = []
        self.to_device: list[Json] = []
        self.changed: list[str] = []

    async def listen(self) -> None:
        synced = await self.client.sync(self.since, filter=_WHOLE_TIMELINES)
        self.since = synced["next_batch"]
        for room in synced.get("rooms", {}).get("join", {}).values():
            self.timeline += room["timeline"]["events"]
            self.ephemeral += room.get("ephemeral", {}).get("events", [])
        self.presence += synced.get("presence", {}).get("events", [])
        self.to_device += synced.get("to_device", {}).get("events", [])
        self.changed += synced.get("device_lists", {}).get("changed", [])

    async def until(self, found: Any) -> Any:
        """Listen until `found` finds something among what was told."""

        async def look() -> Any:
            await self.listen()
            return found(self)

        return await eventually(look)

    async def until_said(self, *bodies: str) -> None:
        await self.until(lambda heard: set(bodies) <= {event["content"].get("body") for event in heard.timeline})


class Pair:
    """Two users on two servers, in a room that the first one made."""

    def __init__(self, alice: Client, bob: Client, room_id: str) -> None:
        self.alice = alice
        self.bob = bob
        self.room_id = room_id
        self.path = f"/v3/rooms/{quoted(room_id)}"


_count = iter(range(1000))


@pytest.fixture(params=["tabstead and synapse", "synapse and tabstead", "two tabsteads"])
async def sides(request: pytest.FixtureRequest) -> tuple[FederatedServer, FederatedServer]:
    one: FederatedServer = request.getfixturevalue("tabstead")
    other = request.getfixturevalue("other_tabstead" if request.param == "two tabsteads" else "synapse")
    return (other, one) if request.param == "synapse and tabstead" else (one, other)


@pytest.fixture
async def pair(sides: tuple[FederatedServer, FederatedServer]) -> AsyncIterator[Pair]:
    number = next(_count)
    alice, bob = await sides[0].register(f"alice{number}"), await sides[1].register(f"bob{number}")
    room_id = await alice.create_room(preset="public_chat", name="Garden")
    await bob.post(f"/v3/join/{quoted(room_id)}", via=[sides[0].name])
    yield Pair(alice, bob, room_id)


async def test_messages_go_both_ways(pair: Pair) -> None:
    alice, bob = Listener(pair.alice), Listener(pair.bob)
    await alice.listen()
    await bob.listen()
    for number in range(10):
        await pair.alice.send(pair.room_id, f"from alice {number}")
        await pair.bob.send(pair.room_id, f"from bob {number}")
    wanted = [f"from {name} {number}" for name in ("alice", "bob") for number in range(10)]
    await alice.until_said(*wanted[-10:])
    await bob.until_said(*wanted[:10])


async def test_receipts_typing_and_presence(pair: Pair) -> None:
    event_id = await pair.alice.send(pair.room_id, "read me")
    bob, alice = Listener(pair.bob), Listener(pair.alice)
    await bob.until_said("read me")
    await alice.listen()
    await pair.bob.post(f"{pair.path}/receipt/m.read/{quoted(event_id)}", {"thread_id": "main"})
    await alice.until(
        lambda heard: any(
            pair.bob.user_id in event["content"].get(event_id, {}).get("m.read", {}) for event in heard.ephemeral
        )
    )
    for user, listener in ((pair.bob, alice), (pair.alice, bob)):
        await check_typing(pair, user, listener)
        await check_presence(user, listener)


async def check_typing(pair: Pair, user: Client, listener: Listener) -> None:
    """Somebody hears that the user begins to type, and ceases."""
    path = f"{pair.path}/typing/{quoted(user.user_id)}"
    for body, typing in (({"typing": True, "timeout": 30_000}, [user.user_id]), ({"typing": False}, [])):
        listener.ephemeral.clear()
        await user.put(path, body)
        await listener.until(
            lambda heard, wanted=typing: {"user_ids": wanted} in [event["content"] for event in heard.ephemeral]
        )


async def check_presence(user: Client, listener: Listener) -> None:
    """Somebody hears of the user's presence."""
    status = {"presence": "unavailable", "status_msg": "in the garden"}
    await user.put(f"/v3/presence/{quoted(user.user_id)}/status", status)

    def is_told(heard: Listener) -> bool:
        told = [event["content"] for event in heard.presence if event["sender"] == user.user_id]
        return any(status.items() <= content.items() for content in told)

    await listener.until(is_told)


async def test_devices_keys_and_messages_to_devices(pair: Pair) -> None:
    await check_encryption(pair.alice, pair.bob)
    await check_encryption(pair.bob, pair.alice)


async def check_encryption(sender: Client, receiver: Client) -> None:
    """One user finds the other's devices and keys, and sends them a message."""
    listener, hearing = Listener(receiver), Listener(sender)
    await hearing.listen()
    keys = DeviceKeys.of(receiver)
    await receiver.post(
        "/v3/keys/upload", {"device_keys": keys.signed, "one_time_keys": keys.one_time_keys("one", "two")}
    )
    await hearing.until(lambda heard: receiver.user_id in heard.changed)
    found = await sender.post("/v3/keys/query", {"device_keys": {receiver.user_id: []}})
    assert found["device_keys"][receiver.user_id][receiver.device_id]["keys"] == keys.signed["keys"]
    claims = {receiver.user_id: {receiver.device_id: "signed_curve25519"}}
    claimed = [await sender.post("/v3/keys/claim", {"one_time_keys": claims}) for _ in range(2)]
    names = [list(each["one_time_keys"][receiver.user_id][receiver.device_id]) for each in claimed]
    assert sorted(names) == [["signed_curve25519:one"], ["signed_curve25519:two"]]
    messages = {receiver.user_id: {receiver.device_id: {"ciphertext": "secret"}}}
    await sender.put(f"/v3/sendToDevice/m.room.encrypted/to-{receiver.device_id}", {"messages": messages})
    await listener.until(lambda heard: heard.to_device)
    (message,) = listener.to_device
    assert message["sender"] == sender.user_id
    assert message["content"]["ciphertext"] == "secret"

    second = await receiver.server.log_in(receiver.user_id[1:].partition(":")[0])
    await second.post("/v3/keys/upload", {"device_keys": DeviceKeys.of(second).signed})
    await until_known(sender, receiver.user_id, {receiver.device_id, second.device_id})
    await second.post("/v3/logout")
    await until_known(sender, receiver.user_id, {receiver.device_id})


async def until_known(asker: Client, user_id: str, device_ids: set[str]) -> None:
    """Ask for the user's devices until they are these."""

    async def known() -> bool:
        found = await asker.post("/v3/keys/query", {"device_keys": {user_id: []}})
        return bool(found["device_keys"].get(user_id, {}).keys() == device_ids)

    await eventually(known)


async def test_cross_signing_keys(pair: Pair) -> None:
    await check_cross_signing(pair.alice, pair.bob)
    await check_cross_signing(pair.bob, pair.alice)


async def check_cross_signing(owner: Client, other: Client) -> None:
    """New cross-signing keys take the place of none, for somebody who has asked before."""
    query = {"device_keys": {owner.user_id: []}}
    await other.post("/v3/keys/query", query)
    keys = CrossSigning.of(owner.user_id)
    await owner.post("/v3/keys/device_signing/upload", keys.upload)

    async def known() -> bool:
        found = await other.post("/v3/keys/query", query)
        told = [found[f"{usage}_keys"].get(owner.user_id, {}).get("keys") for usage in ("master", "self_signing")]
        return told == [keys.key_object(usage)["keys"] for usage in ("master", "self_signing")]

    await eventually(known)


@pytest.mark.parametrize("which", ["the first is down", "the second is down"])
async def test_a_server_that_was_down_gets_all_that_it_missed(
    sides: tuple[FederatedServer, FederatedServer], pair: Pair, which: str
) -> None:
    down, up = sides if which == "the first is down" else (sides[1], sides[0])
    (absent, present) = (pair.alice, pair.bob) if down is sides[0] else (pair.bob, pair.alice)
    listener = Listener(absent)
    await listener.listen()
    keys = DeviceKeys.of(absent)
    await absent.post("/v3/keys/upload", {"device_keys": keys.signed})
    await present.send(pair.room_id, "all is well")
    await listener.until_said("all is well")

    down.kill()
    wanted = [f"missed {number}" for number in range(60)]
    for body in wanted:
        await present.send(pair.room_id, body)
    messages = {absent.user_id: {absent.device_id: {"ciphertext": "missed"}}}
    await present.put(f"/v3/sendToDevice/m.room.encrypted/{next(_count)}", {"messages": messages})
    await present.post("/v3/keys/upload", {"device_keys": DeviceKeys.of(present).signed})
    up.kill()
    up.start()
    down.start()
    await absent.send(pair.room_id, "I am back")

    await listener.until(lambda heard: [each["content"]["ciphertext"] for each in heard.to_device] == ["missed"])

    async def history() -> bool:
        page = await absent.messages(pair.room_id, limit=200)
        found = [event["content"]["body"] for event in page["chunk"] if event["type"] == "m.room.message"]
        return [body for body in reversed(found) if body.startswith("missed")] == wanted

    await eventually(history, seconds=90)
    await until_known(absent, present.user_id, {present.device_id})
    hearing = Listener(present)
    await hearing.until_said("I am back")
