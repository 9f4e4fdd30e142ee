"""What the specification says of every operation of the Client-Server API, and whether an answer agrees with it.

    api = find_api()                                 # None where the specification's data does not lie
    problems = api.problems(request, answer)         # sentences; an empty list: the answer is as it should be

The data is the published OpenAPI description, beside the repository where it is developed. A schema is compiled when
an answer first asks for it. What every answer owes is checked too: CORS headers, JSON that says it is JSON, and the
standard error response, also for the statuses that the description leaves out.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, Protocol

from jsonschema_rs import Draft202012Validator

Json = dict[str, Any]

DESCRIPTION: Final = Path(__file__).parents[3] / "shared" / "spec" / "client-server.json"

_METHODS: Final = ("get", "put", "post", "delete")
_JSON: Final = "application/json"
_ERROR_CODE: Final = re.compile(r"M_[A-Z0-9_]+|[a-zA-Z0-9_-]+(?:\.[a-zA-Z0-9_-]+)+")
_OTHER_STANDARDS: Final = (
    "/_matrix/client/web/",
    "/_matrix/client/oauth2/",
    "/_matrix/client/v3/auth/",
)
_ANY_BYTES: Final = "application/octet-stream"

_HTTPS_OWN: Final = frozenset({206, 304, 416})
"""Statuses of conditional and range requests, which any operation may answer as HTTP has it."""

_FOR_PEOPLE: Final = frozenset({"redirectToSSO", "redirectToIdP"})
"""Operations that a person's browser is sent to: what goes wrong there is told by a page."""

_TOKEN_ERRORS: Final = frozenset({"M_MISSING_TOKEN", "M_UNKNOWN_TOKEN", "M_USER_LOCKED"})
"""§ Using access tokens: what any operation answers with 401 beside the challenge that some declare there."""


@dataclass(frozen=True)
class Amendment:
    """A place where the published schema itself is wrong."""

    path: tuple[str, ...]
    value: Any
    reason: str

    def apply(self, description: Json) -> None:
        place = description
        for step in self.path[:-1]:
            place = place[step]
        assert self.path[-1] in place, f"{self.path} is gone from the description: {self.reason}"
        place[self.path[-1]] = self.value


AMENDMENTS: Final = (
    Amendment(
        path=(
            "paths",
            "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}",
            *("get", "responses", "200", "content", _JSON, "schema"),
        ),
        value={"type": "object"},
        reason="It wants exactly one of `any object` and `a state event`; every state event is both.",
    ),
)


