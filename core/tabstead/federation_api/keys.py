"""This server's keys, and as a notary those of others. Server-server API, § Retrieving server keys."""

from typing import Final

from tabstead.errors import BadJson
from tabstead.federation.notary import ANY_KEY, KeyQuery
from tabstead.federation.server_key_responses import build_own_response
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import JsonObject, Response, json_response
from tabstead.protocol.identifiers import ServerName, is_server_name, parse_server_name
from tabstead.storage.database import Db
from tabstead.storage.retired_signing_keys import select_retired_keys

routes = Routes()

_MAX_SERVERS: Final = 100
_MAX_KEYS: Final = 64


@routes.read("GET", "/_matrix/key/v2/server", "/_matrix/key/v2/server/{keyId}", is_signed=False)
def get_server_keys(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/key/v2/server. § Publishing Keys. Older servers name a key, which changes nothing."""
    return json_response(build_own_response(call.local_server, select_retired_keys(db)))


@routes.waiting("GET", "/_matrix/key/v2/query/{serverName}", is_signed=False)
async def get_keys_of(call: FederationCall) -> Response:
    """GET /_matrix/key/v2/query/{serverName}. § Querying Keys Through Another Server."""
    server_name = parse_server_name(call.parameter("serverName"))
    minimum_valid_until_ts = call.query.integer("minimum_valid_until_ts", call.context.now_ms())
    notary = call.federation.notary
    return json_response({"server_keys": await notary.find_responses({server_name: ANY_KEY}, minimum_valid_until_ts)})


@routes.waiting("POST", "/_matrix/key/v2/query", is_signed=False)
async def query_keys(call: FederationCall) -> Response:
    """POST /_matrix/key/v2/query. § Querying Keys Through Another Server."""
    wanted = call.body().object("server_keys")
    if len(wanted) > _MAX_SERVERS:
        raise BadJson(f"Ask for {_MAX_SERVERS} servers at most.")
    now_ms = call.context.now_ms()
    queries = {ServerName(name): _read_query(wanted.object(name), now_ms) for name in wanted if is_server_name(name)}
    return json_response({"server_keys": await call.federation.notary.find_responses(queries, now_ms)})


def _read_query(criteria: JsonObject, now_ms: int) -> KeyQuery:
    if len(criteria) > _MAX_KEYS:
        raise BadJson(f"Ask for {_MAX_KEYS} keys of a server at most.")
    return {key_id: criteria.object(key_id).integer("minimum_valid_until_ts", now_ms) for key_id in criteria}
