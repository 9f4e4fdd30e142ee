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
class Policy:
    """A document that a new user has to accept, in one language. Languages of one document share id and version."""

    id: str
    version: str
    name: str
    url: str
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Who may create accounts, and what they have to show."""

    open: bool = True
    shared_secret: str | None = None
    guests: bool = False
    requires_token: bool = False
    tokens: tuple[str, ...] = ()
    """Good for any number of uses, beside those that administrators make."""
    requires_email: bool = False
    terms: tuple[Policy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProvider:
    """An OpenID Connect provider that users may log in with."""

    id: str
    name: str
    issuer: str
    client_id: str
    client_secret: str | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    localpart_claim: str = "preferred_username"
    display_name_claim: str = "name"
    email_claim: str = "email"
    registers: bool = True
    """Whether who is not known yet gets an account."""
    brand: str | None = None
    icon: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleSignOn:
    """`/login/sso/redirect`."""

    trusted_clients: tuple[str, ...] = ()
    """Beginnings of redirect URLs that get a login token without a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth:
    """The OAuth 2.0 API."""

    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many requests at once, and another one after each `refill_ms`."""

    burst: int
    refill_ms: int

    @property
    def is_valid(self) -> bool:
        return self.burst > 0 and self.refill_ms > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Whether callers are slowed down, and what differs from the rates in `tabstead.client_api.rate_limits`."""

    enabled: bool = True
    asking: Rate | None = None
    sending: Rate | None = None
    joining: Rate | None = None
    creating_rooms: Rate | None = None
    reporting: Rate | None = None
    looking_up: Rate | None = None
    previewing: Rate | None = None
    registering: Rate | None = None
    logging_in: Rate | None = None
    wrong_passwords: Rate | None = None

    @property
    def rates(self) -> Mapping[str, Rate]:
        """The rates that are given, by the names of their limits."""
        given = {option.name: getattr(self, option.name) for option in fields(self) if option.name != "enabled"}
        return {name: rate for name, rate in given.items() if rate is not None}


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
class Turn:
    """The TURN server that clients are told of."""

    uris: tuple[str, ...] = ()
    shared_secret: str | None = None
    """Shared with the TURN server, which then lets in whoever has credentials made with it."""
    username: str = ""
    password: str = ""
    """Everybody's, where there is no shared secret."""
    lifetime_seconds: int = 24 * 60 * 60

    @property
    def is_valid(self) -> bool:
        return all(uri.startswith(("turn:", "turns:", "stun:")) for uri in self.uris) and self.lifetime_seconds > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WellKnown:
    """What `/.well-known/matrix/…` says beside the server's own address."""

    identity_server: str | None = None
    policy_server_key: str | None = None
    """The Ed25519 public key of the policy server of this name, in unpadded base64."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More keys of `/.well-known/matrix/client`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """Which other homeservers there are to this one, and what it tells them."""

    address: str | None = None
    """The server name that `/.well-known/matrix/server` delegates to."""
    key_servers: tuple[str, ...] = ()
    """Notaries that are believed what they say of the keys of a server that can't be asked."""
    allowed_servers: tuple[str, ...] = ()
    """None named: all."""
    blocked_servers: tuple[str, ...] = ()

    def allows(self, server_name: str) -> bool:
        """Whether to talk with a server at all."""
        if server_name in self.blocked_servers:
            return False
        return not self.allowed_servers or server_name in self.allowed_servers


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Somebody to turn to."""

    role: str = "m.role.admin"
    matrix_id: str | None = None
    email_address: str | None = None

    @property
    def is_valid(self) -> bool:
        return self.matrix_id is not None or self.email_address is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """Where users find help with this server."""

    page: str | None = None
    contacts: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The whole homeserver's configuration."""

    server_name: str
    base_url: str
    """Where clients reach the Client-Server API: for `/.well-known/matrix/client`."""
    registration: Registration = field(default_factory=Registration)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    identity_providers: tuple[IdentityProvider, ...] = ()
    single_sign_on: SingleSignOn = field(default_factory=SingleSignOn)
    oauth: OAuth = field(default_factory=OAuth)
    has_cookies: bool = True
    """Whether responses can set cookies: a service worker's can't."""
    sync_timeout_cap_ms: int | None = None
    """The longest that a `/sync` may wait; a browser kills its worker soon after 25 seconds."""
    max_upload_bytes: int = 50 * 1024 * 1024
    url_previews: UrlPreviews = field(default_factory=UrlPreviews)
    turn: Turn = field(default_factory=Turn)
    well_known: WellKnown = field(default_factory=WellKnown)
    support: Support = field(default_factory=Support)
    search: Search = field(default_factory=Search)
    federation: Federation = field(default_factory=Federation)


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
