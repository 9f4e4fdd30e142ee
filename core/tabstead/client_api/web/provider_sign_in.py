"""Going to another identity provider and coming back. § SSO client login/authentication

What the browser is to come back for is a ticket, whose secret is OpenID Connect's `state`. Where responses can set
cookies, one ties it to the browser that went: nobody can send somebody else back in their place.
"""

import hashlib
import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from tabstead.accounts.external_accounts import find_or_create_account
from tabstead.accounts.interactive_auth import SSO, complete_stage
from tabstead.accounts.openid_connect import (
    Claims,
    LoginRequest,
    build_authorization_url,
    fetch_claims,
    new_login_request,
)
from tabstead.accounts.tickets import TicketKind, change_ticket, issue_ticket, take_ticket
from tabstead.client_api.call import Access, Call
from tabstead.client_api.rate_limits import LOGGING_IN
from tabstead.client_api.routes import Routes
from tabstead.client_api.web.addresses import PROVIDER_CALLBACK, absolute
from tabstead.client_api.web.forms import shows_errors_waiting
from tabstead.client_api.web.pages import done_page, redirect
from tabstead.client_api.web.visits import get_visit, sign_in
from tabstead.configuration import Configuration, IdentityProvider
from tabstead.errors import Forbidden, NotFound
from tabstead.http import Response
from tabstead.storage.database import Db
from tabstead.storage.external_identities import ExternalIdentity, find_user_of_identity
from tabstead.storage.interactive_auth import find_session

routes = Routes()

_TRIP: Final = TicketKind(name="trip to a provider", lives_ms=15 * 60 * 1000)
_COOKIE: Final = "tabstead_sign_in"


def get_provider(configuration: Configuration, provider_id: str) -> IdentityProvider:
    """Raises NotFound."""
    for provider in configuration.identity_providers:
        if provider.id == provider_id:
            return provider
    raise NotFound("This server has no such identity provider.")


async def begin_provider_sign_in(call: Call, provider_id: str, aim: dict[str, str], *, status: int = 303) -> Response:
    """Send the browser to a provider. `aim` has the secret of a `visit`, or the id of a `session` to confirm.

    Raises NotFound, ProviderFailed.
    """
    context = call.context
    provider = get_provider(context.configuration, provider_id)
    browser = _find_cookie(call) or secrets.token_urlsafe(24)
    redirect_uri = absolute(context.configuration, PROVIDER_CALLBACK)
    # the ticket's secret is the state, so it is issued first and filled in afterwards
    state = await context.write(lambda db: issue_ticket(db, _TRIP, {}, call.now_ms))
    login = new_login_request(redirect_uri, state)
    url = await build_authorization_url(context.outbound, provider, login)
    trip = {
        "provider": provider.id,
        "nonce": login.nonce,
        "code_verifier": login.code_verifier,
        "browser": _hash(browser),
        **aim,
    }
    await context.write(lambda db: change_ticket(db, _TRIP, state, trip))
    return redirect(url, _cookie_header(context.configuration, browser), status)


@routes.waiting("GET", PROVIDER_CALLBACK, access=Access.NONE, limit=LOGGING_IN)
@shows_errors_waiting
async def get_callback(call: Call) -> Response:
    """GET /_matrix/client/web/callback. § Handling the callback from the Authentication server."""
    context, state = call.context, call.query.get("state", "")
    trip = await context.write(lambda db: take_ticket(db, _TRIP, state, call.now_ms))
    if not trip or not _is_same_browser(call, trip):
        raise Forbidden("This sign-in did not begin in this browser, or is over. Begin again in the application.")
    provider = get_provider(context.configuration, trip["provider"])
    if "code" not in call.query:
        raise Forbidden(f"{provider.name} did not sign you in ({call.query.get('error', 'no reason given')[:80]}).")
    login = LoginRequest(
        state=state,
        nonce=trip["nonce"],
        code_verifier=trip["code_verifier"],
        redirect_uri=absolute(context.configuration, PROVIDER_CALLBACK),
    )
    claims = await fetch_claims(context.outbound, provider, login, call.query["code"], call.now_ms)
    finish = _confirm_session if "session" in trip else _enter_visit
    return await context.write(lambda db: finish(call, db, provider, claims, trip))


def _enter_visit(call: Call, db: Db, provider: IdentityProvider, claims: Claims, trip: dict[str, Any]) -> Response:
    from tabstead.client_api.web.aims import go_on  # its pages lead here

    visit = get_visit(db, trip["visit"], call.now_ms)
    user_id = find_or_create_account(db, provider, claims, call.context.local_server.name, call.now_ms)
    return go_on(call, db, sign_in(db, visit, user_id, call.now_ms))


def _confirm_session(call: Call, db: Db, provider: IdentityProvider, claims: Claims, trip: dict[str, Any]) -> Response:
    """§ SSO during User-Interactive Authentication: it must be the same person."""
    session = find_session(db, trip["session"], call.now_ms)
    identity = ExternalIdentity(provider_id=provider.id, subject=claims["sub"])
    if session is None or session.user_id is None or find_user_of_identity(db, identity) != session.user_id:
        raise Forbidden("You have signed in as somebody else than the user of the application.")
    complete_stage(db, session, SSO, identity.provider_id)
    return done_page()


def _is_same_browser(call: Call, trip: dict[str, Any]) -> bool:
    if not call.context.configuration.has_cookies:
        return True
    browser = _find_cookie(call)
    return browser is not None and hmac.compare_digest(_hash(browser), trip["browser"])


def _find_cookie(call: Call) -> str | None:
    try:
        morsel = SimpleCookie(call.request.headers.get("cookie", "")).get(_COOKIE)
    except CookieError:
        return None
    return None if morsel is None else morsel.value


def _cookie_header(configuration: Configuration, browser: str) -> dict[str, str]:
    if not configuration.has_cookies:
        return {}
    secure = "; Secure" if configuration.base_url.startswith("https://") else ""
    attributes = f"Path=/_matrix/client; Max-Age={_TRIP.lives_ms // 1000}; HttpOnly; SameSite=Lax{secure}"
    return {"set-cookie": f"{_COOKIE}={browser}; {attributes}"}


def _hash(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()
