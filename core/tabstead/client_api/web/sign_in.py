"""Signing in on a page: with a password, at another identity provider, or as a new account.

Whatever somebody came for goes on once they have said who they are.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from tabstead.accounts.passwords import hash_password
from tabstead.accounts.registration import check_username, create_user
from tabstead.accounts.registration_tokens import use_registration_token
from tabstead.client_api.call import Access, Call
from tabstead.client_api.identifiers import find_identified_user
from tabstead.client_api.interactive_auth import try_password
from tabstead.client_api.login import find_login_user
from tabstead.client_api.rate_limits import LOGGING_IN, REGISTERING
from tabstead.client_api.register import can_register_in_browser
from tabstead.client_api.routes import Routes
from tabstead.client_api.web.addresses import CREATE_ACCOUNT, SIGN_IN, absolute
from tabstead.client_api.web.aims import go_on
from tabstead.client_api.web.forms import parse_form, shows_errors, shows_errors_waiting
from tabstead.client_api.web.provider_sign_in import begin_provider_sign_in
from tabstead.client_api.web.sign_in_page import create_account_page, sign_in_page
from tabstead.client_api.web.visits import Visit, get_visit, sign_in
from tabstead.configuration import Configuration
from tabstead.errors import BadRequest, Forbidden, MatrixError, UserDeactivated
from tabstead.http import JsonObject, Query, Response
from tabstead.protocol.identifiers import UserID
from tabstead.storage.database import Db

routes = Routes()

_WRONG: Final = "The user name or the password is wrong."


def sign_in_address(configuration: Configuration, visit: Visit) -> str:
    """Where a visit that has just begun goes on."""
    return f"{absolute(configuration, SIGN_IN)}?visit={quote(visit.secret)}"


@routes.read("GET", SIGN_IN, access=Access.NONE)
@shows_errors
def get_sign_in(call: Call, db: Db) -> Response:
    """GET /_matrix/client/web/sign_in: the page, for a visit in which nobody has signed in yet."""
    visit = get_visit(db, call.query.get("visit", ""), call.now_ms)
    if visit.user_id is not None:
        raise Forbidden("This visit goes on in another page.")
    if visit.aim.get("creates") and can_register_in_browser(call.context.configuration):
        return create_account_page(call, visit)
    return sign_in_page(call, visit)


@routes.waiting("POST", SIGN_IN, access=Access.NONE, limit=LOGGING_IN)
@shows_errors_waiting
async def post_sign_in(call: Call) -> Response:
    """POST /_matrix/client/web/sign_in: a password, or the wish to go to a provider."""
    form = parse_form(call)
    visit = await _read_visit(call, form)
    if "provider" in form:
        return await begin_provider_sign_in(call, form["provider"], {"visit": visit.secret})
    if "username" not in form:
        return sign_in_page(call, visit)
    typed_name, server_name = form["username"].strip(), call.context.local_server.name
    try:
        source = JsonObject({"identifier": _identifier(typed_name)})
        name, user = await call.context.database.read(
            lambda db: find_login_user(db, find_identified_user(db, source, server_name))
        )
        proven_hash = try_password(call, name, user, form.get("password", ""))
        if user is None or proven_hash is None:
            raise Forbidden(_WRONG)
        user_id = user.user_id
        return await call.context.write_once(
            call.request, lambda db: _enter(call, db, form, UserID(user_id), proven_hash)
        )
    except MatrixError as error:
        return sign_in_page(call, visit, error.sentence, typed_name)


@routes.waiting("POST", CREATE_ACCOUNT, access=Access.NONE, limit=REGISTERING)
@shows_errors_waiting
async def post_create_account(call: Call) -> Response:
    """POST /_matrix/client/web/create_account: the page, and then what was filled in."""
    if not can_register_in_browser(call.context.configuration):
        raise Forbidden("Registration is closed on this server.")
    form = parse_form(call)
    visit = await _read_visit(call, form)
    if "create" not in form:
        return create_account_page(call, visit)
    username = form.get("username", "").strip()
    try:
        password_hash = hash_password(form.get("password", ""))
        return await call.context.write_once(call.request, lambda db: _create(call, db, form, username, password_hash))
    except MatrixError as error:
        return create_account_page(call, visit, error.sentence, username)


async def _read_visit(call: Call, form: Query) -> Visit:
    secret, now_ms = form.get("visit", ""), call.now_ms
    read: Callable[[Db], Visit] = lambda db: get_visit(db, secret, now_ms)  # noqa: E731
    return await call.context.database.read(read)


def _identifier(typed: str) -> dict[str, str]:
    """People may type their user name, their user ID or their email address."""
    if "@" in typed[1:]:
        return {"type": "m.id.thirdparty", "medium": "email", "address": typed}
    return {"type": "m.id.user", "user": typed}


def _enter(call: Call, db: Db, form: Query, user_id: UserID, proven_hash: str) -> Response:
    _, user = find_login_user(db, user_id)
    if user is None or user.password_hash != proven_hash:
        raise Forbidden(_WRONG)
    if user.is_deactivated:
        raise UserDeactivated("This account was deactivated.")
    visit = get_visit(db, form.get("visit", ""), call.now_ms)
    return go_on(call, db, sign_in(db, visit, user_id, call.now_ms))


def _create(call: Call, db: Db, form: Query, username: str, password_hash: str) -> Response:
    registration = call.context.configuration.registration
    visit = get_visit(db, form.get("visit", ""), call.now_ms)
    if not {policy.id for policy in registration.terms} <= set(form.all("accept")):
        raise BadRequest("All documents have to be accepted.")
    user_id = check_username(db, username, call.context.local_server.name)
    if registration.requires_token:
        use_registration_token(db, form.get("token", "").strip(), registration.tokens, call.now_ms)
    create_user(db, user_id, password_hash, now_ms=call.now_ms)
    return go_on(call, db, sign_in(db, visit, user_id, call.now_ms))
