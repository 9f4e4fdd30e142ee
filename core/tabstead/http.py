"""Requests, responses and routes as plain values; no server and no browser is known here.

A request body is parsed once, after its nesting was checked, into a `JsonObject` whose typed getters raise the
specification's errors. A `Router` maps a method and a path template to an endpoint: literal segments win over
`{parameters}`; parameters arrive percent-decoded.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import parse_qsl, unquote

from tabstead.errors import BadJson, InvalidParam, MissingParam, NotJson, Unrecognized

JsonDict: TypeAlias = dict[str, Any]

Kind = TypeVar("Kind")

MAX_JSON_DEPTH: Final = 200
"""Deeper bodies are refused: Pyodide's interpreter does not survive a deep recursion of its JSON parser."""

_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|([\[\]{}])', re.DOTALL)
"""A string, to the end of the text when it is unterminated, or a bracket outside of one."""


def check_json_depth(text: bytes) -> None:
    """Refuse a body nested deeper than MAX_JSON_DEPTH, in one pass without recursion. Raises BadJson."""
    if text.count(b"[") + text.count(b"{") <= MAX_JSON_DEPTH:
        return
    depth = 0
    for token in _structure(text):
        depth += 1 if token in b"[{" else -1
        if depth > MAX_JSON_DEPTH:
            raise BadJson(f"The body is nested deeper than {MAX_JSON_DEPTH} levels.")


def _structure(text: bytes) -> Iterator[bytes]:
    """The brackets outside of strings."""
    for match in _TOKENS.finditer(text):
        if match[1]:
            yield match[1]


def parse_json(text: bytes) -> Any:
    """The value of a JSON text in UTF-8. Raises NotJson, or BadJson when it is nested too deep."""
    check_json_depth(text)
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise NotJson("The body is not valid JSON in UTF-8.") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


class JsonObject(Mapping[str, Any]):
    """A JSON object from outside, whose getters say what is wrong with it.

    `string`, `integer`, `boolean`, `object` and `array` want the key (MissingParam) and the type (BadJson);
    with a default given, a missing key or a null is the default.
    """

    __slots__ = ("_values",)

    def __init__(self, values: JsonDict) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def values_dict(self) -> JsonDict:
        """The object as plain JSON."""
        return self._values

    def string(self, key: str, default: str | None = None) -> str:
        return self._get(key, str, "a string", default)

    def find_string(self, key: str) -> str | None:
        return self._find(key, str, "a string")

    def integer(self, key: str, default: int | None = None) -> int:
        return self._get(key, int, "an integer", default)

    def boolean(self, key: str, default: bool | None = None) -> bool:
        return self._get(key, bool, "a boolean", default)

    def object(self, key: str, default: JsonDict | None = None) -> "JsonObject":
        return JsonObject(self._get(key, dict, "an object", default))

    def find_object(self, key: str) -> "JsonObject | None":
        found: JsonDict | None = self._find(key, dict, "an object")
        return None if found is None else JsonObject(found)

    def array(self, key: str, default: list[Any] | None = None) -> list[Any]:
        return self._get(key, list, "an array", default)

    def strings(self, key: str, default: list[str] | None = None) -> list[str]:
        """An array of strings."""
        items = self.array(key, default)
        if not all(isinstance(item, str) for item in items):
            raise BadJson(f"'{key}' must be an array of strings.")
        return items

    def _get(self, key: str, kind: type[Kind], expected: str, default: Kind | None) -> Kind:
        found = self._find(key, kind, expected)
        if found is None:
            if default is None:
                raise MissingParam(f"'{key}' is missing.")
            return default
        return found

    def _find(self, key: str, kind: type[Kind], expected: str) -> Kind | None:
        found = self._values.get(key)
        if found is None:
            return None
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            raise BadJson(f"'{key}' must be {expected}.")
        return found


