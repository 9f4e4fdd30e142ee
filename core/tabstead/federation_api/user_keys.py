"""Devices and keys of this server's users. Server-server API, § Device Management, § End-to-End Encryption."""

from typing import Any

from tabstead.encryption.device_keys import describe_device_list, query_keys
from tabstead.encryption.one_time_keys import claim_keys
from tabstead.errors import BadJson, NotFound
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import JsonObject, Response, json_response
from tabstead.protocol.identifiers import parse_user_id
from tabstead.storage.database import Db
from tabstead.storage.users import find_user

routes = Routes()


@routes.read("GET", "/_matrix/federation/v1/user/devices/{userId}")
def get_user_devices(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/user/devices/{userId}. § Device Management."""
    user_id = parse_user_id(call.parameter("userId"))
    if not call.local_server.owns(user_id) or find_user(db, user_id) is None:
        raise NotFound(f"{user_id} is not a user of this server.")
    return json_response(describe_device_list(db, user_id))


@routes.read("POST", "/_matrix/federation/v1/user/keys/query")
def post_keys_query(call: FederationCall, db: Db) -> Response:
    """POST /_matrix/federation/v1/user/keys/query. § End-to-End Encryption."""
    queried = call.body().object("device_keys")
    found = query_keys(db, None, {user_id: _device_ids(queried, user_id) for user_id in _own(call, queried)})
    return json_response(
        {
            "device_keys": found.device_keys,
            "master_keys": found.master_keys,
            "self_signing_keys": found.self_signing_keys,
        }
    )


@routes.write("POST", "/_matrix/federation/v1/user/keys/claim")
def post_keys_claim(call: FederationCall, db: Db) -> Response:
    """POST /_matrix/federation/v1/user/keys/claim. § End-to-End Encryption."""
    claims = call.body().object("one_time_keys")
    claimed = claim_keys(db, {user_id: _algorithms(claims, user_id) for user_id in _own(call, claims)})
    return json_response({"one_time_keys": claimed})


def _own(call: FederationCall, users: JsonObject) -> list[str]:
    return [user_id for user_id in users if call.local_server.owns(user_id)]


def _device_ids(queried: JsonObject, user_id: str) -> list[str]:
    return [] if queried[user_id] in ({}, None) else queried.strings(user_id)


def _algorithms(claims: JsonObject, user_id: str) -> dict[str, Any]:
    algorithms = claims.object(user_id).values_dict
    if not all(isinstance(algorithm, str) for algorithm in algorithms.values()):
        raise BadJson("Each device must be claimed with one algorithm.")
    return algorithms
