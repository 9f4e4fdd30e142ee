"""Logging in and out. Client-Server API, § Login, § Refreshing access tokens."""

from typing import Any

from tabstead.accounts.access import Grant, refresh_tokens
from tabstead.accounts.devices import NewDevice, delete_all_devices, delete_devices, log_in
from tabstead.accounts.tickets import LOGIN_TOKEN, issue_ticket, take_ticket
from tabstead.client_api.call import Access, Call
from tabstead.client_api.identifiers import find_identified_user
from tabstead.client_api.interactive_auth import carry_out_confirmed, try_password
from tabstead.client_api.rate_limits import LOGGING_IN
from tabstead.client_api.routes import Routes
from tabstead.configuration import IdentityProvider
from tabstead.errors import BadRequest, Forbidden, UserDeactivated
from tabstead.http import JsonObject, Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.users import User, find_user

routes = Routes()


@routes.read("GET", "/_matrix/client/v3/login", access=Access.NONE)
def get_login_flows(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/login. § Login."""
    flows: list[dict[str, Any]] = [
        {"type": "m.login.password"},
        {"type": "m.login.token", "get_login_token": True},
    ]
    providers = call.context.configuration.identity_providers
    if providers:
        flows.append({"type": "m.login.sso", "identity_providers": [_shown(provider) for provider in providers]})
    return json_response({"flows": flows})


@routes.waiting("POST", "/_matrix/client/v3/login", access=Access.NONE, limit=LOGGING_IN)
async def login(call: Call) -> Response:
    """POST /_matrix/client/v3/login. § Login."""
    body = call.body()
    login_type = body.string("type")
    if login_type == "m.login.token":
        token = body.string("token")
        return await call.context.write_once(call.request, lambda db: _log_in_by_token(call, db, token))
    if login_type != "m.login.password":
        raise BadRequest(f"{login_type[:80]} is not a way to log in here.", errcode="M_UNKNOWN")
    return await _log_in_by_password(call, body)


@routes.waiting("POST", "/_matrix/client/v1/login/get_token", access=Access.NONE, limit=LOGGING_IN)
async def get_login_token(call: Call) -> Response:
    """POST /_matrix/client/v1/login/get_token. § Login."""

    def work(confirmed: Call, db: Db, body: JsonObject) -> Response:
        user_id = confirmed.user_id
        token = issue_ticket(db, LOGIN_TOKEN, {"user_id": user_id}, confirmed.now_ms, user_id=user_id)
        return json_response({"login_token": token, "expires_in_ms": LOGIN_TOKEN.lives_ms})

    return await carry_out_confirmed(call, work)


@routes.write("POST", "/_matrix/client/v3/refresh", access=Access.NONE, limit=LOGGING_IN)
def refresh(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/refresh. § Refreshing access tokens."""
    grant = refresh_tokens(db, call.body().string("refresh_token"), call.now_ms)
    return json_response(_tokens(grant))


@routes.write("POST", "/_matrix/client/v3/logout", access=Access.EVEN_LOCKED)
def logout(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/logout. § Login: the device ends with its token."""
    delete_devices(db, call.user_id, [call.requester.device_id])
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/logout/all", access=Access.EVEN_LOCKED)
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


def _shown(provider: IdentityProvider) -> dict[str, str]:
    described = {"id": provider.id, "name": provider.name, "brand": provider.brand, "icon": provider.icon}
    return {key: value for key, value in described.items() if value is not None}


async def _log_in_by_password(call: Call, body: JsonObject) -> Response:
    password, server_name = body.string("password"), call.context.local_server.name
    typed, user = await call.context.database.read(
        lambda db: find_login_user(db, find_identified_user(db, body, server_name))
    )
    proven_hash = try_password(call, typed, user, password)
    return await call.context.write_once(call.request, lambda db: _log_in(call, db, typed, proven_hash))


def _log_in_by_token(call: Call, db: Db, token: str) -> Response:
    ticket = take_ticket(db, LOGIN_TOKEN, token, call.now_ms)
    if ticket is None:
        raise Forbidden("This login token is not valid, or no longer.")
    return grant_response(call, log_in(db, ticket["user_id"], parse_new_device(call, call.body()), call.now_ms))


def find_login_user(db: Db, name: str | None) -> tuple[str | None, User | None]:
    """A name as it was typed, and its user; new user IDs have no upper case, so it may be typed in any."""
    if name is None:
        return None, None
    return name, find_user(db, name) or find_user(db, name.lower())


def _log_in(call: Call, db: Db, name: str | None, proven_hash: str | None) -> Response:
    _, user = find_login_user(db, name)
    if user is not None and user.is_deactivated:
        raise UserDeactivated("This account was deactivated.")
    if user is None or proven_hash is None or user.password_hash != proven_hash:
        raise Forbidden("The user name or the password is wrong.")
    return grant_response(call, log_in(db, user.user_id, parse_new_device(call, call.body()), call.now_ms))
