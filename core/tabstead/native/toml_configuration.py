"""The native server's configuration file.

The dataclasses below *are* the file's format: a field is a key, a nested dataclass is a table. The reader walks them,
so a new option is one new field and one new row in docs/configuration.md. It collects everything that is wrong with a
file before it complains, each complaint with the key's path.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

from tabstead import configuration
from tabstead.configuration import Configuration, RateLimits
from tabstead.errors import TabsteadError
from tabstead.protocol.identifiers import is_server_name

DEFAULT_HTTP_PORT: Final = 8008


class InvalidConfiguration(TabsteadError):
    """The configuration file can't be used; `problems` says why, a sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to accept connections. Port 0 is a free one of the system's choice."""

    host: str = "127.0.0.1"
    http_port: int | None = None
    https_port: int | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @property
    def chosen_http_port(self) -> int | None:
        """The port of plain HTTP: without any port in the file, the default one."""
        if self.http_port is None and self.https_port is None:
            return DEFAULT_HTTP_PORT
        return self.http_port


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFile:
    path: Path = Path("tabstead.db")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration(configuration.Registration):
    """A server on a network is closed to strangers until its operator opens it."""

    open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    max_upload_bytes: int = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole file."""

    server_name: str
    base_url: str | None = None
    listen: Listen = field(default_factory=Listen)
    database: DatabaseFile = field(default_factory=DatabaseFile)
    registration: Registration = field(default_factory=Registration)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    media: Media = field(default_factory=Media)
    federation: Mapping[str, Any] = field(default_factory=dict)
    """Reserved: accepted and not used yet."""
    appservices: Mapping[str, Any] = field(default_factory=dict)
    """Reserved: accepted and not used yet."""

    def build_configuration(self) -> Configuration:
        """What the core wants to know of it."""
        return Configuration(
            server_name=self.server_name,
            base_url=self.base_url or f"https://{self.server_name}",
            registration=self.registration,
            rate_limits=self.rate_limits,
            max_upload_bytes=self.media.max_upload_bytes,
        )


def read_settings(file: Path) -> Settings:
    """Read a configuration file; paths in it are relative to its folder. Raises InvalidConfiguration."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration([f"{file} can't be read: {error}"]) from error
    return parse_settings(text, folder=file.resolve().parent)


def parse_settings(text: str, *, folder: Path) -> Settings:
    """The settings in a TOML text. Raises InvalidConfiguration."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfiguration([f"This is not TOML: {error}."]) from error
    reader = _Reader(folder)
    settings = reader.read_table(Settings, table, "")
    problems = reader.problems or list(_inconsistencies(settings))
    if problems:
        raise InvalidConfiguration(problems)
    assert isinstance(settings, Settings)
    return settings


def _inconsistencies(settings: Settings) -> list[str]:
    """What is wrong although every value by itself has the right type."""
    listen = settings.listen
    port_range = "must be between 0 and 65535."
    rules = (
        (is_server_name(settings.server_name), "server_name must be a host name, with or without a port."),
        (_is_port(listen.http_port), f"listen.http_port {port_range}"),
        (_is_port(listen.https_port), f"listen.https_port {port_range}"),
        (
            listen.https_port is None or (listen.tls_certificate is not None and listen.tls_key is not None),
            "listen.https_port needs listen.tls_certificate and listen.tls_key.",
        ),
        (
            listen.https_port is not None or (listen.tls_certificate is None and listen.tls_key is None),
            "listen.tls_certificate and listen.tls_key need listen.https_port.",
        ),
        (settings.media.max_upload_bytes > 0, "media.max_upload_bytes must be more than 0."),
        (settings.registration.shared_secret != "", "registration.shared_secret must not be empty."),
    )
    return [complaint for holds, complaint in rules if not holds]


def _is_port(port: int | None) -> bool:
    return port is None or 0 <= port <= 65535


_EXPECTED: Final[Mapping[type, str]] = {
    bool: "true or false",
    int: "an integer",
    str: "a string",
    Path: "a path as a string",
    Mapping: "a table",
}


class _Reader:
    """Turns tables into dataclasses, and remembers what it could not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.problems: list[str] = []

    def read_table(self, kind: type[Any], table: object, path: str) -> Any:
        """An instance of the dataclass `kind`, or None after a problem. `path` ends with a dot, or is empty."""
        if not isinstance(table, dict):
            self.problems.append(f"{path.removesuffix('.')} must be a table, not {table!r}.")
            return None
        options = {option.name: option for option in fields(kind)}
        self._check_keys(table, options, path)
        types = get_type_hints(kind)
        values = {
            name: self._read_value(types[name], given, path + name)
            for name, option in options.items()
            if (given := table.get(name, _implied(option))) is not None
        }
        return None if self.problems else kind(**values)

    def _check_keys(self, table: Mapping[str, Any], options: Mapping[str, Field[Any]], path: str) -> None:
        for key in table.keys() - options.keys():
            near = difflib.get_close_matches(key, options, n=1)
            hint = f" Did you mean {path}{near[0]}?" if near else ""
            self.problems.append(f"{path}{key} is not an option.{hint}")
        for name, option in options.items():
            if option.default is MISSING and option.default_factory is MISSING and name not in table:
                self.problems.append(f"{path}{name} is missing.")

    def _read_value(self, kind: Any, value: object, path: str) -> Any:
        kind = _without_none(kind)
        if is_dataclass(kind) and isinstance(kind, type):
            return self.read_table(kind, value, path + ".")
        expected = str if kind is Path else get_origin(kind) or kind
        if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
            self.problems.append(f"{path} must be {_EXPECTED[get_origin(kind) or kind]}, not {value!r}.")
            return None
        return self._folder / str(value) if kind is Path else value


def _implied(option: Field[Any]) -> object:
    """What stands for a missing key, where the reader has something to do: an empty table, or a path."""
    if isinstance(option.default_factory, type):
        return {}
    return str(option.default) if isinstance(option.default, Path) else None


def _without_none(kind: Any) -> Any:
    """`X` of `X | None`: TOML has no null, so an optional key is left out."""
    members = [member for member in get_args(kind) if member is not NoneType]
    return members[0] if NoneType in get_args(kind) else kind
