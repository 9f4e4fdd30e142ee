"""Wherever the specification declares that a request may be rate limited, it is: with the time to wait."""

from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from conformance.cases import NOT_YET, sample_path
from helpers.client_server_api import Operation, find_api
from helpers.homeserver import Client, TestServer
from tabstead.configuration import Rate, RateLimits

TIGHT = Rate(burst=1, refill_ms=60_000)


def limited_operations() -> list[Any]:
    api = find_api()
    if api is None:
        absent = pytest.mark.skip(reason="the specification's data is not here")
        return [pytest.param(None, marks=absent, id="absent")]
    limited = (operation for operation in api.operations if "429" in operation.responses)
    limited = (operation for operation in limited if operation.operation_id not in NOT_YET)
    return [pytest.param(operation, id=operation.operation_id) for operation in limited]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    tight = {option.name: TIGHT for option in fields(RateLimits) if option.name != "enabled"}
    server = await TestServer.open(tmp_path, rate_limits=RateLimits(**tight))
    yield Client(server=server, access_token="never given")
    await server.close()


@pytest.mark.parametrize("operation", limited_operations())
async def test_who_asks_too_often_is_told_to_wait(client: Client, operation: Operation) -> None:
    path = sample_path(operation.path)
    first = await client.answer(operation.method, path, {})
    assert first.status != 429
    second = await client.answer(operation.method, path, {})
    assert (second.status, second.json["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    assert int(second.headers["Retry-After"]) == -(-second.json["retry_after_ms"] // 1000) == 60
