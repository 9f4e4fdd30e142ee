"""What a published OpenAPI description says of every operation of an API, and whether an answer agrees with it.

The descriptions lie beside the repository where it is developed. A schema is compiled when an answer first asks for it.
What differs between the APIs, such as what every answer owes, is said by `helpers.client_server_api` and
`helpers.server_server_api`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

from jsonschema_rs import Draft202012Validator

Json = dict[str, Any]

DESCRIPTIONS: Final = Path(__file__).parents[3] / "shared" / "spec"

_METHODS: Final = ("get", "put", "post", "delete")
_ERROR_CODE: Final = re.compile(r"M_[A-Z0-9_]+|[a-zA-Z0-9_-]+(?:\.[a-zA-Z0-9_-]+)+")
_JSON: Final = "application/json"
_ANY_BYTES: Final = "application/octet-stream"


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
    is_authenticated: bool = False
    """Whether some authentication is demanded."""

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


class ApiDescription:
    """All operations of a description."""

    def __init__(self, description: Json) -> None:
        self._components = description["components"]
        self.operations: Final = tuple(_operations(description))
        self._by_shape: dict[tuple[str, int], list[Operation]] = {}
        for operation in sorted(self.operations, key=lambda each: each.parameter_count):
            self._by_shape.setdefault((operation.method, operation.path.count("/")), []).append(operation)
        self._validators: dict[str, Draft202012Validator] = {}

    def find_operation(self, method: str, path: str) -> Operation | None:
        """The operation that a request asks for."""
        for spelling in (path, path.rstrip("/"), path + "/"):
            for operation in self._by_shape.get((method, spelling.count("/")), ()):
                if operation.pattern.fullmatch(spelling):
                    return operation
        return None

    def error_problems(self, answered: Answered) -> Iterator[str]:
        """What an error lacks of the standard error response."""
        if answered.status == 500:
            yield "the server failed"
        body = parse(answered)
        if not isinstance(body, dict):
            yield "an error's body must be a JSON object"
        elif not (isinstance(body.get("errcode"), str) and _ERROR_CODE.fullmatch(body["errcode"])):
            yield "an error needs an errcode"
        elif not (isinstance(body.get("error"), str) and body["error"]):
            yield "an error needs a sentence"
        elif answered.status == 429 and not (has_header(answered, "retry-after") and "retry_after_ms" in body):
            yield "whoever is limited must be told for how long"

    def response_problems(self, operation: Operation, answered: Answered) -> Iterator[str]:
        """What differs from the response that the operation declares for the status."""
        declared = operation.responses.get(str(answered.status))
        if declared is None:
            if answered.status < 400:
                yield f"{operation.operation_id} declares no {answered.status}"
            return
        for header in declared.get("headers", ()) if answered.status in range(300, 400) else ():
            if not has_header(answered, header):
                yield f"the header {header} is missing"
        content = declared.get("content", {})
        if not content:
            return
        media_type = answered.headers.get("content-type", "").partition(";")[0]
        if media_type in content:
            if media_type == _JSON:
                name = f"{operation.operation_id} {answered.status}"
                yield from self.schema_problems(name, content[_JSON].get("schema", {}), parse(answered))
        elif _ANY_BYTES not in content:
            yield f"{media_type or 'no media type'} is not among {', '.join(content)}"

    def schema_problems(self, name: str, schema: Json, body: Any) -> Iterator[str]:
        """Where a body breaks a schema, which is always the same one under this name."""
        validator = self._validators.get(name)
        if validator is None:
            whole = {**schema, "components": self._components}
            validator = self._validators[name] = Draft202012Validator(whole, validate_formats=True)
        if validator.is_valid(body):
            return
        for error in validator.iter_errors(body):
            place = "/".join(str(step) for step in error.instance_path)
            yield f"/{place}: {error.message[:300]}"


def _operations(description: Json) -> Iterator[Operation]:
    for template, item in description["paths"].items():
        for method in item.keys() & set(_METHODS):
            yield Operation(
                operation_id=item[method]["operationId"],
                method=method.upper(),
                template=template,
                responses=item[method]["responses"],
                is_authenticated=bool(item[method].get("security")),
            )


def read_description(file: Path, amendments: Iterable[Amendment] = ()) -> Json:
    """A published description with the amendments."""
    description: Json = json.loads(file.read_text("utf-8"))
    for amendment in amendments:
        amendment.apply(description)
    return description


def fail_of(asked: Asked, answered: Answered, problems: list[str]) -> None:
    """Fail the test if there are any."""
    if problems:
        sentences = "\n".join(problems)
        raise AssertionError(
            f"{asked.method} {asked.path} was answered with {answered.status} {answered.body[:2000]!r}\n{sentences}"
        )


def has_header(answered: Answered, name: str) -> bool:
    return any(each.lower() == name.lower() for each in answered.headers)


def parse(answered: Answered) -> Any:
    """The body's JSON; None where it is none."""
    try:
        return json.loads(answered.body)
    except ValueError:
        return None
