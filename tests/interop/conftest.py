"""Servers that federate with each other, started once per file."""

from collections.abc import Iterator

import pytest

from helpers.federated_servers import FederatedServer, FederatedServers


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FederatedServers]:
    servers = FederatedServers(tmp_path_factory.mktemp("federation"))
    yield servers
    servers.stop()


@pytest.fixture(scope="module")
def tabstead(servers: FederatedServers) -> FederatedServer:
    return servers.start_tabstead()


@pytest.fixture(scope="module")
def other_tabstead(servers: FederatedServers) -> FederatedServer:
    return servers.start_tabstead()


@pytest.fixture(scope="module")
def synapse(servers: FederatedServers) -> FederatedServer:
    return servers.start_synapse()
