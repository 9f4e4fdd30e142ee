"""Operations that want the user's password once more. § User-Interactive Authentication API

An endpoint of this kind is declared as waiting with `Access.NONE` and hands its work to `carry_out_confirmed`, which
does the rest: the password is verified before the transaction, since that takes long; the access token is checked
inside of it, behind the answers kept for a second dispatch, since the operation may be the end of that very token.
"""

from collections.abc import Callable
from typing import TypeAlias

from tabstead.accounts.access import authenticate
from tabstead.accounts.interactive_auth import PASSWORD, Attempt, Challenge, confirm
from tabstead.accounts.passwords import is_password
from tabstead.client_api.call import Access, Call
from tabstead.client_api.rate_limits import WRONG_PASSWORDS
from tabstead.errors import Forbidden, MatrixError, UnknownToken
from tabstead.http import JsonObject, Request, Response, json_response
from tabstead.protocol.identifiers import MAX_IDENTIFIER_BYTES, localpart_of
from tabstead.storage.database import Db
from tabstead.storage.interactive_auth import delete_session
from tabstead.storage.users import User, find_user

ConfirmedWork: TypeAlias = Callable[[Call, Db, JsonObject], Response]
"""Gets the parameters of the request, together with those that its session remembers."""


def parse_attempt(request: Request, operation: str) -> Attempt:
    """What the request's `auth` tries. Raises BadJson."""
    body = request.optional_json_object()
    auth = body.find_object("auth") or JsonObject({})
    return Attempt(
        operation=operation,
        body=body.values_dict,
        session_id=auth.find_string("session"),
        stage=auth.find_string("type"),
    )


def challenge_response(challenge: Challenge) -> Response:
    """401 with the flows. Returned, not raised, so that the session stays in the database."""
    error = challenge.to_error()
    return json_response(error.to_json(), error.status)


def find_identified_user(source: JsonObject, server_name: str) -> str | None:
    """The user that an `identifier` (or the older `user`) names, as a user ID; None for another kind of name.

    § Identifier types: a user ID, or its localpart alone.
    """
    identifier = source.find_object("identifier")
    if identifier is None:
        name = source.find_string("user")
    else:
        name = identifier.find_string("user") if identifier.find_string("type") == "m.id.user" else None
    if not name:
        return None
    return name if name.startswith("@") else f"@{name}:{server_name}"


async def carry_out_confirmed(
    call: Call, work: ConfirmedWork, *, unless: Callable[[Call, Db], bool] | None = None
) -> Response:
    """Do the work once the user has confirmed it with the password, or at once where `unless` says so."""
    context, request = call.context, call.request
    proven_hash = await _prove_password(call)

    def confirmed(db: Db) -> Response:
        authenticated = Call.authenticated(context, request, db, Access.USER)
        authenticated.record_use(db)
        if unless is not None and unless(authenticated, db):
            return work(authenticated, db, request.optional_json_object())
        return _confirm_and_work(authenticated, db, proven_hash, work)

    return await context.write_once(request, confirmed)


def _confirm_and_work(call: Call, db: Db, proven_hash: str | None, work: ConfirmedWork) -> Response:
    attempt = parse_attempt(call.request, f"{call.request.method} {call.request.path} {call.user_id}")
    if attempt.stage == PASSWORD:
        attempt = attempt.failed(_find_failure(call, db, proven_hash))
    answer = confirm(db, attempt, PASSWORD, call.now_ms)
    if isinstance(answer, Challenge):
        return challenge_response(answer)
    delete_session(db, answer.session.session_id)
    return work(call, db, JsonObject(answer.session.body))


async def _prove_password(call: Call) -> str | None:
    """The hash that the password in `auth` was found to have: the requester's, as it was a moment ago."""
    auth = call.request.optional_json_object().find_object("auth")
    password = auth.find_string("password") if auth is not None else None
    token = call.request.access_token()
    if password is None or token is None:
        return None
    user = await call.context.database.read(lambda db: _find_user_of(db, token, call.now_ms))
    return try_password(call, user.user_id if user is not None else None, user, password)


def try_password(call: Call, name: str | None, user: User | None, password: str) -> str | None:
    """The user's password hash if the password is theirs; takes as long when there is no such user.

    `name` is what wrong passwords are counted for, as it was typed. Raises LimitExceeded after too many of them.
    """
    limiter, counted = call.context.rate_limiter, name.lower()[:MAX_IDENTIFIER_BYTES] if name is not None else None
    limiter.check(WRONG_PASSWORDS, counted)
    password_hash = user.password_hash if user is not None else None
    if is_password(password, password_hash):
        return password_hash
    limiter.take(WRONG_PASSWORDS, counted)
    return None


def _find_user_of(db: Db, access_token: str, now_ms: int) -> User | None:
    try:
        return find_user(db, authenticate(db, access_token, now_ms).user_id)
    except UnknownToken:
        return None


def _find_failure(call: Call, db: Db, proven_hash: str | None) -> MatrixError | None:
    """Why the password is not the requester's."""
    user = find_user(db, call.user_id)
    named = find_identified_user(call.body().object("auth"), call.context.local_server.name)
    if named is not None and named.lower() != call.user_id and named != call.user_id:
        return Forbidden(f"You are logged in as {localpart_of(call.user_id)}, not as this user.")
    if proven_hash is None or user is None or user.password_hash != proven_hash:
        return Forbidden("The password is wrong.")
    return None
