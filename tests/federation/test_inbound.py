"""Transactions of another server: what is taken, what is said of each event, and that it counts once."""

import pytest

from helpers.federation import Network
from helpers.homeserver import Json, TestServer
from helpers.shared_rooms import SharedRoom, federation_of
from tabstead.errors import PeerRefused
from tabstead.federation.client import Question, federation_path
from tabstead.federation.edus import EDU_HANDLERS
from tabstead.federation.federation import Federation
from tabstead.federation.inbound import MAX_EDUS, MAX_PDUS
from tabstead.federation.told_state import ToldState, persist_told_events
from tabstead.protocol.identifiers import ServerName
from tabstead.protocol.room_versions import ROOM_VERSIONS
from tabstead.storage.events import Standing
from tabstead.storage.inbound_transactions import find_transaction_answer
from tabstead.storage.rooms import Room


@pytest.mark.parametrize("version", ROOM_VERSIONS)
async def test_what_is_said_on_one_server_is_read_on_the_other(
    network: Network, tmp_path_factory: pytest.TempPathFactory, version: str
) -> None:
    folder = tmp_path_factory.mktemp("servers")
    left, right = await network.open(folder, "left.test"), await network.open(folder, "right.test")
    room = await SharedRoom.open(network, left, right, room_version=version)
    said = [await room.alice.send(room.room_id, f"{number}") for number in range(3)]
    assert await room.deliver(*reversed(said)) == {event_id: {} for event_id in said}
    assert await room.bodies() == ["m.room.member", "0", "1", "2"]
    assert await room.tips(right) == {said[-1]}


async def test_a_transaction_that_comes_again_is_answered_as_before_and_changes_nothing(shared: SharedRoom) -> None:
    first, second = [await shared.alice.send(shared.room_id, body) for body in ("first", "second")]
    answer = await shared.deliver(first, transaction_id="1")
    await shared.right.restart()
    assert await shared.deliver(second, transaction_id="1") == answer
    assert await shared.standing(second) is None
    assert await shared.deliver(second, transaction_id="2") == {second: {}}


async def test_a_transaction_has_its_limits(shared: SharedRoom) -> None:
    async def refused(content: Json, transaction_id: str = "1") -> int:
        question = Question(method="PUT", path=federation_path("v1", "send", transaction_id), content=content)
        with pytest.raises(PeerRefused) as refusal:
            await federation_of(shared.left).client.ask(ServerName("right.test"), question)
        return refusal.value.status

    edu = {"edu_type": "test.edu", "content": {}}
    assert await refused({"pdus": [{}] * (MAX_PDUS + 1)}) == 400
    assert await refused({"pdus": [], "edus": [edu] * (MAX_EDUS + 1)}) == 400
    assert await refused({"edus": []}) == 400
    assert await refused({"pdus": {}, "edus": []}) == 400
    assert await refused({"pdus": []}, "x" * 300) == 400


async def test_each_event_has_its_own_verdict(shared: SharedRoom) -> None:
    said = await shared.alice.send(shared.room_id, "hello")
    banned = await shared.craft(sender="@mallory:left.test", after=[said])
    tampered = {**await shared.craft(after=[said]), "content": {"body": "other"}}
    forged = {**await shared.craft(after=[said]), "depth": 7}
    results = await shared.deliver(said, banned, tampered, forged, {"room_id": shared.room_id, "what": 1})
    ids = {name: await shared.id_of(pdu) for name, pdu in (("b", banned), ("t", tampered), ("f", forged))}
    assert results[said] == {}
    assert "refused" in results[ids["b"]]["error"]
    assert results[ids["t"]] == {}  # its content is not what was hashed: it is taken redacted
    assert "left.test" in results[ids["f"]]["error"]
    assert await shared.standing(ids["b"]) is Standing.REJECTED
    kept = await shared.find(shared.right, ids["t"])
    assert kept is not None and kept.event.content == {}
    assert await shared.find(shared.right, ids["f"]) is None


async def test_nothing_is_taken_of_rooms_that_this_server_is_not_in(shared: SharedRoom) -> None:
    lonely = await shared.alice.create_room(room_version="12")
    event_id = await shared.alice.send(lonely, "alone")
    assert await shared.deliver(event_id) == {}  # nobody knows its room version, so it has no id
    await shared.bob.post(f"/v3/rooms/{shared.room_id}/leave", {})
    said = await shared.alice.send(shared.room_id, "gone?")
    assert "not in the room" in (await shared.deliver(said))[said]["error"]


async def test_a_room_that_keeps_a_server_out_takes_nothing_from_it(shared: SharedRoom) -> None:
    levels = await shared.alice.get(f"/v3/rooms/{shared.room_id}/state/m.room.power_levels")
    levels["users"][shared.bob.user_id] = 100
    await shared.deliver(await shared.alice.send_state(shared.room_id, "m.room.power_levels", levels))
    acl = {"allow": ["*"], "deny": ["left.test"]}
    await shared.bob.send_state(shared.room_id, "m.room.server_acl", acl)
    said = await shared.alice.send(shared.room_id, "?")
    assert "out" in (await shared.deliver(said))[said]["error"]
    assert await shared.standing(said) is None


async def test_what_comes_while_the_room_is_being_joined_waits_for_that(
    shared: SharedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared.deliver(await shared.alice.send_state(shared.room_id, "m.room.topic", {"topic": "t"}))
    await shared.bob.post(f"/v3/rooms/{shared.room_id}/leave", {})
    said: list[str] = []

    async def hear_meanwhile(federation: Federation, room: Room, told: ToldState) -> None:
        said.append(await shared.alice.send(shared.room_id, "welcome"))
        assert await shared.deliver(said[0], settles=False) == {said[0]: {}}
        await persist_told_events(federation, room, told)

    monkeypatch.setattr("tabstead.federation.joining.persist_told_events", hear_meanwhile)
    await shared.bob.post(f"/v3/join/{shared.room_id}", {}, server_name="left.test")
    await federation_of(shared.right).inbound.settled()
    assert await shared.standing(said[0]) is Standing.ACCEPTED


async def test_edus_count_once(shared: SharedRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Json] = []

    def handle(db: object, context: object, origin: str, content: Json) -> None:
        heard.append({"origin": origin, **content})

    monkeypatch.setitem(EDU_HANDLERS, "test.edu", handle)
    edus: list[Json] = [{"edu_type": "test.edu", "content": {"n": 1}}, {"edu_type": 7}, {"edu_type": "unknown"}]
    await shared.deliver(edus=edus, transaction_id="1")
    await shared.deliver(edus=edus, transaction_id="1")
    assert heard == [{"origin": "left.test", "n": 1}]


async def test_answers_are_forgotten_after_a_day(shared: SharedRoom) -> None:
    async def is_known(server: TestServer) -> bool:
        return await server.read(lambda db: find_transaction_answer(db, "left.test", "1")) is not None

    await shared.deliver(transaction_id="1")
    await compact(shared.right)
    assert await is_known(shared.right)
    shared.right.clock.now += 2 * 24 * 60 * 60 * 1000
    await compact(shared.right)
    assert not await is_known(shared.right)


async def compact(server: TestServer) -> None:
    while await server.homeserver.compactor.run(seconds=10):
        pass
