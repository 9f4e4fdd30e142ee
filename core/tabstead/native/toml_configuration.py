"""The native server's configuration file.

The dataclasses below *are* the file's format (tabstead.configuration): a new option is one new field and one new row in
docs/configuration.md.
"""

import ipaddress
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tabstead import configuration
from tabstead.configuration import (
    Configuration,
    IdentityProvider,
    Media,
    OAuth,
    RateLimits,
    SingleSignOn,
    TableReader,
    UrlPreviews,
)
from tabstead.errors import InvalidConfiguration
from tabstead.protocol.identifiers import is_server_name

DEFAULT_HTTP_PORT: Final = 8008


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
class Email:
    """The SMTP server that takes our email, if there is one."""

    smtp_host: str | None = None
    smtp_port: int = 587
    security: str = "starttls"
    """`starttls`, `tls` from the first byte, or `none`."""
    certificate: Path | None = None
    """In place of the system's authorities, in PEM."""
    username: str | None = None
    password: str | None = None
    sender: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """Requests that the server itself makes to URLs that others chose."""

    allowed_networks: tuple[str, ...] = ()

    def parse_allowed_networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """Raises ValueError."""
        return [ipaddress.ip_network(network) for network in self.allowed_networks]

    @property
    def is_valid(self) -> bool:
        try:
            self.parse_allowed_networks()
        except ValueError:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration(configuration.Registration):
    """A server on a network is closed to strangers until its operator opens it."""

    open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation(configuration.Federation):
    enabled: bool = True
    certificate_authorities: Path | None = None
    """In place of the system's, in PEM."""

    @property
    def names(self) -> tuple[str, ...]:
        """All server names in it."""
        address = () if self.address is None else (self.address,)
        return (*address, *self.key_servers, *self.allowed_servers, *self.blocked_servers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole file."""

    server_name: str
    base_url: str | None = None
    listen: Listen = field(default_factory=Listen)
    database: DatabaseFile = field(default_factory=DatabaseFile)
    registration: Registration = field(default_factory=Registration)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    search: configuration.Search = field(default_factory=configuration.Search)
    media: Media = field(default_factory=Media)
    url_previews: UrlPreviews = field(default_factory=UrlPreviews)
    outbound: Outbound = field(default_factory=Outbound)
    email: Email = field(default_factory=Email)
    identity_providers: tuple[IdentityProvider, ...] = ()
    single_sign_on: SingleSignOn = field(default_factory=SingleSignOn)
    oauth: OAuth = field(default_factory=OAuth)
    turn: configuration.Turn = field(default_factory=configuration.Turn)
    well_known: configuration.WellKnown = field(default_factory=configuration.WellKnown)
    support: configuration.Support = field(default_factory=configuration.Support)
    federation: Federation = field(default_factory=Federation)
    appservices: Mapping[str, Any] = field(default_factory=dict)
    """Reserved: accepted and not used yet."""

    def build_configuration(self) -> Configuration:
        """What the core wants to know of it."""
        return Configuration(
            server_name=self.server_name,
            base_url=self.base_url or f"https://{self.server_name}",
            registration=self.registration,
            rate_limits=self.rate_limits,
            turn=self.turn,
            well_known=self.well_known,
            support=self.support,
            identity_providers=self.identity_providers,
            single_sign_on=self.single_sign_on,
            oauth=self.oauth,
            max_upload_bytes=self.media.max_upload_bytes,
            search=self.search,
            url_previews=self.url_previews,
            federation=self.federation,
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
    settings = TableReader(folder).read(Settings, table)
    problems = _inconsistencies(settings)
    if problems:
        raise InvalidConfiguration(problems)
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
        (
            all(rate.is_valid for rate in settings.rate_limits.rates.values()),
            "rate_limits: burst and refill_ms must be more than 0.",
        ),
        (
            settings.turn.is_valid,
            "turn.uris must begin with turn:, turns: or stun:, and turn.lifetime_seconds must be more than 0.",
        ),
        (
            all(contact.is_valid for contact in settings.support.contacts),
            "support.contacts need a matrix_id or an email_address each.",
        ),
        (settings.url_previews.is_valid, "url_previews.proxy must be an http or https address with {url} in it."),
        (
            settings.email.security in {"starttls", "tls", "none"},
            'email.security must be "starttls", "tls" or "none".',
        ),
        (settings.email.smtp_host is None or "@" in settings.email.sender, "email.smtp_host needs email.sender."),
        (
            settings.email.smtp_host is not None or not settings.registration.requires_email,
            "registration.requires_email needs email.smtp_host.",
        ),
        (
            _are_distinct(provider.id for provider in settings.identity_providers),
            "identity_providers need distinct ids.",
        ),
        (
            all(provider.issuer.startswith(("https://", "http://")) for provider in settings.identity_providers),
            "identity_providers.issuer must be an https URL.",
        ),
        (settings.outbound.is_valid, 'outbound.allowed_networks must be networks such as "10.0.0.0/8".'),
        (
            all(is_server_name(name) for name in settings.federation.names),
            "federation: address, key_servers, allowed_servers and blocked_servers must be server names.",
        ),
        (settings.registration.shared_secret != "", "registration.shared_secret must not be empty."),
    )
    return [complaint for holds, complaint in rules if not holds]


def _are_distinct(names: Iterable[str]) -> bool:
    listed = list(names)
    return len(listed) == len(set(listed))


def _is_port(port: int | None) -> bool:
    return port is None or 0 <= port <= 65535
