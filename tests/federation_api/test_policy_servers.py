"""Policy servers: no event comes into their rooms that they did not sign."""

from pathlib import Path
from typing import Any, cast

import pytest

from helpers.carried_rooms import join_by_hand
from helpers.federation import Network
from helpers.homeserver import Client, Json, TestServer, bodies
from helpers.shared_rooms import SharedRoom
from tabstead.http import Request, Response, json_response
from tabstead.protocol.policy_servers import KEY_ID
from tabstead.protocol.room_versions import get_room_version
from tabstead.protocol.signatures import SigningKey, sign_event
from tabstead.rooms.draft import Draft
from tabstead.rooms.receive import receive_pdu
from tabstead.rooms.send import build_next_event
from tabstead.rooms.verdicts import Accepted, SoftFailed, Verdict
from tabstead.storage.database import Db
from tabstead.storage.events import find_event
from tabstead.storage.rooms import Room, find_room

KEY = SigningKey(key_id=KEY_ID, seed=b"\7" * 32)


class PolicyServer:
    """Stands before a server and signs what has no spam in it."""

    def __init__(self, server: TestServer) -> None:
        self.server = server
        self.asked: list[Json] = []
        self.key = KEY

    @property
    def homeserver(self) -> "PolicyServer":
        return self

    @property
    def name(self) -> str:
        return self.server.name

    @property
    def context(self) -> Any:
        return self.server.homeserver.context

    async def close(self) -> None:
        await self.server.close()

    async def handle(self, request: Request) -> Response:
        if request.path != "/_matrix/policy/v1/sign":
            return await self.server.homeserver.handle(request)
        pdu = request.json_object().values_dict
        self.asked.append(pdu)
        if "spam" in str(pdu["content"]):
            answer = json_response({"errcode": "M_FORBIDDEN", "error": "No spam."}, 400)
        else:
            signed = sign_event(pdu, get_room_version("12"), "policy.test", self.key)
            answer = json_response({"policy.test": {KEY_ID: signed["signatures"]["policy.test"][KEY_ID]}})
        return Response(
            status=answer.status, headers={**answer.headers, "access-control-allow-origin": "*"}, body=answer.body
        )


@pytest.fixture
async def policy(network: Network, tmp_path: Path) -> PolicyServer:
    policy = PolicyServer(await network.open(tmp_path, "policy.test"))
    network.servers["policy.test"] = cast("TestServer", policy)
    return policy


@pytest.fixture
async def bob(left: TestServer) -> Client:
    return await left.register("bob")


@pytest.fixture
async def room_id(left: TestServer, policy: PolicyServer, bob: Client) -> str:
    """A room of bob's with the policy server."""
    room_id = await bob.create_room(preset="public_chat")
    await join_by_hand(await policy.server.register("guard"), room_id, left)
    await name_policy_server(bob, room_id)
    return room_id


async def name_policy_server(client: Client, room_id: str, via: str = "policy.test") -> None:
    key = KEY.verify_key.encode()
    await client.send_state(room_id, "m.room.policy", {"via": via, "public_keys": {"ed25519": key}})


async def signers(server: TestServer, event_id: str) -> set[str]:
    def find(db: Db) -> Json:
        event = find_event(db, event_id)
        assert event is not None
        return dict(event.event.pdu["signatures"])

    return set(await server.read(find))


async def texts(client: Client, room_id: str) -> list[str]:
    return bodies((await client.messages(room_id, "f"))["chunk"])


class TestSending:
    async def test_an_event_is_sent_with_the_policy_servers_signature(
        self, left: TestServer, policy: PolicyServer, bob: Client, room_id: str
    ) -> None:
        event_id = await bob.send(room_id, "hello")
        assert await signers(left, event_id) == {"left.test", "policy.test"}
        assert [pdu["content"]["body"] for pdu in policy.asked] == ["hello"]
        assert await texts(bob, room_id) == ["hello"]
        # What says the same is another event.
        again = await bob.send(room_id, "hello")
        assert again != event_id
        assert await texts(bob, room_id) == ["hello", "hello"]

    async def test_what_it_refuses_is_not_sent_and_its_words_are_passed_on(self, bob: Client, room_id: str) -> None:
        answer = await bob.answer("PUT", f"/v3/rooms/{room_id}/send/m.room.message/1", {"body": "spam"})
        assert (answer.status, answer.json) == (400, {"errcode": "M_FORBIDDEN", "error": "No spam."})
        assert await texts(bob, room_id) == []

    async def test_a_change_of_ones_name_comes_into_the_rooms_that_take_it(
        self, left: TestServer, bob: Client, room_id: str
    ) -> None:
        free = await bob.create_room()
        await bob.put(f"/v3/profile/{bob.user_id}/displayname", {"displayname": "spam"})
        for room, name in ((free, "spam"), (room_id, None)):
            assert (await bob.state(room, "m.room.member", bob.user_id)).get("displayname") == name

    @pytest.mark.parametrize("break_it", ["cut", "wrong key"])
    async def test_nothing_is_sent_without_a_signature_that_holds(
        self, network: Network, policy: PolicyServer, bob: Client, room_id: str, break_it: str
    ) -> None:
        if break_it == "cut":
            network.cut("left.test", "policy.test")
        else:
            policy.key = SigningKey(key_id=KEY_ID, seed=b"\1" * 32)
        path = f"/v3/rooms/{room_id}/send/m.room.message/1"
        status, errcode = await bob.refused("PUT", path, {"body": "hello"})
        assert (status in {502, 504}, errcode) == (True, "M_UNKNOWN")
        # The way out is not guarded.
        await bob.send_state(room_id, "m.room.policy", {})
        await bob.send(room_id, "free")
        assert await texts(bob, room_id) == ["free"]

    async def test_what_is_another_event_each_time_is_not_asked_for_without_end(
        self, policy: PolicyServer, bob: Client, room_id: str
    ) -> None:
        path = f"/v3/rooms/{room_id}/upgrade"
        assert await bob.refused("POST", path, {"new_version": "12"}) == (403, "M_FORBIDDEN")
        assert [pdu["type"] for pdu in policy.asked] == ["m.room.tombstone"] * 3

    async def test_a_server_that_is_not_in_the_room_guards_nothing(self, policy: PolicyServer, bob: Client) -> None:
        room_id = await bob.create_room()
        await name_policy_server(bob, room_id)
        await bob.send(room_id, "spam")
        assert policy.asked == []

    async def test_this_server_is_no_policy_server(self, left: TestServer, right: TestServer, bob: Client) -> None:
        room_id = await bob.create_room()
        await name_policy_server(bob, room_id, via="left.test")
        path = f"/v3/rooms/{room_id}/send/m.room.message/1"
        assert await bob.refused("PUT", path, {"body": "hello"}) == (403, "M_FORBIDDEN")
        answer = await left.homeserver.handle(Request(method="POST", path="/_matrix/policy/v1/sign", body=b"{}"))
        assert answer.status == 404
        assert b"M_UNRECOGNIZED" in answer.body


