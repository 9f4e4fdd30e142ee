"""A server that lies, floods and stalls changes nothing that it should not, and other rooms go on meanwhile."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from helpers.federation import Network
from helpers.homeserver import Json, TestServer
from helpers.shared_rooms import SharedRoom, federation_of
from tabstead.federation.transport import FederationRequest, FederationResponse
from tabstead.protocol.signatures import SigningKey
from tabstead.storage.events import Standing, count_events
from tabstead.storage.staged_pdus import measure_staged_pdus

FORGED = SigningKey(key_id="ed25519:1", seed=b"\1" * 32)

Lie = Callable[[FederationRequest], Awaitable[Any]]
"""Gives the JSON to answer with, or bytes; None for the truth."""


def lie(network: Network, **lies: Lie) -> None:
    """Have the left server answer such requests so, by the name of the endpoint."""

    async def answer(origin: str, request: FederationRequest) -> FederationResponse | None:
        for name, tell in lies.items():
            if request.destination == "left.test" and f"/v1/{name}/" in request.target:
                told = await tell(request)
                if told is not None:
                    return FederationResponse(
                        status=200, body=told if isinstance(told, bytes) else json.dumps(told).encode()
                    )
        return None

    network.interceptors.append(answer)


def always(value: Any) -> Lie:
    async def tell(request: FederationRequest) -> Any:
        return value

    return tell


async def staged(shared: SharedRoom) -> int:
    room_nid = (await shared.room(shared.right)).room_nid
    return (await shared.right.read(lambda db: measure_staged_pdus(db, room_nid)))[0]


async def stored(server: TestServer) -> int:
    return await server.read(count_events)


async def goes_on(shared: SharedRoom) -> None:
    """The servers still talk: in the room, and in another one."""
    shared.network.interceptors.clear()
    shared.right.clock.now += 60_000
    said = await shared.alice.send(shared.room_id, "still here")
    assert await shared.deliver(said) == {said: {}}
    assert await shared.standing(said) is Standing.ACCEPTED


class TestLies:
    async def test_nobody_speaks_for_a_user_of_another_server(self, shared: SharedRoom) -> None:
        tip = next(iter(await shared.tips(shared.left)))
        for sender in (shared.bob.user_id, "@carol:other.test"):
            pdu = await shared.craft(sender=sender, after=[tip])
            before = await stored(shared.right)
            results = await shared.deliver(pdu)
            assert set(results) == {await shared.id_of(pdu)}
            assert await stored(shared.right) == before
        await goes_on(shared)

    async def test_a_signature_by_another_key_is_none(self, shared: SharedRoom) -> None:
        tip = next(iter(await shared.tips(shared.left)))
        pdu = await shared.craft(after=[tip], key=FORGED)
        assert "error" in (await shared.deliver(pdu))[await shared.id_of(pdu)]
        assert await shared.find(shared.right, await shared.id_of(pdu)) is None

    async def test_a_state_that_is_told_does_not_reset_the_rooms(self, network: Network, shared: SharedRoom) -> None:
        """The state before an event behind a gap is told as it was when who sent it still had power."""
        mallory = await shared.left.register("mallory")
        await mallory.post(f"/v3/join/{shared.room_id}", {})
        levels = await shared.alice.get(f"/v3/rooms/{shared.room_id}/state/m.room.power_levels")
        powerful = {**levels, "users": {mallory.user_id: 100}}
        await shared.alice.send_state(shared.room_id, "m.room.power_levels", powerful)
        then = await shared.state(shared.left)
        deposed = await shared.alice.send_state(shared.room_id, "m.room.power_levels", levels)
        await shared.deliver(deposed)
        state = await shared.state(shared.right)
        hidden = await mallory.send(shared.room_id, "hidden")
        named = [then["m.room.power_levels", ""], then["m.room.member", mallory.user_id]]
        crown = {**levels, "users": {mallory.user_id: 100}, "users_default": 50}
        coup = await shared.craft(
            "m.room.power_levels", crown, "", after=[hidden], auth_events=named, sender=mallory.user_id
        )
        told = {"pdu_ids": list(then.values()), "auth_chain_ids": []}
        lie(network, get_missing_events=always({"events": []}), state_ids=always(told))
        await shared.deliver(coup)
        assert await shared.standing(await shared.id_of(coup)) is Standing.SOFT_FAILED
        assert await shared.state(shared.right) == state
        await goes_on(shared)

    async def test_what_is_told_of_a_state_must_hold(self, network: Network, shared: SharedRoom) -> None:
        """Among it are an event of nobody's, one with another's signature, one of another room, and one twice."""
        state = await shared.state(shared.right)
        tip = next(iter(await shared.tips(shared.left)))
        crown = {"users_default": 100}
        forged = await shared.craft("m.room.power_levels", crown, "", after=[tip], key=FORGED)
        hidden = await shared.alice.send(shared.room_id, "hidden")
        said = await shared.alice.send(shared.room_id, "said")
        forged_id = await shared.id_of(forged)
        others = [event_id for key, event_id in state.items() if key[0] != "m.room.power_levels"]
        told = {"pdu_ids": [*others, forged_id], "auth_chain_ids": ["$nowhere"]}

        async def tell_event(request: FederationRequest) -> Any:
            return {"origin": "left.test", "origin_server_ts": 1, "pdus": [forged]}

        lie(network, get_missing_events=always({"events": []}), state_ids=always(told), event=tell_event)
        await shared.deliver(said)
        assert await shared.find(shared.right, forged_id) is None
        assert await shared.find(shared.right, hidden) is None
        assert await shared.state(shared.right) == state
        await goes_on(shared)

    async def test_a_state_with_two_events_for_one_entry_is_none(self, network: Network, shared: SharedRoom) -> None:
        before = await shared.state(shared.left)
        topics = [await shared.alice.send_state(shared.room_id, "m.room.topic", {"topic": each}) for each in "ab"]
        said = await shared.alice.send(shared.room_id, "said")
        told = {"pdu_ids": [*before.values(), *topics], "auth_chain_ids": []}
        lie(network, get_missing_events=always({"events": []}), state_ids=always(told))
        await shared.deliver(said)
        assert await shared.standing(said) is None
        assert await shared.state(shared.right) == before
        await goes_on(shared)

    @pytest.mark.parametrize(
        "nonsense",
        [
            *(b"", b"no JSON", b"[]", b"[" * 100_000, b"null", b'"\xff"'),
            *({}, {"events": 1}, {"events": [None, 1, "x", {}, {"type": 1}]}, {"events": [{}] * 1000}),
            *({"pdus": {}}, {"pdu_ids": [1], "auth_chain_ids": "x"}, {"pdu_ids": ["no id"], "auth_chain_ids": []}),
            *({"pdus": [1], "auth_chain": [None]}, {"pdu_ids": [], "auth_chain_ids": []}, {"auth_chain": 3}),
        ],
    )
    async def test_nonsense_is_no_answer(
        self, network: Network, shared: SharedRoom, caplog: pytest.LogCaptureFixture, nonsense: Any
    ) -> None:
        state = await shared.state(shared.right)
        said = [await shared.alice.send(shared.room_id, body) for body in "ab"]
        names = ("get_missing_events", "state_ids", "state", "event", "event_auth", "backfill")
        lie(network, **dict.fromkeys(names, always(nonsense)))
        await shared.deliver(said[-1])
        assert await shared.state(shared.right) == state
        token = (await shared.bob.get("/v3/sync"))["rooms"]["join"][shared.room_id]["timeline"]["prev_batch"]
        page = await shared.bob.get(f"/v3/rooms/{shared.room_id}/messages", dir="b", **{"from": token})
        assert page["chunk"] == []
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
        await goes_on(shared)


class TestFloods:
    async def test_an_event_that_is_too_large_is_refused(self, shared: SharedRoom) -> None:
        tip = next(iter(await shared.tips(shared.left)))
        pdu = await shared.craft(after=[tip], content={"body": "small"})
        large = {**pdu, "content": {"body": "x" * 70_000}}
        wide = {**pdu, "type": "x" * 300}
        deep: Any = "x"
        for _ in range(150):
            deep = [deep]
        for one in (large, wide, {**pdu, "prev_events": ["$x"] * 21}, {**pdu, "content": {"body": deep}, "depth": -1}):
            results = await shared.deliver(one)
            assert all("error" in result for result in results.values())
        assert await shared.tips(shared.right) == {tip}
        await goes_on(shared)

    async def test_only_so_many_events_wait(
        self, network: Network, shared: SharedRoom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tabstead.federation.inbound._MAX_STAGED", 60)
        for name in ("get_missing_events", "state_ids"):
            lie(network, **{name: always({})})
        hidden = await shared.alice.send(shared.room_id, "hidden")
        pdus = [await shared.craft(content={"body": f"{number}"}, after=[hidden]) for number in range(100)]
        first, second = await shared.deliver(*pdus[:50]), await shared.deliver(*pdus[50:])
        assert list(first.values()) == [{}] * 50
        assert sum("error" in result for result in second.values()) == 40
        assert await staged(shared) == 60

    async def test_missing_events_without_end_come_to_one(self, network: Network, shared: SharedRoom) -> None:
        """Whenever it is asked for what is missing, the server makes up others, which have nothing to do with it."""
        tip = next(iter(await shared.tips(shared.left)))
        numbers = iter(range(1_000_000))

        async def make() -> list[Json]:
            """A chain of events on one that nobody has."""
            chain = [await shared.craft(after=[tip], changes={"prev_events": [f"$nowhere{next(numbers)}"]})]
            for _ in range(19):
                chain.append(await shared.craft(after=[await shared.id_of(chain[-1])]))
            return chain

        async def more(request: FederationRequest) -> Any:
            return {"events": await make()}

        lie(network, get_missing_events=more, state_ids=always({}))
        before = await stored(shared.right)
        await shared.deliver((await make())[-1])
        asked = sum("get_missing_events" in request.target for _, request in network.requests)
        assert asked <= 20 * 3
        assert await stored(shared.right) == before
        assert await staged(shared) <= 1000
        await goes_on(shared)

    async def test_a_chain_that_never_ends_is_left_after_some_of_it(self, network: Network, shared: SharedRoom) -> None:
        """Every event that is fetched misses the one before it."""
        tip = next(iter(await shared.tips(shared.left)))
        length = 1300
        chain = [await shared.craft(after=[tip], changes={"prev_events": ["$nowhere"]})]
        for _ in range(length):
            chain.append(await shared.craft(after=[await shared.id_of(chain[-1])]))
        places = {await shared.id_of(pdu): place for place, pdu in enumerate(chain)}

        async def tell(request: FederationRequest) -> Any:
            latest = json.loads(request.body or b"")["latest_events"]
            place = min(places[event_id] for event_id in latest)
            return {"events": chain[max(place - 50, 0) : place]}

        lie(network, get_missing_events=tell, state_ids=always({}))
        await shared.deliver(chain[-1])
        asked = sum("get_missing_events" in request.target for _, request in network.requests)
        assert 20 <= asked <= 60
        assert await staged(shared) <= 1001
        await goes_on(shared)

    async def test_auth_events_that_go_round_come_to_an_end(
        self, network: Network, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """v1-v2: a sender may choose ids, so that events name each other."""
        folder = tmp_path_factory.mktemp("servers")
        left, right = await network.open(folder, "left.test"), await network.open(folder, "right.test")
        shared = await SharedRoom.open(network, left, right, room_version="1")
        tip = next(iter(await shared.tips(left)))
        ids = [f"$round{number}:left.test" for number in range(3)]
        made: dict[str, Json] = {}
        for number, event_id in enumerate(ids):
            named = [[ids[(number + 1) % 3], {"sha256": "x"}]]
            made[event_id] = await shared.craft(
                "m.room.topic", {"topic": "t"}, "", after=[tip], changes={"event_id": event_id, "auth_events": named}
            )

        async def tell_event(request: FederationRequest) -> Any:
            found = [pdu for event_id, pdu in made.items() if event_id[1:7] in request.target]
            return {"origin": "left.test", "origin_server_ts": 1, "pdus": found}

        lie(network, event=tell_event, event_auth=always({"auth_chain": list(made.values())}))
        before = await stored(right)
        await shared.deliver(*list(made.values())[:1])
        assert await stored(right) == before
        assert len(network.requests) < 30
        await shared.deliver(*made.values())
        assert await stored(right) == before
        await goes_on(shared)


class TestStalls:
    async def test_a_server_that_does_not_answer_holds_up_its_own_room_alone(
        self, network: Network, shared: SharedRoom
    ) -> None:
        never = asyncio.Event()

        async def stall(request: FederationRequest) -> Any:
            if shared.room_id[1:20] in request.target:
                await never.wait()

        lie(network, get_missing_events=stall)
        other = await shared.alice.create_room(preset="public_chat")
        await shared.bob.post(f"/v3/join/{other}", {}, server_name="left.test")
        slow = [await shared.alice.send(shared.room_id, body) for body in "ab"]
        await shared.deliver(slow[-1], settles=False)
        for _ in range(3):
            said = [await shared.alice.send(other, body) for body in "ab"]
            assert await shared.deliver(*said, settles=False) == {event_id: {} for event_id in said}
            assert await shared.standing(said[-1]) is Standing.ACCEPTED
        late = await shared.alice.send(shared.room_id, "late")
        assert await shared.deliver(late, settles=False) == {late: {}}
        never.set()
        await federation_of(shared.right).inbound.settled()
        assert await shared.standing(late) is Standing.ACCEPTED
