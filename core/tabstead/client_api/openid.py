"""OpenID tokens, with which users prove to another service who they are. Client-Server API, § OpenID

The service asks `/_matrix/federation/v1/openid/userinfo` of this server with the token; it is good for nothing else.
"""

from tabstead.accounts.tickets import OPENID_TOKEN, issue_ticket
from tabstead.client_api.call import Access, Call
from tabstead.client_api.own_data import check_own
from tabstead.client_api.rate_limits import LOGGING_IN
from tabstead.client_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.storage.database import Db

routes = Routes()


@routes.write("POST", "/_matrix/client/v3/user/{userId}/openid/request_token", access=Access.USER, limit=LOGGING_IN)
def post_openid_token(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/user/{userId}/openid/request_token. § OpenID."""
    check_own(call)
    call.request.optional_json_object()
    token = issue_ticket(db, OPENID_TOKEN, {"user_id": call.user_id}, call.now_ms, user_id=call.user_id)
    return json_response(
        {
            "access_token": token,
            "token_type": "Bearer",
            "matrix_server_name": call.context.local_server.name,
            "expires_in": OPENID_TOKEN.lives_ms // 1000,
        }
    )
