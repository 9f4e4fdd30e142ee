"""A server for each test, and two users of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helpers.homeserver import Client, TestServer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestServer]:
    server = await TestServer.open(tmp_path)
    yield server
    await server.close()


@pytest.fixture
async def alice(server: TestServer) -> Client:
    return await server.register("alice")


@pytest.fixture
async def bob(server: TestServer) -> Client:
    return await server.register("bob")
