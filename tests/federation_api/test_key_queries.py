"""A server as a notary: it tells what it knows of others' keys, or can find out."""

from dataclasses import replace
from typing import Any
from unittest.mock import ANY

from helpers.federation import Network
from helpers.homeserver import Json, TestServer
from tabstead.homeserver import rotate_signing_key
from tabstead.protocol.identifiers import ServerName
from tabstead.protocol.signatures import VerifyKey, decode_verify_key, verify_signed_json
from tabstead.storage.retired_signing_keys import insert_retired_key

DAY = 24 * 60 * 60 * 1000


def key_of(server: TestServer) -> VerifyKey:
    return server.homeserver.context.local_server.signing_key.verify_key


async def query(server: TestServer, wanted: Json) -> list[Json]:
    found = await server.anonymous().post("/_matrix/key/v2/query", {"server_keys": wanted})
    responses: list[Json] = found["server_keys"]
    return responses


def asked(network: Network) -> list[tuple[str, str]]:
    return [(origin, request.destination) for origin, request in network.requests]


async def test_it_tells_what_a_server_says_with_both_signatures(left: TestServer, right: TestServer) -> None:
    (response,) = await query(left, {"right.test": {}})
    assert response["verify_keys"] == {key_of(right).key_id: {"key": key_of(right).encode()}}
    assert response["signatures"].keys() == {"left.test", "right.test"}
    for server in (left, right):
        assert verify_signed_json(response, server.name, key_of(server))
    assert (await left.anonymous().get("/_matrix/key/v2/query/right.test"))["server_keys"] == [response]


async def test_it_fetches_once_in_half_a_validity(network: Network, left: TestServer) -> None:
    for _ in range(3):
        await query(left, {"right.test": {}})
    assert asked(network) == [("left.test", "right.test")]
    left.clock.now += DAY // 2 + 1000
    await query(left, {"right.test": {}})
    assert asked(network) == [("left.test", "right.test")] * 2


async def test_it_fetches_for_who_wants_a_longer_validity(
    network: Network, left: TestServer, right: TestServer
) -> None:
    (response,) = await query(left, {"right.test": {}})
    left.clock.now += DAY // 4
    right.clock.now += DAY // 4
    wanted = {key_of(right).key_id: {"minimum_valid_until_ts": response["valid_until_ts"] + 1}}
    (longer,) = await query(left, {"right.test": wanted})
    assert longer["valid_until_ts"] > response["valid_until_ts"]
    assert len(asked(network)) == 2


async def test_what_cannot_be_fetched_is_told_as_it_is_known(network: Network, left: TestServer) -> None:
    told = await query(left, {"right.test": {}})
    network.cut("left.test", "right.test")
    left.clock.now += 30 * DAY
    assert await query(left, {"right.test": {}}) == told
    assert await query(left, {"right.test": {"ed25519:none": {}}, "nowhere.test": {}, "no name": {}}) == []


async def test_a_key_that_its_server_has_forgotten_is_told_by_what_told_it(left: TestServer, right: TestServer) -> None:
    old = key_of(right).key_id
    (told,) = await query(left, {"right.test": {}})
    await right.write(lambda db: rotate_signing_key(db, right.name, right.clock()))
    await right.write(lambda db: db.execute("DELETE FROM retired_signing_keys"))
    await right.restart()
    new = key_of(right).key_id
    (newer, older) = await query(left, {"right.test": {old: {}, new: {}}})
    assert (list(newer["verify_keys"]), older) == ([new], told)


async def test_after_a_rotation_a_server_is_believed_by_its_new_key(
    network: Network, left: TestServer, right: TestServer
) -> None:
    federation = left.homeserver.context.federation
    assert federation is not None
    old, name = key_of(right), ServerName(right.name)
    assert await federation.key_ring.find_request_key(name, old.key_id) == replace(old, valid_until_ts=ANY)
    await right.write(lambda db: rotate_signing_key(db, right.name, right.clock()))
    await right.restart()
    new = key_of(right)
    assert await federation.key_ring.find_request_key(name, new.key_id) == replace(new, valid_until_ts=ANY)
    assert await federation.key_ring.find_request_key(name, old.key_id) is None


async def test_it_tells_its_own_keys_too_the_retired_ones_included(left: TestServer) -> None:
    retired = decode_verify_key("ed25519:old", "A" * 43)
    await left.write(lambda db: insert_retired_key(db, retired, 1234))
    (response,) = await query(left, {"left.test": {}})
    assert response["old_verify_keys"] == {"ed25519:old": {"key": "A" * 43, "expired_ts": 1234}}
    published = await left.anonymous().get("/_matrix/key/v2/server")
    assert published["old_verify_keys"] == response["old_verify_keys"]


async def test_a_query_has_an_end_and_a_form(left: TestServer) -> None:
    anybody = left.anonymous()
    bad: list[Any] = [
        {},
        {"server_keys": []},
        {"server_keys": {"right.test": 3}},
        {"server_keys": {"right.test": {"ed25519:1": []}}},
        {"server_keys": {"right.test": {"ed25519:1": {"minimum_valid_until_ts": "now"}}}},
        {"server_keys": {f"{number}.test": {} for number in range(101)}},
        {"server_keys": {"right.test": {f"ed25519:{number}": {} for number in range(65)}}},
    ]
    for body in bad:
        status, _ = await anybody.refused("POST", "/_matrix/key/v2/query", body)
        assert status == 400
    assert await anybody.refused("GET", "/_matrix/key/v2/query/no%20name") == (400, "M_INVALID_PARAM")
