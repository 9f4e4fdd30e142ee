"""This server's keys. Server-server API, § Retrieving server keys."""

from typing import Final

from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.protocol.signatures import sign_json
from tabstead.storage.database import Db

routes = Routes()

_VALIDITY_MS: Final = 24 * 60 * 60 * 1000


@routes.read("GET", "/_matrix/key/v2/server", is_signed=False)
def get_server_keys(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/key/v2/server. § Publishing Keys."""
    server = call.local_server
    key = server.signing_key.verify_key
    answer = {
        "server_name": server.name,
        "valid_until_ts": server.now_ms() + _VALIDITY_MS,
        "verify_keys": {key.key_id: {"key": key.encode()}},
        "old_verify_keys": {},
    }
    return json_response(sign_json(answer, server.name, server.signing_key))
