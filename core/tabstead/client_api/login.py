"""Logging in and out. Client-Server API, § Login, § Refreshing access tokens."""

from typing import Any

from tabstead.accounts.access import Grant, refresh_tokens
from tabstead.accounts.devices import NewDevice, delete_all_devices, delete_devices, log_in
from tabstead.client_api.call import Access, Call
from tabstead.client_api.interactive_auth import find_identified_user, try_password
from tabstead.client_api.rate_limits import LOGGING_IN
from tabstead.client_api.routes import Routes
from tabstead.errors import BadRequest, Forbidden, UserDeactivated
from tabstead.http import JsonObject, Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.users import User, find_user

routes = Routes()


@routes.read("GET", "/_matrix/client/v3/login", access=Access.NONE)
def get_login_flows(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/login. § Login."""
    return json_response({"flows": [{"type": "m.login.password"}]})


@routes.waiting("POST", "/_matrix/client/v3/login", access=Access.NONE, limit=LOGGING_IN)
async def login(call: Call) -> Response:
    """POST /_matrix/client/v3/login. § Login."""
    body = call.body()
    if (login_type := body.string("type")) != "m.login.password":
        raise BadRequest(f"{login_type[:80]} is not a way to log in here.", errcode="M_UNKNOWN")
    password = body.string("password")
    name = find_identified_user(body, call.context.local_server.name)
    user = await call.context.database.read(lambda db: _find_login_user(db, name))
    proven_hash = try_password(call, name, user, password)
    return await call.context.write_once(call.request, lambda db: _log_in(call, db, name, proven_hash))


@routes.write("POST", "/_matrix/client/v3/refresh", access=Access.NONE, limit=LOGGING_IN)
def refresh(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/refresh. § Refreshing access tokens."""
    grant = refresh_tokens(db, call.body().string("refresh_token"), call.now_ms)
    return json_response(_tokens(grant))


@routes.write("POST", "/_matrix/client/v3/logout")
def logout(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/logout. § Login: the device ends with its token."""
    delete_devices(db, call.user_id, [call.requester.device_id])
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/logout/all")
def logout_all(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/logout/all. § Login."""
    delete_all_devices(db, call.user_id)
    return json_response({})


def parse_new_device(call: Call, body: JsonObject) -> NewDevice:
    """The device that a login or registration asks for. Raises BadJson."""
    return NewDevice(
        device_id=body.find_string("device_id"),
        display_name=body.find_string("initial_device_display_name"),
        refreshable=body.boolean("refresh_token", False),
        address=call.request.client_address,
    )


def grant_response(call: Call, grant: Grant) -> Response:
    """The answer to a login or registration."""
    return json_response(
        {
            "user_id": grant.user_id,
            "device_id": grant.device_id,
            "home_server": call.context.local_server.name,
            **_tokens(grant),
        }
    )


def _tokens(grant: Grant) -> dict[str, Any]:
    tokens = {
        "access_token": grant.access_token,
        "refresh_token": grant.refresh_token,
        "expires_in_ms": grant.expires_in_ms,
    }
    return {key: value for key, value in tokens.items() if value is not None}


def _find_login_user(db: Db, name: str | None) -> User | None:
    """The user of this name; new user IDs have no upper case, so it may be typed in any."""
    if name is None:
        return None
    return find_user(db, name) or find_user(db, name.lower())


def _log_in(call: Call, db: Db, name: str | None, proven_hash: str | None) -> Response:
    user = _find_login_user(db, name)
    if user is not None and user.is_deactivated:
        raise UserDeactivated("This account was deactivated.")
    if user is None or proven_hash is None or user.password_hash != proven_hash:
        raise Forbidden("The user name or the password is wrong.")
    return grant_response(call, log_in(db, user.user_id, parse_new_device(call, call.body()), call.now_ms))
