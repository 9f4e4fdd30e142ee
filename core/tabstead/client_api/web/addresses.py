"""Where our pages and the OAuth 2.0 endpoints are. All below `/_matrix`, which proxies and the worker pass."""

from typing import Final

from tabstead.configuration import Configuration

SIGN_IN: Final = "/_matrix/client/web/sign_in"
CREATE_ACCOUNT: Final = "/_matrix/client/web/create_account"
CONSENT: Final = "/_matrix/client/web/consent"
ACCOUNT: Final = "/_matrix/client/web/account"
LINK_DEVICE: Final = "/_matrix/client/web/link"
CONFIRM_EMAIL: Final = "/_matrix/client/web/confirm_email"
PROVIDER_CALLBACK: Final = "/_matrix/client/web/callback"
AUTHORIZE: Final = "/_matrix/client/oauth2/authorize"
TOKEN: Final = "/_matrix/client/oauth2/token"
REVOKE: Final = "/_matrix/client/oauth2/revoke"
REGISTER_CLIENT: Final = "/_matrix/client/oauth2/registration"
DEVICE: Final = "/_matrix/client/oauth2/device"


def absolute(configuration: Configuration, path: str) -> str:
    """A path as others are told it."""
    return configuration.base_url.removesuffix("/") + path


def account_page_url(configuration: Configuration) -> str:
    return absolute(configuration, ACCOUNT)
