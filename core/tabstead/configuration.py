"""What the operator of a homeserver decides, as frozen values, and how a file's tables become them.

Each edge has a file and a format of its own: the native server reads TOML (`tabstead.native`), the worker a
`tabstead.json` beside its page. A dataclass *is* such a format: a field is a key, a nested dataclass is a table, a
`tuple[X, ...]` is a list. `TableReader` walks them, so a new option is one new field. It collects everything that is
wrong before anybody complains, each complaint with the key's path.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from tabstead.errors import InvalidConfiguration

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Who may create accounts."""

    open: bool = True
    shared_secret: str | None = None
    guests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    max_upload_bytes: int = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Whether the server keeps an index of the words of messages that are not encrypted, for `/search`."""

    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlPreviews:
    """Whether the server looks at pages that people link to."""

    enabled: bool = False
    proxy: str | None = None
    """An address that gives the page at another, which stands encoded in place of its `{url}`."""

    @property
    def is_valid(self) -> bool:
        return self.proxy is None or (self.proxy.startswith(("https://", "http://")) and "{url}" in self.proxy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The whole homeserver's configuration."""

    server_name: str
    base_url: str
    """Where clients reach the Client-Server API: for `/.well-known/matrix/client`."""
    registration: Registration = field(default_factory=Registration)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    sync_timeout_cap_ms: int | None = None
    """The longest that a `/sync` may wait; a browser kills its worker soon after 25 seconds."""
    max_upload_bytes: int = 50 * 1024 * 1024
    url_previews: UrlPreviews = field(default_factory=UrlPreviews)
    search: Search = field(default_factory=Search)


_EXPECTED: Final[Mapping[type, str]] = {
    bool: "true or false",
    tuple: "a list",
    int: "an integer",
    str: "a string",
    Path: "a path as a string",
    Mapping: "a table",
}


class TableReader:
    """Turns tables into dataclasses, and remembers what it could not. Paths start at `folder`."""

    def __init__(self, folder: Path = Path()) -> None:
        self._folder = folder
        self._problems: list[str] = []

    def read(self, kind: type[T], table: object) -> T:
        """A whole file as an instance of the dataclass `kind`. Raises InvalidConfiguration."""
        settings = self._read_table(kind, table, "")
        if self._problems:
            raise InvalidConfiguration(self._problems)
        assert isinstance(settings, kind)
        return settings

    def _read_table(self, kind: type[Any], table: object, path: str) -> Any:
        """An instance of the dataclass `kind`, or None after a problem. `path` ends with a dot, or is empty."""
        if not isinstance(table, dict):
            self._problems.append(f"{path.removesuffix('.') or 'All of it'} must be a table, not {table!r}.")
            return None
        options = {option.name: option for option in fields(kind)}
        self._check_keys(table, options, path)
        types = get_type_hints(kind)
        values = {
            name: self._read_value(types[name], given, path + name)
            for name, option in options.items()
            if (given := table.get(name, _implied(option))) is not None
        }
        return None if self._problems else kind(**values)

    def _check_keys(self, table: Mapping[str, Any], options: Mapping[str, Field[Any]], path: str) -> None:
        for key in table.keys() - options.keys():
            self._problems.append(f"{path}{key} is not an option.{_hint(key, options, path)}")
        for name, option in options.items():
            if option.default is MISSING and option.default_factory is MISSING and name not in table:
                self._problems.append(f"{path}{name} is missing.")

    def _read_value(self, kind: Any, value: object, path: str) -> Any:
        kind = _without_none(kind)
        if get_origin(kind) is tuple and isinstance(value, list):
            (item_kind, _) = get_args(kind)
            return tuple(self._read_value(item_kind, item, f"{path}[{index}]") for index, item in enumerate(value))
        if is_dataclass(kind) and isinstance(kind, type):
            return self._read_table(kind, value, path + ".")
        expected = str if kind is Path else get_origin(kind) or kind
        if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
            self._problems.append(f"{path} must be {_EXPECTED[get_origin(kind) or kind]}, not {value!r}.")
            return None
        return self._folder / str(value) if kind is Path else value


def _hint(key: str, options: Mapping[str, Field[Any]], path: str) -> str:
    from difflib import get_close_matches  # for who made a slip: no start should pay for it

    near = get_close_matches(key, options, n=1)
    return f" Did you mean {path}{near[0]}?" if near else ""


def _implied(option: Field[Any]) -> object:
    """What stands for a missing key, where the reader has something to do: an empty table, or a path."""
    if isinstance(option.default_factory, type):
        return {}
    return str(option.default) if isinstance(option.default, Path) else None


def _without_none(kind: Any) -> Any:
    """`X` of `X | None`: TOML has no null, so an optional key is left out."""
    members = [member for member in get_args(kind) if member is not NoneType]
    return members[0] if NoneType in get_args(kind) else kind