class Query(Mapping[str, str]):
    """The query's parameters; of a repeated one the first counts, `all` gives each."""

    __slots__ = ("_pairs",)

    def __init__(self, text: str) -> None:
        self._pairs = parse_qsl(text, keep_blank_values=True)

    def __getitem__(self, key: str) -> str:
        for name, value in self._pairs:
            if name == key:
                return value
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(dict(self._pairs))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All names and values, in their order."""
        return list(self._pairs)

    def all(self, key: str) -> list[str]:
        return [value for name, value in self._pairs if name == key]

    def string(self, key: str) -> str:
        """A parameter that must be there. Raises MissingParam."""
        if key not in self:
            raise MissingParam(f"The query parameter '{key}' is missing.")
        return self[key]

    def integer(self, key: str, default: int) -> int:
        text = self.get(key)
        if text is None or text == "":
            return default
        try:
            return int(text)
        except ValueError as error:
            raise InvalidParam(f"The query parameter '{key}' must be an integer.") from error

    def boolean(self, key: str, default: bool = False) -> bool:
        text = self.get(key)
        if text is None:
            return default
        if text not in {"true", "false"}:
            raise InvalidParam(f"The query parameter '{key}' must be true or false.")
        return text == "true"

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        text = self.get(key, default)
        if text not in choices:
            raise InvalidParam(f"The query parameter '{key}' must be one of {', '.join(choices)}.")
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchKey:
    """Names one request across two dispatches of it.

    Chromium dispatches a fetch event again, once, when the worker dies in it. An edge that knows of no second dispatch
    gives no key.
    """

    value: str
    exact: bool
    """True: the page named the request. False: a fingerprint of it, honoured once, in a later life of the server."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request as an edge hands it over."""

    method: str
    path: str
    """As sent: percent-encoded, without the query."""
    query_string: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    client_address: str = ""
    """The peer's address, or the page's client id in a worker: for rate limits and `last_seen_ip`."""
    dispatch_key: DispatchKey | None = None
    """Names this request across a second dispatch of it by the browser; a POST is carried out once per key."""
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    """The router's: percent-decoded values of the template's {names}."""

    @cached_property
    def query(self) -> Query:
        return Query(self.query_string)

    def json_object(self) -> JsonObject:
        """The body as a JSON object. Raises NotJson, BadJson."""
        return JsonObject(self._json_object)

    def optional_json_object(self) -> JsonObject:
        """The same, where an empty body stands for an empty object."""
        return JsonObject(self._json_object if self.body else {})

    @cached_property
    def _json_object(self) -> JsonDict:
        value = parse_json(self.body)
        if not isinstance(value, dict):
            raise BadJson("The body must be a JSON object.")
        return value

    def access_token(self) -> str | None:
        """The bearer token of the Authorization header, or of the query in older clients' way."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
        return self.query.get("access_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP response: a status, headers in lower case, a whole body."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON body in UTF-8."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return Response(status=status, headers={"content-type": "application/json", **(headers or {})}, body=body)


Endpoint = TypeVar("Endpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match(Generic[Endpoint]):
    endpoint: Endpoint
    parameters: Mapping[str, str]


class _Node(Generic[Endpoint]):
    __slots__ = ("endpoints", "literals", "parameter")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[Endpoint]] = {}
        self.parameter: _Node[Endpoint] | None = None
        self.endpoints: dict[str, tuple[Endpoint, tuple[str, ...]]] = {}


class Router(Generic[Endpoint]):
    """A tree of path segments. A template's trailing slash is part of it."""

    def __init__(self) -> None:
        self._root: _Node[Endpoint] = _Node()

    def add(self, method: str, template: str, endpoint: Endpoint) -> None:
        """Add a route; the same method and path twice is a bug."""
        node, names = self._root, []
        for segment in template.split("/")[1:]:
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        if method in node.endpoints:
            raise ValueError(f"{method} {template} is routed twice")
        node.endpoints[method] = (endpoint, tuple(names))

    def match(self, method: str, path: str) -> Match[Endpoint]:
        """The endpoint of a request. Raises Unrecognized: 404, or 405 when only the method is unknown."""
        segments = path.split("/")[1:]
        found = [node for node in _walk(self._root, segments, ()) if node[0].endpoints]
        for node, values in found:
            if method in node.endpoints:
                endpoint, names = node.endpoints[method]
                decoded = [unquote(value) for value in values]
                return Match(endpoint=endpoint, parameters=dict(zip(names, decoded, strict=True)))
        if found:
            raise Unrecognized(f"{method} is not known for this path.", status=405)
        raise Unrecognized("This path is not known.")


def _walk(
    node: _Node[Endpoint], segments: list[str], values: tuple[str, ...]
) -> Iterator[tuple[_Node[Endpoint], tuple[str, ...]]]:
    if len(segments) == 0:
        yield node, values
        return
    literal = node.literals.get(unquote(segments[0]))
    if literal is not None:
        yield from _walk(literal, segments[1:], values)
    if node.parameter is not None and segments[0]:
        yield from _walk(node.parameter, segments[1:], (*values, segments[0]))
