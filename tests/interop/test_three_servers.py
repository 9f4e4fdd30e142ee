"""Two Tabsteads and a Synapse in one room, over TLS, whoever has made it: in the end all three hold the same."""

import pytest

from helpers.federated_servers import FederatedServer, eventually
from helpers.homeserver import Client, quoted
from tabstead.protocol.room_versions import ROOM_VERSIONS

Servers = tuple[FederatedServer, FederatedServer, FederatedServer]


@pytest.fixture(params=[0, 1, 2], ids=["one's room", "the other's room", "Synapse's room"])
def in_order(
    request: pytest.FixtureRequest,
    tabstead: FederatedServer,
    other_tabstead: FederatedServer,
    synapse: FederatedServer,
) -> Servers:
    """First whose room it is."""
    servers = (tabstead, other_tabstead, synapse)
    first = request.param
    return servers[first], servers[(first + 1) % 3], servers[(first + 2) % 3]


_numbers = iter(range(10_000))


async def state_ids(client: Client, room_id: str) -> dict[tuple[str, str], str]:
    state = await client.get(f"/v3/rooms/{quoted(room_id)}/state")
    return {(event["type"], event["state_key"]): event["event_id"] for event in state}


async def agree(room_id: str, *people: Client) -> bool:
    first, *others = [await state_ids(person, room_id) for person in people]
    return all(state == first for state in others)


async def is_read(client: Client, room_id: str, event_id: str) -> bool:
    answer = await client.answer("GET", f"/v3/rooms/{quoted(room_id)}/event/{quoted(event_id)}")
    return answer.status == 200


@pytest.mark.parametrize("version", ROOM_VERSIONS)
async def test_all_three_agree(in_order: Servers, version: str) -> None:
    number = next(_numbers)
    alice, bob, carol = [await server.register(f"person{number}") for server in in_order]
    room_id = await alice.create_room(preset="public_chat", room_version=version)
    await bob.post(f"/v3/join/{quoted(room_id)}", server_name=[in_order[0].name], via=[in_order[0].name])
    await alice.invite(room_id, carol)
    await eventually(lambda: is_invited(carol, room_id))
    await carol.post(f"/v3/join/{quoted(room_id)}")
    await eventually(lambda: agree(room_id, alice, bob, carol))

    said = [await person.send(room_id, f"{person.user_id} is here") for person in (alice, bob, carol)]
    power = await alice.state(room_id, "m.room.power_levels")
    await alice.send_state(room_id, "m.room.power_levels", {**power, "state_default": 0})
    await eventually(lambda: agree(room_id, alice, bob, carol))
    for person in (bob, carol):
        await person.send_state(room_id, "m.room.topic", {"topic": f"as {person.user_id} sees it"})
    await bob.leave(room_id)
    for person in (alice, carol):  # or the join that another server offers may not follow the leave, and lose to it
        await eventually(lambda person=person: has_left(person, room_id, bob))
    await bob.post(f"/v3/join/{quoted(room_id)}", server_name=[in_order[2].name], via=[in_order[2].name])
    await eventually(lambda: agree(room_id, alice, bob, carol))
    last = [await person.send(room_id, f"{person.user_id} has the last word") for person in (alice, bob, carol)]
    for person in (alice, bob, carol):
        for event_id in (*said, *last):
            await eventually(lambda person=person, event_id=event_id: is_read(person, room_id, event_id))
    await eventually(lambda: agree(room_id, alice, bob, carol))


async def has_left(client: Client, room_id: str, other: Client) -> bool:
    return bool((await client.state(room_id, "m.room.member", other.user_id))["membership"] == "leave")


async def is_invited(client: Client, room_id: str) -> bool:
    return room_id in (await client.sync()).get("rooms", {}).get("invite", {})
