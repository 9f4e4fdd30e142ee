"""Two servers for each test that know each other."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helpers.federation import Network
from helpers.homeserver import TestServer


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    network = Network()
    await network.open(tmp_path, "left.test")
    await network.open(tmp_path, "right.test")
    yield network
    await network.close()


@pytest.fixture
def left(network: Network) -> TestServer:
    return network.servers["left.test"]


@pytest.fixture
def right(network: Network) -> TestServer:
    return network.servers["right.test"]