class Asked(Protocol):
    """A request, as far as it says which operation it is."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query_string(self) -> str: ...


class Answered(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    operation_id: str
    method: str
    template: str
    """As published: a trailing blank tells apart operations that share a path."""
    responses: Mapping[str, Json]

    @property
    def path(self) -> str:
        return self.template.strip()

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """A last parameter may be empty: the state key of a path that ends with a slash."""
        segments = ("[^/]*" if segment.startswith("{") else re.escape(segment) for segment in self.path.split("/"))
        return re.compile("/".join(segments))

    @property
    def parameter_count(self) -> int:
        return self.path.count("{")


class ClientServerApi:
    """All operations of the description."""

    def __init__(self, description: Json) -> None:
        self._components = description["components"]
        self.operations: Final = tuple(_operations(description))
        self._by_shape: dict[tuple[str, int], list[Operation]] = {}
        for operation in sorted(self.operations, key=lambda each: each.parameter_count):
            self._by_shape.setdefault((operation.method, operation.path.count("/")), []).append(operation)
        self._validators: dict[str, Draft202012Validator] = {}

    def find_operation(self, method: str, path: str) -> Operation | None:
        """The operation that a request asks for; older names of a path stand for the newer one."""
        current = path.replace("/client/r0/", "/client/v3/", 1)
        for spelling in (current, current.rstrip("/"), current + "/"):
            for operation in self._by_shape.get((method, spelling.count("/")), ()):
                if operation.pattern.fullmatch(spelling):
                    return operation
        return None

    def problems(self, asked: Asked, answered: Answered, operation: Operation | None = None) -> list[str]:
        """What is wrong with an answer."""
        operation = operation or self.find_operation("GET" if asked.method == "HEAD" else asked.method, asked.path)
        found = list(_missing_headers(answered))
        if answered.status in _HTTPS_OWN:
            return found
        if operation is not None and operation.operation_id in _FOR_PEOPLE and _is_page(answered):
            return found
        if answered.status >= 400 and (operation is not None or _is_matrix(asked.path)):
            found += self._error_problems(answered)
        if operation is not None and not _wants_other_events(asked) and not _is_scheduled(asked):
            found += self._response_problems(operation, answered)
        return found

    def _error_problems(self, answered: Answered) -> Iterator[str]:
        """The standard error response, or the challenge of user-interactive authentication."""
        if answered.status == 500:
            yield "the server failed"
        body = _parse(answered)
        if not isinstance(body, dict):
            yield "an error's body must be a JSON object"
        elif answered.status == 401 and "flows" in body:
            yield from self._schema_problems("auth", {"$ref": _schema("client-server_definitions_auth_response")}, body)
        elif not (isinstance(body.get("errcode"), str) and _ERROR_CODE.fullmatch(body["errcode"])):
            yield "an error needs an errcode"
        elif not (isinstance(body.get("error"), str) and body["error"]):
            yield "an error needs a sentence"
        elif answered.status == 429 and not (_has_header(answered, "retry-after") and "retry_after_ms" in body):
            yield "whoever is limited must be told for how long"

    def _response_problems(self, operation: Operation, answered: Answered) -> Iterator[str]:
        """The response that the operation declares for the status."""
        declared = operation.responses.get(str(answered.status))
        if declared is None:
            if answered.status < 400:
                yield f"{operation.operation_id} declares no {answered.status}"
            return
        for header in declared.get("headers", ()) if answered.status in range(300, 400) else ():
            if not _has_header(answered, header):
                yield f"the header {header} is missing"
        content = declared.get("content", {})
        if not content or (answered.status == 401 and _is_about_the_token(answered)):
            return
        media_type = answered.headers.get("content-type", "").partition(";")[0]
        if media_type in content:
            if media_type == _JSON:
                name = f"{operation.operation_id} {answered.status}"
                yield from self._schema_problems(name, content[_JSON].get("schema", {}), _parse(answered))
        elif _ANY_BYTES not in content:
            yield f"{media_type or 'no media type'} is not among {', '.join(content)}"

    def _schema_problems(self, name: str, schema: Json, body: Any) -> Iterator[str]:
        validator = self._validators.get(name)
        if validator is None:
            whole = {**schema, "components": self._components}
            validator = self._validators[name] = Draft202012Validator(whole, validate_formats=True)
        if validator.is_valid(body):
            return
        for error in validator.iter_errors(body):
            place = "/".join(str(step) for step in error.instance_path)
            yield f"/{place}: {error.message[:300]}"


@cache
def find_api() -> ClientServerApi | None:
    """The operations, or None where the description is absent."""
    return ClientServerApi(read_description()) if DESCRIPTION.exists() else None


def _operations(description: Json) -> Iterator[Operation]:
    for template, item in description["paths"].items():
        for method in item.keys() & set(_METHODS):
            yield Operation(
                operation_id=item[method]["operationId"],
                method=method.upper(),
                template=template,
                responses=item[method]["responses"],
            )


def _is_matrix(path: str) -> bool:
    """Whether errors are those of the Client-Server API: pages have errors for people, OAuth 2.0 has its own."""
    return path.startswith("/_matrix/") and not path.startswith(_OTHER_STANDARDS)


def read_description() -> Json:
    """The published description with the amendments."""
    description: Json = json.loads(DESCRIPTION.read_text("utf-8"))
    for amendment in AMENDMENTS:
        amendment.apply(description)
    return description


def _schema(name: str) -> str:
    return f"#/components/schemas/{name}"


def _missing_headers(answered: Answered) -> Iterator[str]:
    """Web Browser Clients: on every answer."""
    if answered.headers.get("access-control-allow-origin") != "*":
        yield "the CORS headers are missing"


def _has_header(answered: Answered, name: str) -> bool:
    return any(each.lower() == name.lower() for each in answered.headers)


def _is_page(answered: Answered) -> bool:
    return answered.status >= 400 and answered.headers.get("content-type", "").startswith("text/html")


def _is_about_the_token(answered: Answered) -> bool:
    body = _parse(answered)
    return isinstance(body, dict) and body.get("errcode") in _TOKEN_ERRORS


def _is_scheduled(asked: Asked) -> bool:
    """Whether an event is to be sent later (MSC4140): the answer is of another form."""
    return "org.matrix.msc4140.delay" in asked.query_string


def _wants_other_events(asked: Asked) -> bool:
    """Whether a filter asks for events cut down, or in the federation's format: no description tells how those look."""
    return "event_fields" in asked.query_string or "event_format" in asked.query_string


def _parse(answered: Answered) -> Any:
    try:
        return json.loads(answered.body)
    except ValueError:
        return None
