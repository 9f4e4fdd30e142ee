"""What the operator of a homeserver decides, as frozen values; each edge reads them from its own file.

The native server reads TOML (`tabstead.native`), the worker a `tabstead.json` beside its page.
"""

from dataclasses import dataclass, field


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
