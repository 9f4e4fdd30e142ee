"""What the specification says of every operation of the Server-Server API, and whether an answer agrees with it.

    api = find_api()                                 # None where the specification's data does not lie
    problems = api.problems(request, answer)         # sentences; an empty list: the answer is as it should be
    check(request, answer)                           # fails the test with them

Errors have the standard error response, also for the statuses that the description leaves out.
"""

from functools import cache
from typing import Final

from helpers.api_description import (
    DESCRIPTIONS,
    Amendment,
    Answered,
    ApiDescription,
    Asked,
    Operation,
    fail_of,
    read_description,
)

DESCRIPTION: Final = DESCRIPTIONS / "server-server.json"

AMENDMENTS: Final[tuple[Amendment, ...]] = ()


class ServerServerApi(ApiDescription):
    """All operations of the description."""

    def problems(self, asked: Asked, answered: Answered, operation: Operation | None = None) -> list[str]:
        """What is wrong with an answer."""
        operation = operation or self.find_operation(asked.method, asked.path)
        found = list(self.error_problems(answered)) if answered.status >= 400 else []
        if operation is not None:
            found += self.response_problems(operation, answered)
        return found


@cache
def find_api() -> ServerServerApi | None:
    """The operations, or None where the description is absent."""
    return ServerServerApi(read_description(DESCRIPTION, AMENDMENTS)) if DESCRIPTION.exists() else None


def check(asked: Asked, answered: Answered) -> None:
    """No test goes on with an answer that breaks the specification's description of it."""
    api = find_api()
    if api is not None:
        fail_of(asked, answered, api.problems(asked, answered))
