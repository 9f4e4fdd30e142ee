"""Rooms that are found on other servers: by an alias."""

from federation_api.asking import ask
from helpers.federation import Network
from helpers.homeserver import TestServer, quoted


async def test_an_alias_is_resolved_by_its_own_server(left: TestServer, right: TestServer) -> None:
    alice = await right.register("alice")
    room_id = await alice.create_room(room_alias_name="garden")
    bob = await left.register("bob")
    found = await bob.get(f"/v3/directory/room/{quoted('#garden:right.test')}")
    assert found == {"room_id": room_id, "servers": ["right.test"]}


async def test_an_alias_that_its_server_does_not_know_is_not_found(network: Network) -> None:
    bob = await network.servers["left.test"].register("bob")
    path = f"/v3/directory/room/{quoted('#garden:right.test')}"
    assert await bob.refused("GET", path) == (404, "M_NOT_FOUND")
    network.cut("left.test", "right.test")
    assert await bob.refused("GET", path) == (504, "M_UNKNOWN")


async def test_a_server_answers_for_its_own_aliases_alone(left: TestServer, right: TestServer) -> None:
    status, body = await ask(left, right, "GET", "/query/directory", room_alias="#garden:left.test")
    assert (status, body["errcode"]) == (404, "M_NOT_FOUND")
    status, body = await ask(left, right, "GET", "/query/directory", room_alias="garden")
    assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")
    status, body = await ask(left, right, "GET", "/query/directory")
    assert (status, body["errcode"]) == (400, "M_MISSING_PARAM")
