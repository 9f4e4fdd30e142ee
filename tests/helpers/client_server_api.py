"""What the specification says of every operation of the Client-Server API, and whether an answer agrees with it.

    api = find_api()                                 # None where the specification's data does not lie
    problems = api.problems(request, answer)         # sentences; an empty list: the answer is as it should be
    check(request, answer)                           # fails the test with them

What every answer owes is checked too: CORS headers, JSON that says it is JSON, and the standard error response, also
for the statuses that the description leaves out.
"""

from collections.abc import Iterator
from functools import cache
from typing import Final

from helpers import api_description
from helpers.api_description import (
    DESCRIPTIONS,
    Amendment,
    Answered,
    ApiDescription,
    Asked,
    Json,
    Operation,
    fail_of,
    parse,
)

__all__ = ["DESCRIPTION", "ClientServerApi", "Operation", "check", "find_api", "read_description"]

DESCRIPTION: Final = DESCRIPTIONS / "client-server.json"

_OTHER_STANDARDS: Final = (
    "/_matrix/client/web/",
    "/_matrix/client/oauth2/",
    "/_matrix/client/v3/auth/",
)

_HTTPS_OWN: Final = frozenset({206, 304, 416})
"""Statuses of conditional and range requests, which any operation may answer as HTTP has it."""

_FOR_PEOPLE: Final = frozenset({"redirectToSSO", "redirectToIdP"})
"""Operations that a person's browser is sent to: what goes wrong there is told by a page."""

_CHALLENGE: Final = {"$ref": "#/components/schemas/client-server_definitions_auth_response"}

_TOKEN_ERRORS: Final = frozenset({"M_MISSING_TOKEN", "M_UNKNOWN_TOKEN", "M_USER_LOCKED"})
"""§ Using access tokens: what any operation answers with 401 beside the challenge that some declare there."""

AMENDMENTS: Final = (
    Amendment(
        path=(
            "paths",
            "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}",
            *("get", "responses", "200", "content", "application/json", "schema"),
        ),
        value={"type": "object"},
        reason="It wants exactly one of `any object` and `a state event`; every state event is both.",
    ),
)


class ClientServerApi(ApiDescription):
    """All operations of the description."""

    def find_operation(self, method: str, path: str) -> Operation | None:
        """The operation that a request asks for; older names of a path stand for the newer one."""
        return super().find_operation(method, path.replace("/client/r0/", "/client/v3/", 1))

    def problems(self, asked: Asked, answered: Answered, operation: Operation | None = None) -> list[str]:
        """What is wrong with an answer."""
        operation = operation or self.find_operation("GET" if asked.method == "HEAD" else asked.method, asked.path)
        found = list(_missing_headers(answered))
        if answered.status in _HTTPS_OWN:
            return found
        if operation is not None and operation.operation_id in _FOR_PEOPLE and _is_page(answered):
            return found
        if answered.status >= 400 and (operation is not None or _is_matrix(asked.path)):
            found += self.error_problems(answered)
        if operation is not None and not _wants_other_events(asked) and not _is_scheduled(asked):
            found += self.response_problems(operation, answered)
        return found

    def error_problems(self, answered: Answered) -> Iterator[str]:
        """The standard error response, or the challenge of user-interactive authentication."""
        body = parse(answered)
        if answered.status == 401 and isinstance(body, dict) and "flows" in body:
            return self.schema_problems("auth", _CHALLENGE, body)
        return super().error_problems(answered)

    def response_problems(self, operation: Operation, answered: Answered) -> Iterator[str]:
        if answered.status == 401 and _is_about_the_token(answered):
            return iter(())
        return super().response_problems(operation, answered)


@cache
def find_api() -> ClientServerApi | None:
    """The operations, or None where the description is absent."""
    return ClientServerApi(read_description()) if DESCRIPTION.exists() else None


def check(asked: Asked, answered: Answered) -> None:
    """No test goes on with an answer that breaks the specification's description of it."""
    api = find_api()
    if api is not None:
        fail_of(asked, answered, api.problems(asked, answered))


def read_description() -> Json:
    """The published description with the amendments."""
    return api_description.read_description(DESCRIPTION, AMENDMENTS)


def _is_matrix(path: str) -> bool:
    """Whether errors are those of the Client-Server API: pages have errors for people, OAuth 2.0 has its own."""
    return path.startswith("/_matrix/") and not path.startswith(_OTHER_STANDARDS)


def _missing_headers(answered: Answered) -> Iterator[str]:
    """Web Browser Clients: on every answer."""
    if answered.headers.get("access-control-allow-origin") != "*":
        yield "the CORS headers are missing"


def _is_page(answered: Answered) -> bool:
    return answered.status >= 400 and answered.headers.get("content-type", "").startswith("text/html")


def _is_about_the_token(answered: Answered) -> bool:
    body = parse(answered)
    return isinstance(body, dict) and body.get("errcode") in _TOKEN_ERRORS


def _is_scheduled(asked: Asked) -> bool:
    """Whether an event is to be sent later (MSC4140): the answer is of another form."""
    return "org.matrix.msc4140.delay" in asked.query_string


def _wants_other_events(asked: Asked) -> bool:
    """Whether a filter asks for events cut down, or in the federation's format: no description tells how those look."""
    return "event_fields" in asked.query_string or "event_format" in asked.query_string
