"""Every operation of the Client-Server API: a good call and a bad one, with the answers that the specification wants.

The operations are read from the published description, so none can be left out; the test skips where that is absent.
"""

from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from conformance.accounts import ACCOUNTS
from conformance.cases import NOT_YET, Ask, Table
from conformance.encryption import ENCRYPTION
from conformance.outcome import OUTCOMES, Outcome, error_code, shown
from conformance.rooms import ROOMS
from conformance.services import SERVICES
from conformance.world import Blueprint, World, draw_blueprint
from helpers.client_server_api import ClientServerApi, Operation, find_api
from helpers.homeserver import Answer
from tabstead.configuration import Contact, IdentityProvider, Registration, Support, Turn, UrlPreviews, WellKnown
from tabstead.http import Request

CASES: Final[Table] = {**ACCOUNTS, **ROOMS, **ENCRYPTION, **SERVICES}


def every_operation() -> list[Any]:
    api = find_api()
    if api is None:
        absent = pytest.mark.skip(reason="the specification's data is not here")
        return [pytest.param(None, marks=absent, id="absent")]
    return [pytest.param(operation, id=operation.operation_id) for operation in api.operations]


@pytest.fixture(scope="module")
def api() -> ClientServerApi:
    api = find_api()
    assert api is not None
    return api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def blueprint(tmp_path_factory: pytest.TempPathFactory) -> Blueprint:
    return await draw_blueprint(
        tmp_path_factory.mktemp("blueprint"),
        registration=Registration(guests=True, tokens=("welcome",)),
        identity_providers=(
            IdentityProvider(id="example", name="Example", issuer="https://login.example", client_id="tab"),
        ),
        url_previews=UrlPreviews(enabled=True),
        max_upload_bytes=100_000,
        turn=Turn(uris=("turn:turn.example:3478?transport=udp",), shared_secret="s3cret"),
        support=Support(contacts=(Contact(matrix_id="@admin:tab.test"),)),
        well_known=WellKnown(policy_server_key="6yhHGKhCiXTSEN2ksjV7kX_N6rBQZ3Xb-M7LlC6NS-s"),
    )


@pytest.mark.skipif(find_api() is None, reason="the specification's data is not here")
def test_every_operation_has_a_case(api: ClientServerApi) -> None:
    names = {operation.operation_id for operation in api.operations}
    assert len(names) == len(api.operations)
    assert CASES.keys() == names
    assert names >= NOT_YET


@pytest.mark.parametrize("operation", every_operation())
async def test_operation(
    operation: Operation, api: ClientServerApi, blueprint: Blueprint, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    outcome = await find_outcome(operation, api, blueprint, tmp_path)
    pytestconfig.stash.setdefault(OUTCOMES, {})[operation.operation_id] = outcome
    if operation.operation_id in NOT_YET:
        assert not outcome.is_right, "this operation is right now: take it out of NOT_YET"
    else:
        assert outcome.is_right, "\n".join(outcome.problems)


async def find_outcome(operation: Operation, api: ClientServerApi, blueprint: Blueprint, folder: Path) -> Outcome:
    """Both calls, each in a world of its own."""
    case, cells, problems = CASES[operation.operation_id], [], []
    for kind, ask in (("good", case.good), ("bad", case.bad)):
        place = folder / kind
        place.mkdir()
        world = await blueprint.open(place)
        try:
            answer = await call(world, api, operation, ask)
        except PreparationFailed as failure:
            cells.append("-")
            problems.append(f"{kind}: {failure}")
        else:
            cells.append(shown(answer))
            problems += [f"{kind}: {problem}" for problem in judge(api, operation, ask, answer)]
        await world.server.close()
    return Outcome(operation.operation_id, *cells, tuple(problems))


class PreparationFailed(Exception):
    """A call that had to come first was not answered as it should be."""


async def call(world: World, api: ClientServerApi, operation: Operation, ask: Ask) -> Answer:
    """The answer, after whatever has to come first."""
    for name in ask.after:
        first = next(each for each in api.operations if each.operation_id == name)
        answer = await call(world, api, first, CASES[name].good)
        if answer.status != CASES[name].good.status:
            raise PreparationFailed(f"{name} was answered with {shown(answer)}")
        await world.learn(CASES[name].good, answer)
    return await world.ask(operation, ask)


def judge(api: ClientServerApi, operation: Operation, ask: Ask, answer: Answer) -> list[str]:
    """What is wrong with an answer."""
    problems = []
    if (answer.status, error_code(answer)) != (ask.status, ask.errcode):
        problems.append(f"{ask.status} {ask.errcode or ''} was expected, not {shown(answer)}".replace("  ", " "))
    return problems + api.problems(
        Request(method=ask.method or operation.method, path=operation.path), answer, operation
    )
