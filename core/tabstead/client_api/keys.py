"""The distribution of keys. Client-Server API, § Key management API, § Cross-signing."""

from typing import TYPE_CHECKING, Any, Final

from tabstead.client_api.call import Access, Call
from tabstead.client_api.interactive_auth import carry_out_confirmed
from tabstead.client_api.other_servers import elsewhere, may_ask
from tabstead.client_api.routes import Elsewhere, Routes
from tabstead.encryption.cross_signing import is_free_upload, upload_cross_signing_keys, upload_signatures
from tabstead.encryption.device_keys import QueriedKeys, query_keys, upload_device_keys
from tabstead.encryption.one_time_keys import claim_keys, upload_fallback_keys, upload_one_time_keys
from tabstead.errors import BadJson
from tabstead.http import JsonObject, Response, json_response
from tabstead.protocol.identifiers import find_server_name_of
from tabstead.storage.database import Db
from tabstead.storage.one_time_keys import count_one_time_keys
from tabstead.streams.tokens import parse_sync_token
from tabstead.sync.key_changes import select_key_changes

if TYPE_CHECKING:
    from tabstead.federation.federation import Federation

routes = Routes()

_DEFAULT_TIMEOUT_MS: Final = 10_000
_SHORTEST_TIMEOUT_MS: Final = 1000
_LONGEST_TIMEOUT_MS: Final = 30_000


@routes.write("POST", "/_matrix/client/v3/keys/upload")
def upload_keys(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/keys/upload. § Uploading keys."""
    body, user_id, device_id = call.body(), call.user_id, call.requester.device_id
    device_keys = body.find_object("device_keys")
    if device_keys is not None:
        upload_device_keys(db, user_id, device_id, device_keys)
    upload_one_time_keys(db, user_id, device_id, body.object("one_time_keys", {}))
    upload_fallback_keys(db, user_id, device_id, body.object("fallback_keys", {}))
    return json_response({"one_time_key_counts": count_one_time_keys(db, user_id, device_id)})


@routes.read("POST", "/_matrix/client/v3/keys/query")
def post_keys_query(call: Call, db: Db) -> Response | Elsewhere:
    """POST /_matrix/client/v3/keys/query. § Key management API."""
    body = call.body()
    users = body.object("device_keys")
    queried, timeout_ms = {user_id: _device_ids(users, user_id) for user_id in users}, _timeout(body)
    if any(may_ask(call, user_id) for user_id in users):
        return elsewhere(call, lambda federation: _query_everywhere(federation, call.user_id, queried, timeout_ms))
    return _answer_query(query_keys(db, call.user_id, queried), _failures(call, users))


@routes.write("POST", "/_matrix/client/v3/keys/claim")
def post_keys_claim(call: Call, db: Db) -> Response | Elsewhere:
    """POST /_matrix/client/v3/keys/claim. § Key management API."""
    body = call.body()
    users = body.object("one_time_keys")
    claims, timeout_ms = {user_id: _algorithms(users, user_id) for user_id in users}, _timeout(body)
    if any(may_ask(call, user_id) for user_id in users):
        return elsewhere(call, lambda federation: _claim_everywhere(federation, call, claims, timeout_ms))
    return json_response({"one_time_keys": claim_keys(db, claims), "failures": _failures(call, users)})


@routes.read("GET", "/_matrix/client/v3/keys/changes", access=Access.USER)
def get_key_changes(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/keys/changes. § Tracking the device list for a user.

    `to` is a hint; what changed after it is told too.
    """
    since = parse_sync_token(call.query.string("from"))
    parse_sync_token(call.query.string("to"))
    changes = select_key_changes(
        db,
        call.user_id,
        call.requester.device_id,
        since,
        typing_users=call.context.typing_users,
        now_ms=call.now_ms,
    )
    return json_response({"changed": changes.changed, "left": changes.left})


@routes.waiting("POST", "/_matrix/client/v3/keys/device_signing/upload", access=Access.NONE)
async def upload_device_signing_keys(call: Call) -> Response:
    """POST /_matrix/client/v3/keys/device_signing/upload. § Cross-signing."""

    def work(confirmed: Call, db: Db, body: JsonObject) -> Response:
        upload_cross_signing_keys(db, confirmed.user_id, body)
        return json_response({})

    return await carry_out_confirmed(
        call, work, unless=lambda authenticated, db: is_free_upload(db, authenticated.user_id, call.body())
    )


@routes.write("POST", "/_matrix/client/v3/keys/signatures/upload", access=Access.USER)
def post_signatures(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/keys/signatures/upload. § Cross-signing."""
    body = call.body()
    failures = upload_signatures(db, call.user_id, {owner: body.object(owner) for owner in body})
    return json_response(
        {
            "failures": {
                owner: {key_name: error.to_json() for key_name, error in errors.items()}
                for owner, errors in failures.items()
            }
        }
    )


async def _query_everywhere(
    federation: "Federation", viewer: str, queried: dict[str, list[str]], timeout_ms: int
) -> Response:
    found, failed = await federation.remote_keys.query(viewer, queried, timeout_ms)
    return _answer_query(found, {server: {} for server in sorted(failed)})


async def _claim_everywhere(
    federation: "Federation", call: Call, claims: dict[str, dict[str, str]], timeout_ms: int
) -> Response:
    """Those of this server's users are taken once the others' are there: nothing is taken in vain."""
    remote, failed = await federation.remote_keys.claim(claims, timeout_ms)
    local = {user_id: devices for user_id, devices in claims.items() if call.context.local_server.owns(user_id)}

    def claim(db: Db) -> Response:
        claimed = {**remote, **claim_keys(db, local)}
        return json_response({"one_time_keys": claimed, "failures": {server: {} for server in sorted(failed)}})

    return await call.context.write_once(call.request, claim)


def _answer_query(found: QueriedKeys, failures: dict[str, Any]) -> Response:
    return json_response(
        {
            "device_keys": found.device_keys,
            "master_keys": found.master_keys,
            "self_signing_keys": found.self_signing_keys,
            "user_signing_keys": found.user_signing_keys,
            "failures": failures,
        }
    )


def _timeout(body: JsonObject) -> int:
    """How long (ms) other servers may take."""
    return min(max(body.integer("timeout", _DEFAULT_TIMEOUT_MS), _SHORTEST_TIMEOUT_MS), _LONGEST_TIMEOUT_MS)


def _device_ids(queried: JsonObject, user_id: str) -> list[str]:
    """The devices asked for; older clients send an empty object in place of an empty list."""
    return [] if queried[user_id] in ({}, None) else queried.strings(user_id)


def _algorithms(claims: JsonObject, user_id: str) -> dict[str, str]:
    algorithms = claims.object(user_id).values_dict
    if not all(isinstance(algorithm, str) for algorithm in algorithms.values()):
        raise BadJson("Each device must be claimed with one algorithm.")
    return algorithms


def _failures(call: Call, users: JsonObject) -> dict[str, Any]:
    """Other servers, where none can be asked."""
    servers = {find_server_name_of(user_id) for user_id in users if not call.context.local_server.owns(user_id)}
    return {server: {} for server in servers if server}
