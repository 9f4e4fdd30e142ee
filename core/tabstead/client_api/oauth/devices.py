"""Devices without a browser of their own. § Device authorisation flow"""

from urllib.parse import urlencode

from tabstead.accounts.oauth_clients import DEVICE_CODE, get_client
from tabstead.accounts.oauth_grants import DEVICE_GRANT_LIVES_MS, POLL_INTERVAL_MS, begin_device_grant
from tabstead.client_api.call import Access, Call
from tabstead.client_api.oauth.metadata import check_enabled
from tabstead.client_api.oauth.tokens import get_field, parse_fields
from tabstead.client_api.rate_limits import LOGGING_IN
from tabstead.client_api.routes import Routes
from tabstead.client_api.web import addresses
from tabstead.errors import OAuthError
from tabstead.http import Response, json_response
from tabstead.storage.database import Db

routes = Routes()


@routes.write("POST", addresses.DEVICE, access=Access.NONE, limit=LOGGING_IN)
def post_device_authorization(call: Call, db: Db) -> Response:
    """POST /_matrix/client/oauth2/device. § Device authorisation flow."""
    configuration = call.context.configuration
    check_enabled(configuration)
    form = parse_fields(call)
    client = get_client(db, get_field(form, "client_id"))
    if not client.allows_grant(DEVICE_CODE):
        raise OAuthError("unauthorized_client", "The client is not registered for this grant type.")
    grant = begin_device_grant(db, client.client_id, get_field(form, "scope"), call.now_ms)
    link = addresses.absolute(configuration, addresses.LINK_DEVICE)
    described = {
        "device_code": grant.device_code,
        "user_code": grant.user_code,
        "verification_uri": link,
        "verification_uri_complete": f"{link}?{urlencode({'user_code': grant.user_code})}",
        "expires_in": DEVICE_GRANT_LIVES_MS // 1000,
        "interval": POLL_INTERVAL_MS // 1000,
    }
    return json_response(described, headers={"cache-control": "no-store"})
