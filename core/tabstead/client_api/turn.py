"""Credentials for a TURN server, which relays calls between clients that can't reach each other.

With a secret that the TURN server shares, each user gets a name that says when it expires, and the HMAC-SHA1 of that
name as the password; the TURN server computes the same. (draft-uberti-behave-turn-rest-00) Else everyone gets the
configured name and password. Client-Server API, § Voice over IP.
"""

import base64
import hashlib
import hmac

from tabstead.client_api.call import Access, Call
from tabstead.client_api.rate_limits import ASKING
from tabstead.client_api.routes import Routes
from tabstead.configuration import Turn
from tabstead.http import Response, json_response
from tabstead.storage.database import Db

routes = Routes()


@routes.read("GET", "/_matrix/client/v3/voip/turnServer", access=Access.USER, limit=ASKING)
def get_turn_server(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/voip/turnServer. § Voice over IP. Without a TURN server the list of URIs is empty."""
    turn = call.context.configuration.turn
    username, password = build_credentials(turn, call.user_id, call.now_ms)
    return json_response(
        {"username": username, "password": password, "uris": list(turn.uris), "ttl": turn.lifetime_seconds}
    )


def build_credentials(turn: Turn, user_id: str, now_ms: int) -> tuple[str, str]:
    """The user's name and password at the TURN server."""
    if turn.shared_secret is None:
        return turn.username, turn.password
    username = f"{now_ms // 1000 + turn.lifetime_seconds}:{user_id}"
    digest = hmac.new(turn.shared_secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()
