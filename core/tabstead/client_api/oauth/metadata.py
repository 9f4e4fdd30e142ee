"""What the OAuth 2.0 API is made of, and who may use it. § Server metadata discovery, § Client registration"""

from typing import Any, Final
from urllib.parse import urlsplit

from tabstead.accounts.oauth_clients import GRANT_TYPES, register_client
from tabstead.client_api.call import Access, Call
from tabstead.client_api.rate_limits import REGISTERING
from tabstead.client_api.register import can_register_in_browser
from tabstead.client_api.routes import Routes
from tabstead.client_api.web import addresses
from tabstead.client_api.web.addresses import absolute
from tabstead.configuration import Configuration
from tabstead.errors import Unrecognized
from tabstead.http import Response, json_response
from tabstead.storage.database import Db

routes = Routes()

ACTIONS: Final = (
    "org.matrix.profile",
    "org.matrix.devices_list",
    "org.matrix.device_view",
    "org.matrix.device_delete",
    "org.matrix.account_deactivate",
    "org.matrix.cross_signing_reset",
)
"""§ Account management URL actions."""

_MAX_AGE_SECONDS: Final = 60 * 60


@routes.read(
    "GET",
    "/_matrix/client/v1/auth_metadata",
    "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata",
    access=Access.NONE,
)
def get_auth_metadata(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v1/auth_metadata. § Server metadata discovery."""
    configuration = call.context.configuration
    check_enabled(configuration)
    return json_response(_describe(configuration), headers={"cache-control": f"max-age={_MAX_AGE_SECONDS}"})


@routes.write("POST", addresses.REGISTER_CLIENT, access=Access.NONE, limit=REGISTERING)
def post_client(call: Call, db: Db) -> Response:
    """POST /_matrix/client/oauth2/registration. § Dynamic client registration flow."""
    configuration = call.context.configuration
    check_enabled(configuration)
    allows_http = urlsplit(configuration.base_url).scheme == "http"
    client = register_client(db, call.body(), call.now_ms, allows_http=allows_http)
    described = {"client_id": client.client_id, "client_id_issued_at": call.now_ms // 1000, **client.metadata}
    return json_response(described, 201, {"cache-control": "no-store"})


def check_enabled(configuration: Configuration) -> None:
    """Raises Unrecognized where only the legacy API is served."""
    if not configuration.oauth.enabled:
        raise Unrecognized("This server does not serve the OAuth 2.0 API.")


def _describe(configuration: Configuration) -> dict[str, Any]:
    return {
        "issuer": absolute(configuration, "/"),
        "authorization_endpoint": absolute(configuration, addresses.AUTHORIZE),
        "token_endpoint": absolute(configuration, addresses.TOKEN),
        "revocation_endpoint": absolute(configuration, addresses.REVOKE),
        "registration_endpoint": absolute(configuration, addresses.REGISTER_CLIENT),
        "device_authorization_endpoint": absolute(configuration, addresses.DEVICE),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment"],
        "grant_types_supported": list(GRANT_TYPES),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["urn:matrix:client:api:*", "urn:matrix:client:device:*"],
        "prompt_values_supported": ["create"] if can_register_in_browser(configuration) else [],
        "account_management_uri": absolute(configuration, addresses.ACCOUNT),
        "account_management_actions_supported": list(ACTIONS),
    }
