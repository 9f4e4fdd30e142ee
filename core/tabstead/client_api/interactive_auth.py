"""Operations that want more than an access token. § User-Interactive Authentication API

An endpoint of this kind is declared as waiting with `Access.NONE` and hands its work to `carry_out_confirmed`, which
does the rest: a password is verified before the transaction, since that takes long; the access token is checked inside
of it, behind the answers kept for a second dispatch, since the operation may be the end of that very token.

Which flows there are follows from the user: the password of who has one, single sign-on for who logs in that way. A
client of the OAuth 2.0 API has no such operations, but for one, which its user allows on the account page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tabstead.accounts.access import authenticate
from tabstead.accounts.cross_signing_resets import take_cross_signing_reset
from tabstead.accounts.interactive_auth import (
    DUMMY,
    EMAIL,
    OAUTH,
    PASSWORD,
    REGISTRATION_TOKEN,
    SSO,
    TERMS,
    Attempt,
    Challenge,
    Demand,
    Prove,
    complete_stage,
    confirm,
)
from tabstead.accounts.passwords import is_password
from tabstead.accounts.registration_tokens import is_registration_token
from tabstead.accounts.third_party_ids import Purpose, get_validated
from tabstead.client_api.call import Access, Call
from tabstead.client_api.identifiers import find_identified_user
from tabstead.client_api.rate_limits import WRONG_PASSWORDS
from tabstead.client_api.web.addresses import account_page_url
from tabstead.configuration import Configuration
from tabstead.errors import BadRequest, Forbidden, Unauthenticated, UnknownToken
from tabstead.http import JsonObject, Request, Response, json_response
from tabstead.protocol.identifiers import MAX_IDENTIFIER_BYTES, localpart_of
from tabstead.storage.database import Db
from tabstead.storage.external_identities import select_external_identities
from tabstead.storage.interactive_auth import delete_session, find_session
from tabstead.storage.users import User, find_user

ConfirmedWork: TypeAlias = Callable[[Call, Db, JsonObject], Response]
"""Gets the parameters of the request, together with those that its session remembers."""

_CROSS_SIGNING: Final = "/keys/device_signing/upload"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAttempt:
    """What a stage is judged by."""

    call: Call
    db: Db
    auth: JsonObject
    user_id: str | None = None
    proven_hash: str | None = None
    """The password hash that the password in `auth` was found to have."""
    purpose: Purpose = Purpose.REGISTER
    """What an email address has to be validated for."""


def parse_attempt(request: Request, operation: str, user_id: str | None = None) -> Attempt:
    """What the request's `auth` tries. Raises BadJson."""
    auth = find_auth(request)
    return Attempt(
        operation=operation,
        body=request.optional_json_object().values_dict,
        session_id=auth.find_string("session"),
        stage=auth.find_string("type"),
        user_id=user_id,
    )


def find_auth(request: Request) -> JsonObject:
    """The request's `auth`, or nothing. Raises BadJson."""
    return request.optional_json_object().find_object("auth") or JsonObject({})


def challenge_response(challenge: Challenge) -> Response:
    """401 with the flows. Returned, not raised, so that the session stays in the database."""
    error = challenge.to_error()
    return json_response(error.to_json(), error.status)


def build_prove(attempt: StageAttempt) -> Prove:
    """What judges each stage for `confirm`."""
    return lambda stage: _PROOFS[stage](attempt)


async def carry_out_confirmed(
    call: Call, work: ConfirmedWork, *, unless: Callable[[Call, Db], bool] | None = None
) -> Response:
    """Do the work once the user has authenticated again, or at once where `unless` says so."""
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
    user_id = call.user_id
    attempt = parse_attempt(call.request, f"{call.request.method} {call.request.path} {user_id}", user_id)
    auth = find_auth(call.request)
    tried = StageAttempt(call=call, db=db, auth=auth, user_id=user_id, proven_hash=proven_hash, purpose=Purpose.ADD)
    demand = _demand_of_user(call, db)
    if demand.flows == ((OAUTH,),) and attempt.session_id is not None:
        _note_reset(db, attempt.session_id, user_id, call.now_ms)
    answer = confirm(db, attempt, demand, build_prove(tried), call.now_ms)
    if isinstance(answer, Challenge):
        return challenge_response(answer)
    delete_session(db, answer.session.session_id)
    return work(call, db, JsonObject(answer.session.body))