class TestReceiving:
    async def receive(self, left: TestServer, right: TestServer, room_id: str, text: str) -> Verdict:
        """What becomes here of alice's message, which her server alone has signed."""
        ours, theirs = (side.homeserver.context.local_server for side in (left, right))
        draft = Draft(type="m.room.message", content={"body": text})

        def build(db: Db) -> Json:
            return build_next_event(db, theirs, known_room(db, room_id), "@alice:right.test", draft)[0].pdu

        pdu = await left.read(build)
        keys = {theirs.signing_key.key_id: theirs.signing_key.verify_key}
        return await left.write(lambda db: receive_pdu(db, ours, known_room(db, room_id), pdu, lambda *_: keys))

    async def test_what_came_unsigned_is_signed_or_soft_failed(
        self, network: Network, left: TestServer, right: TestServer, policy: PolicyServer, bob: Client
    ) -> None:
        room_id = await bob.create_room(preset="public_chat")
        await join_by_hand(await right.register("alice"), room_id, left)
        await join_by_hand(await policy.server.register("guard"), room_id, left)
        await name_policy_server(bob, room_id)

        verdict = await self.receive(left, right, room_id, "hello")
        assert isinstance(verdict, Accepted)
        assert await signers(left, verdict.event.event_id) == {"right.test", "policy.test"}
        verdict = await self.receive(left, right, room_id, "spam")
        assert isinstance(verdict, SoftFailed)
        assert verdict.reason == "the room's policy server did not sign it: No spam."
        network.cut("left.test", "policy.test")
        assert isinstance(await self.receive(left, right, room_id, "late"), SoftFailed)
        asked = len(network.requests)
        assert isinstance(await self.receive(left, right, room_id, "later"), SoftFailed)
        assert len(network.requests) == asked, "who can't be reached is left alone for a while"
        assert await texts(bob, room_id) == ["hello"]

    async def test_an_event_of_a_transaction_waits_for_the_signature(
        self, network: Network, left: TestServer, right: TestServer, policy: PolicyServer
    ) -> None:
        room = await SharedRoom.open(network, left, right)
        guard = await policy.server.register("guard")
        await guard.post(f"/v3/join/{room.room_id}", {}, server_name="left.test")
        await name_policy_server(room.alice, room.room_id)
        newest, join, *_ = [event["event_id"] for event in (await room.alice.messages(room.room_id))["chunk"]]
        await room.deliver(join, newest)
        for text in ("hello", "spam"):
            pdu = await room.craft(content={"msgtype": "m.text", "body": text}, after=[newest])
            results = await room.deliver(pdu)
            assert list(results.values()) == [{}], "it is acknowledged at once"
        assert [pdu["content"]["body"] for pdu in policy.asked if "body" in pdu["content"]] == ["hello", "spam"]
        assert await texts(room.bob, room.room_id) == ["hello"]

    async def test_what_has_the_signature_is_not_asked_for_again(
        self, left: TestServer, right: TestServer, policy: PolicyServer, bob: Client
    ) -> None:
        room_id = await bob.create_room(preset="public_chat")
        alice = await right.register("alice")
        await join_by_hand(alice, room_id, left)
        await join_by_hand(await policy.server.register("guard"), room_id, left)
        await name_policy_server(bob, room_id)
        await bob.send(room_id, "hello")
        asked = len(policy.asked)
        await join_by_hand(alice, room_id, left)
        assert len(policy.asked) == asked
        assert await texts(alice, room_id) == ["hello"]


def known_room(db: Db, room_id: str) -> Room:
    room = find_room(db, room_id)
    assert room is not None
    return room
