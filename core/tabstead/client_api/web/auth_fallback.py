"""The web page of a stage, for clients that do not know it. § Fallback

The page completes the stage in the session; the client then repeats its request with the session alone. Who is asked
for a password is told what it is for: the page may have been opened by somebody who holds a stolen access token.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tabstead.accounts.interactive_auth import (
    DUMMY,
    EMAIL,
    OAUTH,
    PASSWORD,
    REGISTRATION_TOKEN,
    SSO,
    TERMS,
    complete_stage,
)
from tabstead.accounts.registration_tokens import is_registration_token
from tabstead.accounts.third_party_ids import Purpose, get_validated
from tabstead.client_api.call import Access, Call
from tabstead.client_api.interactive_auth import accepted_terms, try_password
from tabstead.client_api.rate_limits import LOGGING_IN
from tabstead.client_api.routes import Routes
from tabstead.client_api.third_party_ids import send_validation_email
from tabstead.client_api.web.addresses import account_page_url
from tabstead.client_api.web.forms import parse_form, shows_errors_waiting
from tabstead.client_api.web.pages import button_form, done_page, escape, field, hidden, page, redirect
from tabstead.client_api.web.provider_sign_in import begin_provider_sign_in
from tabstead.errors import BadRequest, Forbidden, MatrixError, NotFound
from tabstead.http import Query, Response
from tabstead.storage.database import Db
from tabstead.storage.interactive_auth import AuthSession, find_session
from tabstead.storage.users import find_user

routes = Routes()

_PATH: Final = "/_matrix/client/v3/auth/{authType}/fallback/web"
_ACTION: Final = "web"
"""Of the forms, relative to the page."""

_OPERATIONS: Final = {
    "/delete_devices": "remove devices from your account",
    "/devices/": "remove a device from your account",
    "/account/password": "change your password",
    "/account/deactivate": "close your account for good",
    "/account/3pid/add": "add an email address to your account",
    "/login/get_token": "log in another device",
    "/keys/device_signing/upload": "replace the keys that your devices are verified with",
}


@routes.waiting("GET", _PATH, access=Access.NONE)
@shows_errors_waiting
async def get_fallback(call: Call) -> Response:
    """GET /_matrix/client/v3/auth/{authType}/fallback/web. § Fallback."""
    stage = call.parameter("authType")
    session = await call.context.database.read(lambda db: _get_session(call, db, call.query))
    if stage == OAUTH:
        return redirect(f"{account_page_url(call.context.configuration)}?action=org.matrix.cross_signing_reset")
    if stage in session.completed:
        return done_page()
    return _get_form(stage)(call, session, "")


@routes.waiting("POST", _PATH, access=Access.NONE, limit=LOGGING_IN)
@shows_errors_waiting
async def post_fallback(call: Call) -> Response:
    """POST /_matrix/client/v3/auth/{authType}/fallback/web: the form of the page."""
    stage, form = call.parameter("authType"), parse_form(call)
    session = await call.context.database.read(lambda db: _get_session(call, db, form))
    if stage == SSO:
        return await begin_provider_sign_in(call, form.get("provider", ""), {"session": session.session_id})
    if stage == EMAIL and "email" in form:
        return await _send_email(call, session, form)
    show_form = _get_form(stage)
    proven = await _prove_password(call, session, form) if stage == PASSWORD else None
    try:
        return await call.context.write_once(call.request, lambda db: _complete(call, db, stage, form, proven))
    except Forbidden as error:
        return show_form(call, session, error.sentence)


def describe_operation(session: AuthSession) -> str:
    """What the session is for, as in "a client is trying to …"."""
    for part, description in _OPERATIONS.items():
        if part in session.operation:
            return description
    return "do something with your account" if session.user_id else "create an account"


def _get_session(call: Call, db: Db, source: Query) -> AuthSession:
    session = find_session(db, source.get("session", ""), call.now_ms)
    if session is None:
        raise NotFound("This page belongs to a request that is over. Begin again in the application.")
    return session


def _get_form(stage: str) -> Callable[[Call, AuthSession, str], Response]:
    if stage not in _FORMS:
        raise NotFound(f"This server does not use {stage[:80]}.")
    return _FORMS[stage]


def _complete(call: Call, db: Db, stage: str, form: Query, proven_hash: str | None) -> Response:
    session = _get_session(call, db, form)
    complete_stage(db, session, stage, _judge(call, db, stage, session, form, proven_hash))
    return done_page()


def _judge(  # noqa: PLR0917
    call: Call, db: Db, stage: str, session: AuthSession, form: Query, proven_hash: str | None
) -> Any:
    """What the form proves. Raises Forbidden where it fails."""
    configuration = call.context.configuration
    if stage == REGISTRATION_TOKEN:
        token = form.get("token", "").strip()
        if not is_registration_token(db, token, configuration.registration.tokens, call.now_ms):
            raise Forbidden("This token is not valid, or no longer.")
        return token
    if stage == TERMS:
        documents = {policy.id for policy in configuration.registration.terms}
        if not documents <= set(form.all("accept")):
            raise Forbidden("All documents have to be accepted.")
        return accepted_terms(configuration)
    if stage == EMAIL:
        return _judge_email(call, db, form)
    if stage == PASSWORD:
        user = find_user(db, session.user_id) if session.user_id is not None else None
        if proven_hash is None or user is None or user.password_hash != proven_hash:
            raise Forbidden("The password is wrong.")
    return True


def _judge_email(call: Call, db: Db, form: Query) -> dict[str, Any]:
    try:
        validation = get_validated(
            db, Purpose.REGISTER, form.get("sid", ""), form.get("client_secret", ""), call.now_ms
        )
    except BadRequest as error:
        raise Forbidden("The link in the email was not opened and confirmed yet.") from error
    return {"address": validation.address, "validated_ts": validation.validated_ts, "sid": validation.session_id}


async def _prove_password(call: Call, session: AuthSession, form: Query) -> str | None:
    user_id = session.user_id
    if user_id is None:
        return None
    user = await call.context.database.read(lambda db: find_user(db, user_id))
    return try_password(call, user_id, user, form.get("password", ""))


async def _send_email(call: Call, session: AuthSession, form: Query) -> Response:
    """Send the link, and wait for the person on a page that says so."""
    client_secret = session.session_id.replace("-", "=")
    address = form.get("email", "").strip()
    try:
        session_id = await send_validation_email(
            call, Purpose.REGISTER, address, client_secret=client_secret, send_attempt=1
        )
    except MatrixError as error:
        return _email_form(call, session, error.sentence)
    go_on = button_form(
        _ACTION, "I have confirmed it", session=session.session_id, sid=session_id, client_secret=client_secret
    )
    return page("Look into your email", f"<p>Open the link that was sent to {escape(address)}.</p>{go_on}")


def _form(session: AuthSession, content: str, button: str, problem: str) -> str:
    said = f'<p class="bad" role="alert">{escape(problem)}</p>\n' if problem else ""
    carried = hidden(session=session.session_id)
    return f'{said}<form method="post" action="{_ACTION}">\n{carried}{content}<button>{button}</button>\n</form>'


def _warning(session: AuthSession) -> str:
    operation = escape(describe_operation(session))
    return (
        f"<p>An application wants to {operation}.</p>"
        '<p class="soft">If you did not ask for that, somebody else may be in your account: close this page.</p>\n'
    )


def _token_form(call: Call, session: AuthSession, problem: str) -> Response:
    return page("Registration token", _form(session, field("token", "Token"), "Continue", problem))


def _terms_form(call: Call, session: AuthSession, problem: str) -> Response:
    choices = "".join(
        f'<label class="choice"><input type="checkbox" name="accept" value="{escape(policy.id)}" required>'
        f'<span>I accept <a href="{escape(policy.url)}" target="_blank" rel="noopener">{escape(policy.name)}</a>'
        "</span></label>\n"
        for policy in call.context.configuration.registration.terms
        if policy.language == "en" or not _has_english(call, policy.id)
    )
    return page("Terms", _form(session, choices, "Continue", problem))


def _has_english(call: Call, policy_id: str) -> bool:
    terms = call.context.configuration.registration.terms
    return any(policy.id == policy_id and policy.language == "en" for policy in terms)


def _dummy_form(call: Call, session: AuthSession, problem: str) -> Response:
    return page("One more step", _form(session, "", "Continue", problem))


def _password_form(call: Call, session: AuthSession, problem: str) -> Response:
    if session.user_id is None:
        raise NotFound("There is no account yet whose password could be asked for.")
    content = field("password", "Password", kind="password", autocomplete="current-password")
    name = f"<p>Your account: {escape(session.user_id)}</p>"
    return page("Is it you?", _warning(session) + name + _form(session, content, "Confirm", problem))


def _email_form(call: Call, session: AuthSession, problem: str) -> Response:
    content = field("email", "Email address", kind="email", autocomplete="email")
    return page("Your email address", _form(session, content, "Send me a link", problem))


def _sso_form(call: Call, session: AuthSession, problem: str) -> Response:
    buttons = "".join(
        button_form(_ACTION, f"Confirm with {provider.name}", session=session.session_id, provider=provider.id)
        for provider in call.context.configuration.identity_providers
    )
    targets = ("https:", "http:")  # the provider's page, wherever its discovery document says that it is
    return page("Is it you?", _warning(session) + buttons, form_targets=targets)


_FORMS: Final[Mapping[str, Callable[[Call, AuthSession, str], Response]]] = {
    REGISTRATION_TOKEN: _token_form,
    TERMS: _terms_form,
    DUMMY: _dummy_form,
    PASSWORD: _password_form,
    EMAIL: _email_form,
    SSO: _sso_form,
}