def _demand_of_user(call: Call, db: Db) -> Demand:
    """How the requester may confirm. Raises Forbidden where a client of the OAuth 2.0 API may not even try."""
    account_page = account_page_url(call.context.configuration)
    if call.requester.oauth_client_id is not None:
        # "The only exception to this is the /keys/device_signing/upload endpoint."
        if not call.request.path.endswith(_CROSS_SIGNING):
            raise Forbidden(f"Clients of the OAuth 2.0 API leave this to the account page: {account_page}")
        reset = {"url": f"{account_page}?action=org.matrix.cross_signing_reset"}
        return Demand(flows=((OAUTH,),), params={OAUTH: reset})
    user = find_user(db, call.user_id)
    flows: list[tuple[str, ...]] = []
    if user is not None and user.password_hash is not None:
        flows.append((PASSWORD,))
    if has_single_sign_on(call, db):
        flows.append((SSO,))
    return Demand(flows=tuple(flows) or ((PASSWORD,),))


def _note_reset(db: Db, session_id: str, user_id: str, now_ms: int) -> None:
    """Complete the session's stage if its user has allowed the reset on the account page."""
    session = find_session(db, session_id, now_ms)
    if session is not None and session.user_id == user_id and take_cross_signing_reset(db, user_id, now_ms):
        complete_stage(db, session, OAUTH, True)


def has_single_sign_on(call: Call, db: Db) -> bool:
    """Whether the requester can log in at a provider that is configured."""
    configured = {provider.id for provider in call.context.configuration.identity_providers}
    return any(identity.provider_id in configured for identity in select_external_identities(db, call.user_id))


async def _prove_password(call: Call) -> str | None:
    """The hash that the password in `auth` was found to have: the requester's, as it was a moment ago."""
    password, token = find_auth(call.request).find_string("password"), call.request.access_token()
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


def _prove_by_password(attempt: StageAttempt) -> bool:
    """Raises Forbidden where the password is not the user's."""
    user_id = attempt.user_id
    assert user_id is not None, "the stage is offered to users alone"
    user = find_user(attempt.db, user_id)
    named = find_identified_user(attempt.db, attempt.auth, attempt.call.context.local_server.name)
    if named is not None and named not in {user_id, user_id.lower()} and named.lower() != user_id:
        raise Forbidden(f"You are logged in as {localpart_of(user_id)}, not as this user.")
    if attempt.proven_hash is None or user is None or user.password_hash != attempt.proven_hash:
        raise Forbidden("The password is wrong.")
    return True


def _prove_by_token(attempt: StageAttempt) -> str:
    """The registration token. Raises Forbidden where it can't be used."""
    token = attempt.auth.string("token")
    configured = attempt.call.context.configuration.registration.tokens
    if not is_registration_token(attempt.db, token, configured, attempt.call.now_ms):
        raise Forbidden("This registration token is not valid, or no longer.")
    return token


def _prove_by_email(attempt: StageAttempt) -> dict[str, Any]:
    """The validated address. Raises Unauthenticated while it isn't."""
    found = attempt.auth.find_object("threepid_creds") or attempt.auth.object("threepidCreds")
    session_id, client_secret = found.string("sid"), found.string("client_secret")
    try:
        validation = get_validated(attempt.db, attempt.purpose, session_id, client_secret, attempt.call.now_ms)
    except BadRequest as error:
        # what clients take for "not yet", and ask again
        raise Unauthenticated(error.sentence, errcode="M_UNAUTHORIZED") from error
    return {"address": validation.address, "validated_ts": validation.validated_ts, "sid": session_id}


def accepted_terms(configuration: Configuration) -> list[str]:
    """The documents that are presented, with their versions: what accepting them proves."""
    return sorted({f"{policy.id} {policy.version}" for policy in configuration.registration.terms})


def _prove_elsewhere(attempt: StageAttempt) -> Any:
    raise Forbidden("This is done in a web page; repeat the request with the session alone afterwards.")


_PROOFS: Final[Mapping[str, Callable[[StageAttempt], Any]]] = {
    DUMMY: lambda attempt: True,
    PASSWORD: _prove_by_password,
    REGISTRATION_TOKEN: _prove_by_token,
    EMAIL: _prove_by_email,
    TERMS: lambda attempt: accepted_terms(attempt.call.context.configuration),
    SSO: _prove_elsewhere,
    OAUTH: _prove_elsewhere,
}
