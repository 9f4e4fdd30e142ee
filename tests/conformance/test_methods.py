"""What holds for every path: any origin may ask, a browser may ask beforehand, and other methods are told so."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from conformance.cases import NOT_YET, sample_path
from helpers.client_server_api import find_api
from helpers.homeserver import Client, TestServer

METHODS: Final = ("GET", "PUT", "POST", "DELETE", "PATCH")
ALLOWED_METHODS: Final = "GET, POST, PUT, DELETE, OPTIONS"
ALLOWED_HEADERS: Final = "X-Requested-With, Content-Type, Authorization"


def every_path() -> list[Any]:
    api = find_api()
    if api is None:
        absent = pytest.mark.skip(reason="the specification's data is not here")
        return [pytest.param("", set(), marks=absent, id="absent")]
    methods: dict[str, set[str]] = {}
    for operation in api.operations:
        if operation.operation_id in NOT_YET:
            continue
        methods.setdefault(operation.path, set()).add(operation.method)
    return [pytest.param(path, known, id=path) for path, known in methods.items()]


@pytest.fixture
async def anybody(tmp_path: Path) -> AsyncIterator[Client]:
    server = await TestServer.open(tmp_path)
    yield server.anonymous()
    await server.close()


@pytest.mark.parametrize(("path", "methods"), every_path())
async def test_a_path_answers_its_methods_and_refuses_the_others(anybody: Client, path: str, methods: set[str]) -> None:
    asked = sample_path(path)
    beforehand = await anybody.answer("OPTIONS", asked)
    assert (beforehand.status, beforehand.body) == (204, b"")
    assert beforehand.headers["access-control-allow-origin"] == "*"
    assert beforehand.headers["access-control-allow-methods"] == ALLOWED_METHODS
    assert beforehand.headers["access-control-allow-headers"] == ALLOWED_HEADERS
    for method in METHODS:
        answer = await anybody.answer(method, asked, {})
        assert answer.headers["access-control-allow-origin"] == "*"
        is_unknown = answer.status in {404, 405} and b"M_UNRECOGNIZED" in answer.body
        assert is_unknown == (method not in methods), (method, answer)
        assert answer.status == 405 or not is_unknown
