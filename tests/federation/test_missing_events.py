"""Events that wait for others: what they miss is fetched, once, from whoever has it, also after a restart."""

import asyncio
import json

from helpers.federation import Network
from helpers.homeserver import TestServer
from helpers.shared_rooms import SharedRoom, federation_of
from tabstead.federation.staged_rooms import StagedRooms
from tabstead.federation.transport import FederationRequest, FederationResponse
from tabstead.storage.events import Standing
from tabstead.storage.staged_pdus import select_staged_pdus


def asked(network: Network, what: str, *, by: str = "right.test") -> int:
    """How often a server asked for something."""
    return sum(origin == by and f"/{what}" in request.target for origin, request in network.requests)


async def work_on_what_waits(server: TestServer) -> None:
    """Let the follower do its work."""
    await StagedRooms(federation_of(server)).work()
    await federation_of(server).inbound.settled()


async def staged(room: SharedRoom) -> int:
    room_nid = (await room.room(room.right)).room_nid
    return len(await room.right.read(lambda db: select_staged_pdus(db, room_nid)))


async def say(room: SharedRoom, count: int) -> list[str]:
    return [await room.alice.send(room.room_id, f"{number}") for number in range(count)]


async def test_what_was_missed_is_fetched_and_read_in_its_order(network: Network, shared: SharedRoom) -> None:
    joined = await shared.gaps()
    said = await say(shared, 30)
    assert await shared.deliver(said[-1]) == {said[-1]: {}}
    assert await shared.bodies() == ["m.room.member", *(f"{number}" for number in range(30))]
    assert await shared.tips(shared.right) == {said[-1]}
    assert await shared.gaps() == joined  # what was before bob came
    assert await staged(shared) == 0
    assert asked(network, "state_ids") == 0


async def test_what_several_events_miss_is_fetched_once(network: Network, shared: SharedRoom) -> None:
    common = await say(shared, 5)
    forks = [await shared.craft(content={"body": f"fork {number}"}, after=[common[-1]]) for number in range(10)]
    for fork in forks:
        await shared.store(fork)
    results = await shared.deliver(*forks)
    assert list(results.values()) == [{}] * 10
    assert asked(network, "get_missing_events") == 1
    assert len(await shared.tips(shared.right)) == 10


async def test_a_state_that_was_missed_counts(shared: SharedRoom) -> None:
    await shared.alice.send_state(shared.room_id, "m.room.name", {"name": "new"})
    await shared.deliver(*await say(shared, 1))
    assert await shared.state(shared.right) == await shared.state(shared.left)


async def test_where_too_much_is_missed_there_is_a_gap_and_the_state_is_right(
    network: Network, shared: SharedRoom
) -> None:
    await refuse(network, "get_missing_events")
    await shared.alice.send_state(shared.room_id, "m.room.name", {"name": "new"})
    said = await say(shared, 3)
    assert await shared.deliver(said[-1]) == {said[-1]: {}}
    (gap,) = [gap for gap in await shared.gaps() if said[-2] in gap.missing]
    assert await shared.bodies() == ["2"]
    assert await shared.state(shared.right) == await shared.state(shared.left)
    assert await shared.standing(said[-1]) is Standing.ACCEPTED

    follower = await shared.alice.send(shared.room_id, "and on")
    assert await shared.deliver(follower) == {follower: {}}
    assert await shared.bodies() == ["2", "and on"]

    # One that was missed comes after all: it is news, and nothing is built on it.
    assert await shared.deliver(*said[:2]) == {said[0]: {}, said[1]: {}}
    network.interceptors.clear()
    assert await shared.bodies() != []
    assert follower in await shared.tips(shared.right)
    assert gap not in await shared.gaps()


async def test_who_can_be_reached_by_nobody_is_asked_again_later(network: Network, shared: SharedRoom) -> None:
    network.cut("left.test", "right.test")
    said = await say(shared, 3)
    network.mend("left.test", "right.test")
    await refuse(network, "get_missing_events", "state_ids")
    await shared.deliver(said[-1])
    assert await staged(shared) == 1
    assert await shared.standing(said[-1]) is None

    network.interceptors.clear()
    await shared.right.restart()
    await work_on_what_waits(shared.right)
    assert await shared.standing(said[-1]) is None  # not yet
    shared.right.clock.now += 60_000
    await work_on_what_waits(shared.right)
    assert await shared.bodies() == ["m.room.member", "0", "1", "2"]
    assert await staged(shared) == 0


async def test_a_server_that_was_killed_goes_on_with_what_waits(network: Network, shared: SharedRoom) -> None:
    said = await say(shared, 3)
    await refuse(network, "get_missing_events", "state_ids")
    await shared.deliver(said[-1], settles=False)
    await shared.right.restart()
    network.interceptors.clear()
    shared.right.clock.now += 60_000
    await work_on_what_waits(shared.right)
    assert await shared.bodies() == ["m.room.member", "0", "1", "2"]


async def test_an_auth_event_that_was_missed_is_fetched(network: Network, shared: SharedRoom) -> None:
    """Alice's new name comes about beside what she says, and still her saying names it."""
    tip = next(iter(await shared.tips(shared.left)))
    member = {"membership": "join", "displayname": "A"}
    renamed = await shared.alice.send_state(shared.room_id, "m.room.member", member, shared.alice.user_id)
    said = await shared.craft(after=[tip])
    await shared.deliver(said)
    assert await shared.standing(await shared.id_of(said)) in (Standing.ACCEPTED, Standing.REJECTED)
    stored = await shared.find(shared.right, renamed)
    assert stored is not None and stored.stream_position is None
    assert asked(network, "event/") == 1


async def test_rooms_do_not_wait_for_each_other(network: Network, shared: SharedRoom) -> None:
    released = asyncio.Event()

    async def delay(origin: str, request: FederationRequest) -> FederationResponse | None:
        if "get_missing_events" in request.target and shared.room_id[1:20] in request.target:
            await released.wait()
        return None

    network.interceptors.append(delay)
    other = await shared.alice.create_room(preset="public_chat")
    await shared.bob.post(f"/v3/join/{other}", {}, server_name="left.test")
    slow = await say(shared, 2)
    await shared.deliver(slow[-1], settles=False)
    quick = [await shared.alice.send(other, "quick") for _ in range(3)]
    await shared.deliver(quick[-1], settles=False)
    while await shared.standing(quick[-1]) is None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert await shared.standing(slow[-1]) is None
    released.set()
    await federation_of(shared.right).inbound.settled()
    assert await shared.standing(slow[-1]) is Standing.ACCEPTED


async def refuse(network: Network, *whats: str) -> None:
    """Have requests for these answered with an error."""

    async def answer(origin: str, request: FederationRequest) -> FederationResponse | None:
        if any(f"/{what}" in request.target for what in whats):
            return FederationResponse(status=500, body=json.dumps({"errcode": "M_UNKNOWN"}).encode())
        return None

    network.interceptors.append(answer)
