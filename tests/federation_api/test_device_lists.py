"""Devices, their keys and what they are sent, between two servers: as end-to-end encryption needs it."""

from typing import Any

import pytest

from federation_api.sharing import news_of, share_room
from federation_api.test_edus import send_edus
from helpers.federation import Network
from helpers.homeserver import Client, TestServer, quoted
from helpers.key_owner import CrossSigning, DeviceKeys
from tabstead.storage.database import Db
from tabstead.storage.remote_devices import find_remote_list

Json = dict[str, Any]


@pytest.fixture
async def alice(left: TestServer) -> Client:
    return await left.register("alice")


@pytest.fixture
async def bob(right: TestServer) -> Client:
    return await right.register("bob", "password of bob")


async def upload_keys(client: Client, *one_time_keys: str) -> DeviceKeys:
    keys = DeviceKeys.of(client)
    await client.post(
        "/v3/keys/upload", {"device_keys": keys.signed, "one_time_keys": keys.one_time_keys(*one_time_keys)}
    )
    return keys


async def query(client: Client, *others: Client) -> Json:
    answer: Json = await client.post("/v3/keys/query", {"device_keys": {other.user_id: [] for other in others}})
    return answer


async def changed(news: Any) -> list[str]:
    found: list[str] = (await news.next()).get("device_lists", {}).get("changed", [])
    return found


def count_requests(network: Network, fragment: str) -> int:
    return sum(fragment in request.target for _, request in network.requests)


async def test_an_encrypted_conversation_both_ways(network: Network, alice: Client, bob: Client) -> None:
    room_id = await share_room(network, alice, bob)
    for sender, receiver in ((alice, bob), (bob, alice)):
        theirs = await upload_keys(receiver, "one", "two")
        await network.settle()
        found = await query(sender, receiver)
        assert found["failures"] == {}
        shown = found["device_keys"][receiver.user_id][receiver.device_id]
        assert shown["keys"] == theirs.signed["keys"]
        assert shown["signatures"] == theirs.signed["signatures"]
        claims = {receiver.user_id: {receiver.device_id: "signed_curve25519"}}
        claimed = await sender.post("/v3/keys/claim", {"one_time_keys": claims})
        assert claimed["failures"] == {}
        assert claimed["one_time_keys"][receiver.user_id][receiver.device_id] == theirs.one_time_keys("one")
        again = await sender.post("/v3/keys/claim", {"one_time_keys": claims})
        assert again["one_time_keys"][receiver.user_id][receiver.device_id] == theirs.one_time_keys("two")
        news = await news_of(receiver)
        await sender.put(
            f"/v3/sendToDevice/m.room.encrypted/from-{sender.device_id}",
            {"messages": {receiver.user_id: {receiver.device_id: {"ciphertext": "secret"}}}},
        )
        await sender.send(room_id, {"ciphertext": "hidden"}, "m.room.encrypted")
        await network.settle()
        synced = await news.next()
        (message,) = synced["to_device"]["events"]
        assert message == {
            "type": "m.room.encrypted",
            "sender": sender.user_id,
            "content": {"ciphertext": "secret"},
        }
        timeline = synced["rooms"]["join"][room_id]["timeline"]["events"]
        assert [event["content"] for event in timeline] == [{"ciphertext": "hidden"}]


async def test_a_list_that_is_kept_is_not_asked_for_again(network: Network, alice: Client, bob: Client) -> None:
    await share_room(network, alice, bob)
    await upload_keys(bob)
    await network.settle()
    first = await query(alice, bob)
    asked = count_requests(network, "/user/")
    assert await query(alice, bob) == first
    assert count_requests(network, "/user/") == asked


async def test_changes_reach_those_who_share_a_room(
    network: Network, right: TestServer, alice: Client, bob: Client
) -> None:
    await share_room(network, alice, bob)
    await query(alice, bob)
    news = await news_of(alice)
    asked = count_requests(network, "/user/")

    await upload_keys(bob)
    phone = await right.log_in("bob", "password of bob")
    await upload_keys(phone)
    await phone.put(f"/v3/devices/{phone.device_id}", {"display_name": "Phone"})
    await network.settle()
    assert await changed(news) == [bob.user_id]
    devices = (await query(alice, bob))["device_keys"][bob.user_id]
    assert devices.keys() == {bob.device_id, phone.device_id}
    assert devices[phone.device_id]["unsigned"] == {"device_display_name": "Phone"}

    await phone.post("/v3/logout")
    await network.settle()
    assert await changed(news) == [bob.user_id]
    assert (await query(alice, bob))["device_keys"][bob.user_id].keys() == {bob.device_id}
    assert count_requests(network, "/user/devices") == asked + 1, (
        "asked for once, since the first change had none before"
    )


