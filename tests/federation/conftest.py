"""Servers that tests of federation work with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helpers.federation import Network
from helpers.shared_rooms import SharedRoom


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    network = Network()
    yield network
    await network.close()


@pytest.fixture
async def shared(network: Network, tmp_path: Path) -> SharedRoom:
    """A room that two servers are in."""
    left = await network.open(tmp_path, "left.test")
    return await SharedRoom.open(network, left, await network.open(tmp_path, "right.test"))
