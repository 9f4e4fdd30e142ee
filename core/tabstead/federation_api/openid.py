"""Who an OpenID token is for. Server-server API, § OpenID.

Asked by services that are no homeservers and have no key, so there is no signature.
"""

from tabstead.accounts.tickets import find_openid_user
from tabstead.errors import UnknownToken
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.storage.database import Db

routes = Routes()


@routes.read("GET", "/_matrix/federation/v1/openid/userinfo", is_signed=False)
def get_user_info(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/openid/userinfo. § OpenID."""
    user_id = find_openid_user(db, call.query.string("access_token"), call.context.now_ms())
    if user_id is None:
        raise UnknownToken("This token is not known here, or no longer.")
    return json_response({"sub": user_id})