async def test_cross_signing_keys_and_signatures_arrive(network: Network, alice: Client, bob: Client) -> None:
    await share_room(network, alice, bob)
    device = await upload_keys(bob)
    await query(alice, bob)
    news = await news_of(alice)
    keys = CrossSigning.of(bob.user_id)
    await bob.post("/v3/keys/device_signing/upload", keys.upload)
    signed = keys.sign(device.signed, "self_signing")
    await bob.post("/v3/keys/signatures/upload", {bob.user_id: {bob.device_id: signed}})
    await network.settle()
    assert await changed(news) == [bob.user_id]
    found = await query(alice, bob)
    assert found["master_keys"][bob.user_id]["keys"] == keys.key_object("master")["keys"]
    assert found["self_signing_keys"][bob.user_id]["keys"] == keys.key_object("self_signing")["keys"]
    assert found["user_signing_keys"] == {}
    made = found["device_keys"][bob.user_id][bob.device_id]["signatures"][bob.user_id]
    assert f"ed25519:{keys.public('self_signing')}" in made

    hers = CrossSigning.of(alice.user_id)
    await alice.post("/v3/keys/device_signing/upload", hers.upload)
    verified = hers.sign(keys.key_object("master"), "user_signing")
    failures = await alice.post("/v3/keys/signatures/upload", {bob.user_id: {keys.public("master"): verified}})
    assert failures == {"failures": {}}
    made = (await query(alice, bob))["master_keys"][bob.user_id]["signatures"]
    assert alice.user_id in made, "her own signature on another server's key"


async def test_a_change_that_was_missed_is_made_up_for(
    network: Network, left: TestServer, right: TestServer, alice: Client, bob: Client
) -> None:
    await share_room(network, alice, bob)
    await upload_keys(bob)
    await network.settle()
    await query(alice, bob)
    news = await news_of(alice)
    update = {"user_id": bob.user_id, "device_id": "GHOST", "stream_id": 10**6, "prev_id": [10**6 - 1]}
    phone = await right.log_in("bob", "password of bob")
    network.cut("left.test", "right.test")
    await upload_keys(phone)
    await network.settle()
    network.mend("left.test", "right.test")
    await send_edus(right, left, {"edu_type": "m.device_list_update", "content": update})
    known = await left.read(lambda db: find_remote_list(db, bob.user_id))
    assert known is not None and known.is_stale
    await network.settle()
    assert await changed(news) == [bob.user_id]
    assert (await query(alice, bob))["device_keys"][bob.user_id].keys() == {bob.device_id, phone.device_id}


async def test_a_server_that_is_down_is_a_failure_and_what_is_known_is_told(
    network: Network, left: TestServer, alice: Client, bob: Client
) -> None:
    await share_room(network, alice, bob)
    await upload_keys(bob)
    await network.settle()
    await query(alice, bob)
    network.cut("left.test", "right.test")
    assert (await query(alice, bob))["failures"] == {}
    assert (await query(alice, bob))["device_keys"][bob.user_id].keys() == {bob.device_id}
    unknown = await alice.post("/v3/keys/query", {"device_keys": {"@other:right.test": [], alice.user_id: []}})
    assert unknown["failures"] == {"right.test": {}}
    assert alice.user_id in unknown["device_keys"]
    claims = {bob.user_id: {bob.device_id: "signed_curve25519"}}
    claimed = await alice.post("/v3/keys/claim", {"one_time_keys": claims})
    assert claimed == {"one_time_keys": {}, "failures": {"right.test": {}}}


async def test_users_who_share_no_room_are_asked_for_and_not_kept(
    network: Network, left: TestServer, alice: Client, bob: Client
) -> None:
    await upload_keys(bob)
    assert (await query(alice, bob))["device_keys"][bob.user_id].keys() == {bob.device_id}
    assert await left.read(lambda db: find_remote_list(db, bob.user_id)) is None


