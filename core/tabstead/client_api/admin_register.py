"""Accounts made by who knows the shared secret, as Synapse's administration API has it: for bridges and test suites.

A nonce is fetched first and is good for one account. The request proves by an HMAC-SHA1 over the nonce and the account
that its sender knows the secret; registration may be closed to others. Without a configured secret there is no such
path.
"""

import hashlib
import hmac
import secrets
from typing import Final

from tabstead.accounts.devices import NewDevice, log_in
from tabstead.accounts.passwords import hash_password
from tabstead.accounts.profiles import set_profile_field
from tabstead.accounts.registration import check_username, create_user
from tabstead.client_api.call import Access, Call
from tabstead.client_api.login import grant_response
from tabstead.client_api.routes import Routes
from tabstead.errors import BadRequest, Forbidden, Unrecognized
from tabstead.http import JsonObject, Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.interactive_auth import AuthSession, delete_session, find_session, insert_session

routes = Routes()

_PATH: Final = "/_synapse/admin/v1/register"
_OPERATION: Final = "register by shared secret"


@routes.write("GET", _PATH, access=Access.NONE)
def get_nonce(call: Call, db: Db) -> Response:
    """GET /_synapse/admin/v1/register: a nonce for one registration."""
    _get_shared_secret(call)
    nonce = AuthSession(session_id=secrets.token_hex(32), operation=_OPERATION, body={}, outcome=None)
    insert_session(db, nonce, call.now_ms)
    return json_response({"nonce": nonce.session_id})


@routes.waiting("POST", _PATH, access=Access.NONE)
async def register_by_shared_secret(call: Call) -> Response:
    """POST /_synapse/admin/v1/register: make an account, an administrator's if `admin` is true."""
    body = call.body()
    _check_mac(_get_shared_secret(call), body)
    password_hash = hash_password(body.string("password"))
    return await call.context.write_once(call.request, lambda db: _register(call, db, body, password_hash))


def _register(call: Call, db: Db, body: JsonObject, password_hash: str) -> Response:
    nonce = find_session(db, body.string("nonce"), call.now_ms)
    if nonce is None or nonce.operation != _OPERATION:
        raise BadRequest("The nonce is not known, or no longer.", errcode="M_UNKNOWN")
    delete_session(db, nonce.session_id)
    user_id = check_username(db, body.string("username"), call.context.local_server.name)
    create_user(db, user_id, password_hash, is_admin=body.boolean("admin", False), now_ms=call.now_ms)
    displayname = body.find_string("displayname")
    if displayname is not None:
        set_profile_field(db, user_id, "displayname", displayname)
    return grant_response(call, log_in(db, user_id, NewDevice(address=call.request.client_address), call.now_ms))


def _get_shared_secret(call: Call) -> str:
    secret = call.context.configuration.registration.shared_secret
    if not secret:
        raise Unrecognized("Registration by a shared secret is not configured.")
    return secret


def _check_mac(secret: str, body: JsonObject) -> None:
    """Raises Forbidden unless `mac` is the HMAC of the fields, joined by zero bytes."""
    fields = [body.string("nonce"), body.string("username"), body.string("password")]
    fields.append("admin" if body.boolean("admin", False) else "notadmin")
    if (user_type := body.find_string("user_type")) is not None:
        fields.append(user_type)
    message = "\0".join(fields).encode("utf-8", "surrogatepass")
    expected = hmac.new(secret.encode("utf-8"), message, hashlib.sha1).hexdigest()
    if not hmac.compare_digest(expected.encode(), body.string("mac").encode("utf-8", "surrogatepass")):
        raise Forbidden("The HMAC is wrong.")
