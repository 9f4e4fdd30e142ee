"""Registration tokens as administrators manage them, in the paths and shapes of Synapse's administration API.

A token is good for `uses_allowed` accounts (null: any number) until `expiry_time`, in milliseconds since the Unix epoch
(null: for ever). `pending` is always 0: a use counts when the account is made.
"""

from typing import Any, Final

from tabstead.accounts.registration_tokens import check_token, generate_token
from tabstead.client_api.call import Access, Call
from tabstead.client_api.routes import Routes
from tabstead.errors import Forbidden, InvalidParam, NotFound
from tabstead.http import JsonObject, Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.registration_tokens import (
    RegistrationToken,
    delete_registration_token,
    find_registration_token,
    insert_registration_token,
    select_registration_tokens,
    update_registration_token,
)
from tabstead.storage.users import find_user

routes = Routes()

_PATH: Final = "/_synapse/admin/v1/registration_tokens"
_ONE: Final = f"{_PATH}/{{token}}"


@routes.read("GET", _PATH, access=Access.USER)
def get_tokens(call: Call, db: Db) -> Response:
    """GET /_synapse/admin/v1/registration_tokens: all, or those that are valid, or not, by `valid`."""
    _check_administrator(call, db)
    tokens = select_registration_tokens(db)
    if "valid" in call.query:
        wanted = call.query.boolean("valid")
        tokens = [token for token in tokens if token.is_valid(call.now_ms) is wanted]
    return json_response({"registration_tokens": [_described(token) for token in tokens]})


@routes.write("POST", f"{_PATH}/new", access=Access.USER)
def post_new_token(call: Call, db: Db) -> Response:
    """POST /_synapse/admin/v1/registration_tokens/new: a token as given, or one of `length` random characters."""
    _check_administrator(call, db)
    body = call.request.optional_json_object()
    given = body.find_string("token")
    token = check_token(given) if given is not None else generate_token(body.integer("length", 16))
    if find_registration_token(db, token) is not None:
        raise InvalidParam("This token exists already.")
    insert_registration_token(db, token, *_parse_limits(call, body, None))
    return _token_response(db, token)


@routes.read("GET", _ONE, access=Access.USER)
def get_token(call: Call, db: Db) -> Response:
    """GET /_synapse/admin/v1/registration_tokens/{token}."""
    return json_response(_described(_get_named(call, db)))


@routes.write("PUT", _ONE, access=Access.USER)
def put_token(call: Call, db: Db) -> Response:
    """PUT /_synapse/admin/v1/registration_tokens/{token}: what is left out stays."""
    known = _get_named(call, db)
    update_registration_token(db, known.token, *_parse_limits(call, call.body(), known))
    return _token_response(db, known.token)


@routes.write("DELETE", _ONE, access=Access.USER)
def delete_token(call: Call, db: Db) -> Response:
    """DELETE /_synapse/admin/v1/registration_tokens/{token}."""
    delete_registration_token(db, _get_named(call, db).token)
    return json_response({})


def _check_administrator(call: Call, db: Db) -> None:
    user = find_user(db, call.user_id)
    if user is None or not user.is_admin:
        raise Forbidden("Only administrators may do this.")


def _get_named(call: Call, db: Db) -> RegistrationToken:
    _check_administrator(call, db)
    token = find_registration_token(db, call.parameter("token"))
    if token is None:
        raise NotFound("There is no such registration token.")
    return token


def _parse_limits(call: Call, body: JsonObject, known: RegistrationToken | None) -> tuple[int | None, int | None]:
    """`uses_allowed` and `expiry_time`; a null lifts a limit. Raises InvalidParam."""
    uses_allowed = known.uses_allowed if known is not None else None
    expires_ts = known.expires_ts if known is not None else None
    if "uses_allowed" in body:
        uses_allowed = None if body["uses_allowed"] is None else body.integer("uses_allowed")
        if uses_allowed is not None and uses_allowed < 0:
            raise InvalidParam("'uses_allowed' must not be negative.")
    if "expiry_time" in body:
        expires_ts = None if body["expiry_time"] is None else body.integer("expiry_time")
        if expires_ts is not None and expires_ts < call.now_ms:
            raise InvalidParam("'expiry_time' must not be in the past.")
    return uses_allowed, expires_ts


def _token_response(db: Db, token: str) -> Response:
    known = find_registration_token(db, token)
    assert known is not None, "it was written in this transaction"
    return json_response(_described(known))


def _described(token: RegistrationToken) -> dict[str, Any]:
    return {
        "token": token.token,
        "uses_allowed": token.uses_allowed,
        "pending": 0,
        "completed": token.used,
        "expiry_time": token.expires_ts,
    }
