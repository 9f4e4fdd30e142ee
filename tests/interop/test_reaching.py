"""Tabsteads and Synapse find each other, believe each other's keys, and ask each other small things."""

from collections.abc import AsyncIterator

import pytest

from helpers.federated_servers import FederatedServer, FederatedServers
from helpers.homeserver import quoted
from helpers.signing_peer import SigningPeer
from tabstead.http import Request
from tabstead.protocol.signatures import SigningKey


@pytest.fixture
async def peer(servers: FederatedServers) -> AsyncIterator[SigningPeer]:
    peer = SigningPeer(servers.authority)
    await peer.start()
    yield peer
    await peer.stop()


async def test_each_says_what_it_is(tabstead: FederatedServer, synapse: FederatedServer) -> None:
    for server, software in ((tabstead, "Tabstead"), (synapse, "Synapse")):
        answer = await server.handle(Request(method="GET", path="/_matrix/federation/v1/version"))
        assert answer.json["server"]["name"] == software


async def test_synapse_asks_for_a_profile(tabstead: FederatedServer, synapse: FederatedServer) -> None:
    alice, bob = await tabstead.register("alice"), await synapse.register("bob")
    await alice.put(f"/v3/profile/{quoted(alice.user_id)}/displayname", {"displayname": "Alice"})
    assert await bob.get(f"/v3/profile/{quoted(alice.user_id)}/displayname") == {"displayname": "Alice"}


async def test_both_believe_a_server_whose_key_they_fetch_and_nobody_elses(
    tabstead: FederatedServer, synapse: FederatedServer, peer: SigningPeer
) -> None:
    for server in (tabstead, synapse):
        user = await server.register("carol")
        await user.put(f"/v3/profile/{quoted(user.user_id)}/displayname", {"displayname": "Carol"})
        target = f"/_matrix/federation/v1/query/profile?user_id={quoted(user.user_id)}&field=displayname"
        assert (await peer.ask(server, "GET", target)).json == {"displayname": "Carol"}
        forged = SigningKey(key_id=peer.key.key_id, seed=bytes(32))
        assert (await peer.ask(server, "GET", target, key=forged)).status == 401
        unknown = SigningKey(key_id="ed25519:other", seed=bytes(32))
        assert (await peer.ask(server, "GET", target, key=unknown)).status == 401
        assert (await peer.ask(server, "GET", target, is_signed=False)).status == 401
    assert [heard.target for heard in peer.heard].count("/_matrix/key/v2/server") <= 4


async def test_each_tells_of_the_others_keys_as_a_notary(tabstead: FederatedServer, synapse: FederatedServer) -> None:
    for asked, other in ((tabstead, synapse), (synapse, tabstead)):
        published = (await other.handle(Request(method="GET", path="/_matrix/key/v2/server"))).json
        query = {
            "server_keys": {other.name: {key_id: {"minimum_valid_until_ts": 0} for key_id in published["verify_keys"]}}
        }
        (response,) = (await asked.anonymous().post("/_matrix/key/v2/query", query))["server_keys"]
        assert response["verify_keys"] == published["verify_keys"]
        assert response["signatures"].keys() == {asked.name, other.name}


async def test_a_notary_vouches_for_a_server_that_is_gone(
    servers: FederatedServers, synapse: FederatedServer, peer: SigningPeer
) -> None:
    trusting = servers.start_tabstead(f'key_servers = ["{synapse.name}"]')
    user = await trusting.register("dora")
    target = f"/_matrix/federation/v1/query/profile?user_id={quoted(user.user_id)}"
    query = {"server_keys": {peer.name: {peer.key.key_id: {"minimum_valid_until_ts": 0}}}}
    await synapse.anonymous().post("/_matrix/key/v2/query", query)
    peer.answer("GET", "/_matrix/key/v2/server", {"errcode": "M_UNKNOWN", "error": "I am gone."}, 503)
    assert (await peer.ask(trusting, "GET", target)).status == 200
    assert (await peer.ask(trusting, "GET", target, key=SigningKey(key_id="ed25519:x", seed=bytes(32)))).status == 401
