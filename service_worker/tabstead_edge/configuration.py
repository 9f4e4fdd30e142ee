"""`tabstead.json` beside the page: what the owner of a site decides, as a format for `tabstead.configuration`.

Everything has a default, and anybody can read the file: there is no place for secrets in it. What it doesn't say of the
server's name and address follows from where the site is.
"""

import json
from dataclasses import dataclass, field
from typing import Final

from tabstead import configuration
from tabstead.configuration import Configuration, Media, TableReader, UrlPreviews
from tabstead.errors import InvalidConfiguration
from tabstead.protocol.identifiers import is_server_name

SYNC_TIMEOUT_CAP_MS: Final = 25_000
"""An idle worker dies after about 30 seconds; a poll that ends sooner is followed by the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Open to whoever has the page open."""

    open: bool = True
    guests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Nobody asks too often but the page's own user."""

    enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """The whole file."""

    server_name: str | None = None
    base_url: str | None = None
    registration: Registration = field(default_factory=Registration)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    search: configuration.Search = field(default_factory=configuration.Search)
    media: Media = field(default_factory=Media)
    url_previews: UrlPreviews = field(default_factory=UrlPreviews)

    def build_configuration(self, *, server_name: str, base_url: str) -> Configuration:
        """What the core wants to know of it; `base_url` is the site's, if the file doesn't say another."""
        return Configuration(
            server_name=server_name,
            base_url=self.base_url or base_url,
            registration=configuration.Registration(open=self.registration.open, guests=self.registration.guests),
            rate_limits=configuration.RateLimits(enabled=self.rate_limits.enabled),
            has_cookies=False,
            sync_timeout_cap_ms=SYNC_TIMEOUT_CAP_MS,
            max_upload_bytes=self.media.max_upload_bytes,
            search=self.search,
            url_previews=self.url_previews,
        )


def parse_settings(text: str) -> SiteSettings:
    """The settings in the text of `tabstead.json`, which is JSON. Raises InvalidConfiguration."""
    try:
        settings = TableReader().read(SiteSettings, json.loads(text))
        problems = _inconsistencies(settings)
    except InvalidConfiguration as error:
        problems = error.problems
    if problems:
        raise InvalidConfiguration([f"tabstead.json: {problem}" for problem in problems])
    return settings


def _inconsistencies(settings: SiteSettings) -> list[str]:
    name = settings.server_name
    rules = (
        (name is None or is_server_name(name), "server_name must be a host name, with or without a port."),
        (settings.media.max_upload_bytes > 0, "media.max_upload_bytes must be more than 0."),
        (settings.url_previews.is_valid, "url_previews.proxy must be an http or https address with {url} in it."),
    )
    return [complaint for holds, complaint in rules if not holds]