async def test_a_list_is_forgotten_when_the_last_shared_room_is_left(
    network: Network, left: TestServer, alice: Client, bob: Client
) -> None:
    room_id = await share_room(network, alice, bob)
    await upload_keys(bob)
    await network.settle()
    await query(alice, bob)
    news = await news_of(alice)
    await bob.leave(room_id)
    await network.settle()
    assert (await news.next())["device_lists"]["left"] == [bob.user_id]
    assert await left.read(lambda db: find_remote_list(db, bob.user_id)) is None
    await upload_keys(await bob.server.log_in("bob", "password of bob"))
    await bob.post(f"/v3/join/{quoted(room_id)}", via=["left.test"])
    await network.settle()
    assert await changed(news) == [bob.user_id]
    assert len((await query(alice, bob))["device_keys"][bob.user_id]) == 2


async def test_messages_to_devices_wait_for_a_server_that_is_down_and_arrive_once(
    network: Network, left: TestServer, right: TestServer, alice: Client, bob: Client
) -> None:
    await upload_keys(bob)
    news = await news_of(bob)
    network.cut("left.test", "right.test")
    for number in range(3):
        await alice.put(
            f"/v3/sendToDevice/org.example/{number}",
            {"messages": {bob.user_id: {"*": {"number": number}}, "@nobody:right.test": {"*": {}}}},
        )
    await network.settle()
    await left.restart()
    network.mend("left.test", "right.test")
    left.clock.now += 60_000
    await network.settle()
    events = (await news.next())["to_device"]["events"]
    assert [event["content"]["number"] for event in events] == [0, 1, 2]
    message = {
        "sender": alice.user_id,
        "type": "org.example",
        "message_id": "m1",
        "messages": {bob.user_id: {bob.device_id: {"number": 4}}},
    }
    for transaction_id in "ab":
        await send_edus(
            left, right, {"edu_type": "m.direct_to_device", "content": message}, transaction_id=transaction_id
        )
    events = (await news.next())["to_device"]["events"]
    assert [event["content"]["number"] for event in events] == [4]


async def test_a_server_tells_of_its_own_users_devices_alone(
    network: Network, left: TestServer, right: TestServer, alice: Client, bob: Client
) -> None:
    other = await right.register("other")
    await share_room(network, bob, alice, other)
    await query(other, bob)
    news = await news_of(other)
    await send_edus(
        left,
        right,
        {"edu_type": "m.device_list_update", "content": {"user_id": bob.user_id, "device_id": "X", "stream_id": 1}},
        {"edu_type": "m.device_list_update", "content": {"user_id": alice.user_id, "device_id": "X", "stream_id": -1}},
        {"edu_type": "m.device_list_update", "content": {"user_id": alice.user_id, "device_id": 7, "stream_id": 2**70}},
        {"edu_type": "m.signing_key_update", "content": {"user_id": bob.user_id}},
        {
            "edu_type": "m.direct_to_device",
            "content": {
                "sender": bob.user_id,
                "type": "t",
                "message_id": "m",
                "messages": {other.user_id: {"*": {}}},
            },
        },
    )
    synced = await news.next()
    assert "to_device" not in synced
    assert synced.get("device_lists", {}).get("changed", []) == []


async def test_keys_of_another_user_in_a_users_list_are_left_out(
    network: Network, right: TestServer, alice: Client, bob: Client
) -> None:
    await share_room(network, alice, bob)
    await upload_keys(bob)

    def corrupt(db: Db) -> None:
        db.execute("UPDATE device_keys SET keys = json_set(keys, '$.user_id', ?)", (alice.user_id,))

    await right.write(corrupt)
    found = await query(alice, bob)
    assert found["device_keys"][bob.user_id] == {}


async def test_many_users_of_a_server_are_asked_for_at_once_and_kept_by_and_by(
    network: Network, left: TestServer, right: TestServer, alice: Client
) -> None:
    others = [await right.register(f"user{number}") for number in range(12)]
    for other in others:
        await upload_keys(other)
    await share_room(network, alice, *others)
    asked = count_requests(network, "/user/")
    found = await query(alice, *others)
    assert all(found["device_keys"][other.user_id].keys() == {other.device_id} for other in others)
    assert count_requests(network, "/user/") == asked + 1
    await network.settle()
    asked = count_requests(network, "/user/")
    assert (await query(alice, *others))["device_keys"] == found["device_keys"]
    assert count_requests(network, "/user/") == asked
