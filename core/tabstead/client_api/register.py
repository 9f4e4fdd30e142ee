"""New accounts. Client-Server API, § Account registration."""

from typing import Any

from tabstead.accounts.devices import NewDevice, log_in
from tabstead.accounts.interactive_auth import (
    DUMMY,
    EMAIL,
    REGISTRATION_TOKEN,
    TERMS,
    Attempt,
    Challenge,
    Confirmed,
    Demand,
    confirm,
)
from tabstead.accounts.passwords import hash_password
from tabstead.accounts.registration import (
    check_guest,
    check_username,
    create_user,
    generate_user_id,
    upgrade_guest,
)
from tabstead.accounts.registration_tokens import is_registration_token, use_registration_token
from tabstead.accounts.third_party_ids import add_email
from tabstead.client_api.call import Access, Call, Context
from tabstead.client_api.interactive_auth import (
    StageAttempt,
    build_prove,
    challenge_response,
    find_auth,
    parse_attempt,
)
from tabstead.client_api.login import grant_response, parse_new_device
from tabstead.client_api.rate_limits import LOOKING_UP, REGISTERING
from tabstead.client_api.routes import Routes
from tabstead.configuration import Configuration, Registration
from tabstead.errors import Forbidden, UserDeactivated
from tabstead.http import JsonObject, Response, json_response
from tabstead.protocol.identifiers import UserID
from tabstead.storage.database import Db
from tabstead.storage.interactive_auth import AuthSession, update_outcome
from tabstead.storage.third_party_ids import delete_validation
from tabstead.storage.users import find_user

routes = Routes()


@routes.waiting("POST", "/_matrix/client/v3/register", access=Access.NONE, limit=REGISTERING)
async def register(call: Call) -> Response:
    """POST /_matrix/client/v3/register. § Account registration."""
    if call.query.choice("kind", ("user", "guest"), "user") == "guest":
        return await _register_guest(call)
    if not call.context.configuration.registration.open:
        raise Forbidden("Registration is closed on this server.")
    password = call.body().find_string("password")
    password_hash = hash_password(password) if password is not None else None
    return await call.context.write_once(call.request, lambda db: _register_user(call, db, password_hash))


@routes.read("GET", "/_matrix/client/v3/register/available", access=Access.NONE, limit=LOOKING_UP)
def get_username_available(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/register/available. § Account registration."""
    check_username(db, call.query.string("username"), call.context.local_server.name)
    return json_response({"available": True})


@routes.read(
    "GET", "/_matrix/client/v1/register/m.login.registration_token/validity", access=Access.NONE, limit=LOOKING_UP
)
def get_registration_token_validity(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v1/register/m.login.registration_token/validity. § Token-authenticated registration."""
    registration = call.context.configuration.registration
    if not registration.open:
        raise Forbidden("Registration is closed on this server.")
    is_valid = is_registration_token(db, call.query.string("token"), registration.tokens, call.now_ms)
    return json_response({"valid": is_valid})


async def _register_guest(call: Call) -> Response:
    if not call.context.configuration.registration.guests:
        raise Forbidden("Guests are not allowed on this server.", errcode="M_GUEST_ACCESS_FORBIDDEN")
    return await call.context.write_once(call.request, lambda db: _create_guest(call, db))


def _create_guest(call: Call, db: Db) -> Response:
    user_id = generate_user_id(db, call.context.local_server.name)
    create_user(db, user_id, None, is_guest=True, now_ms=call.now_ms)
    # "All parameters in the request body with the exception of initial_device_display_name MUST BE ignored."
    display_name = call.request.optional_json_object().find_string("initial_device_display_name")
    device = NewDevice(display_name=display_name, address=call.request.client_address)
    return grant_response(call, log_in(db, user_id, device, call.now_ms))


def build_registration_demand(context: Context) -> Demand:
    """What who wants an account has to show: what the operator requires, else nothing."""
    registration = context.configuration.registration
    required = [REGISTRATION_TOKEN] if registration.requires_token else []
    required += [TERMS] if registration.terms else []
    with_email, without = (*required, EMAIL), (*required, DUMMY)
    flows: tuple[tuple[str, ...], ...] = (tuple(required) or (DUMMY,),)
    if registration.requires_email:
        flows = (with_email,)
    elif context.mailer is not None:
        flows = (without, with_email)
    return Demand(flows=flows, params={TERMS: _terms_params(registration)} if registration.terms else {})


def can_register_in_browser(configuration: Configuration) -> bool:
    """Whether our own page can make accounts: it asks for tokens and consent, but confirms no email address."""
    return configuration.registration.open and not configuration.registration.requires_email


def _terms_params(registration: Registration) -> dict[str, Any]:
    policies: dict[str, Any] = {}
    for policy in registration.terms:
        document = policies.setdefault(policy.id, {"version": policy.version})
        document[policy.language] = {"name": policy.name, "url": policy.url}
    return {"policies": policies}


def _register_user(call: Call, db: Db, password_hash: str | None) -> Response:
    prove = build_prove(StageAttempt(call=call, db=db, auth=find_auth(call.request)))
    attempt = _parse_registration(call, password_hash)
    answer = confirm(db, attempt, build_registration_demand(call.context), prove, call.now_ms)
    session, guest_token = answer.session, call.body().find_string("guest_access_token")
    if session.outcome is not None:
        return _repeat_registration(call, db, answer, UserID(session.outcome))
    # "Homeservers MUST perform the relevant checks before performing User-Interactive Authentication."
    user_id = _choose_user_id(call, db, session, guest_token)
    if isinstance(answer, Challenge):
        return challenge_response(answer)
    _make_account(call, db, user_id, session, is_guest_already=guest_token is not None)
    return _log_in(call, db, user_id, JsonObject(session.body))


def _repeat_registration(call: Call, db: Db, answer: Confirmed | Challenge, user_id: UserID) -> Response:
    """Log in to the account that the session made, for a client that never got the answer."""
    if isinstance(answer, Challenge):
        return challenge_response(answer)
    user = find_user(db, user_id)
    if user is None or user.is_deactivated:
        raise UserDeactivated("This account was deactivated.")
    return _log_in(call, db, user_id, JsonObject(answer.session.body))


def _make_account(call: Call, db: Db, user_id: UserID, session: AuthSession, *, is_guest_already: bool) -> None:
    password_hash = session.body.get("password_hash")
    if (token := session.completed.get(REGISTRATION_TOKEN)) is not None:
        use_registration_token(db, token, call.context.configuration.registration.tokens, call.now_ms)
    if is_guest_already:
        upgrade_guest(db, user_id, password_hash)
    else:
        create_user(db, user_id, password_hash, now_ms=call.now_ms)
    if (email := session.completed.get(EMAIL)) is not None:
        add_email(db, user_id, email["address"], validated_ts=email["validated_ts"], now_ms=call.now_ms)
        delete_validation(db, email["sid"])
    update_outcome(db, session.session_id, user_id, call.now_ms)


def _parse_registration(call: Call, password_hash: str | None) -> Attempt:
    """The attempt, whose session remembers the password's hash in place of the password."""
    attempt = parse_attempt(call.request, "register")
    body = {key: value for key, value in attempt.body.items() if key != "password_hash"}
    return attempt.with_body({**body, "password_hash": password_hash} if password_hash is not None else body)


def _choose_user_id(call: Call, db: Db, session: AuthSession, guest_token: str | None) -> UserID:
    username = JsonObject(session.body).find_string("username")
    if guest_token is not None:
        return check_guest(db, guest_token, username, call.now_ms)
    if username is None:
        return generate_user_id(db, call.context.local_server.name)
    return check_username(db, username, call.context.local_server.name)


def _log_in(call: Call, db: Db, user_id: UserID, body: JsonObject) -> Response:
    if body.boolean("inhibit_login", False):
        return json_response({"user_id": user_id, "home_server": call.context.local_server.name})
    return grant_response(call, log_in(db, user_id, parse_new_device(call, body), call.now_ms))
