"""Where a client of the OAuth 2.0 API sends its user, or a device without a browser. § Login flows"""

from typing import Any, Final

from tabstead.accounts.oauth_clients import AUTHORIZATION_CODE, OAuthClient, get_client
from tabstead.accounts.oauth_grants import get_pending_grant
from tabstead.accounts.oauth_scopes import parse_scope
from tabstead.client_api.call import Access, Call
from tabstead.client_api.oauth.metadata import check_enabled
from tabstead.client_api.rate_limits import LOGGING_IN
from tabstead.client_api.routes import Routes
from tabstead.client_api.web.addresses import AUTHORIZE, LINK_DEVICE
from tabstead.client_api.web.consent import answer_client
from tabstead.client_api.web.forms import parse_form, shows_errors
from tabstead.client_api.web.pages import error_page, field, page, redirect
from tabstead.client_api.web.sign_in import sign_in_address
from tabstead.client_api.web.visits import begin_visit
from tabstead.errors import BadRequest, MatrixError, NotFound, OAuthError
from tabstead.http import Query, Response
from tabstead.storage.database import Db

routes = Routes()

_MODES: Final = ("query", "fragment")


@routes.write("GET", AUTHORIZE, access=Access.NONE, limit=LOGGING_IN)
@shows_errors
def get_authorize(call: Call, db: Db) -> Response:
    """GET /_matrix/client/oauth2/authorize. § Authorisation code flow."""
    check_enabled(call.context.configuration)
    query = call.query
    client, redirect_url = _check_client(db, query)
    mode = query.get("response_mode", "query")
    aim: dict[str, Any] = {
        "kind": "oauth",
        "client_id": client.client_id,
        "redirect_url": redirect_url,
        "response_mode": mode if mode in _MODES else "query",
        "state": query.get("state"),
        **_described(client),
    }
    try:
        aim |= _check_request(query, client, mode)
    except OAuthError as error:
        return answer_client(aim, error=error.error, error_description=error.sentence)
    return _begin(call, db, aim)


@routes.write("GET", LINK_DEVICE, access=Access.NONE, limit=LOGGING_IN)
def get_link(call: Call, db: Db) -> Response:
    """GET /_matrix/client/web/link. § Device authorisation flow: with a code, or to type one."""
    return _link(call, db, call.query)


@routes.write("POST", LINK_DEVICE, access=Access.NONE, limit=LOGGING_IN)
def post_link(call: Call, db: Db) -> Response:
    """POST /_matrix/client/web/link: the code that was typed."""
    try:
        return _link(call, db, parse_form(call))
    except MatrixError as error:
        return error_page(error)


def _link(call: Call, db: Db, source: Query) -> Response:
    try:
        check_enabled(call.context.configuration)
        user_code = source.get("user_code", "").strip()
        if not user_code:
            return _code_page("")
        grant = get_pending_grant(db, user_code, call.now_ms)
        client = get_client(db, grant["client_id"])
    except NotFound as error:
        return _code_page(error.sentence)
    except MatrixError as error:
        return error_page(error)
    device_id = parse_scope(grant["scope"]).device_id
    aim = {"kind": "link", "user_code": user_code.upper(), "device_id": device_id, **_described(client)}
    return _begin(call, db, aim)


def _code_page(problem: str) -> Response:
    said = f'<p class="bad" role="alert">{problem}</p>\n' if problem else ""
    form = f'<form method="post" action="link">\n{field("user_code", "Code")}<button>Continue</button>\n</form>\n'
    text = "<p>Type the code that the other device shows.</p>\n"
    return page("Connect a device", said + text + form, status=404 if problem else 200)


def _begin(call: Call, db: Db, aim: dict[str, Any]) -> Response:
    visit = begin_visit(db, aim, call.now_ms)
    return redirect(sign_in_address(call.context.configuration, visit), status=302)


def _check_client(db: Db, query: Query) -> tuple[OAuthClient, str]:
    """Who asks, and where the answer may go. Until both are known, errors are a page's."""
    try:
        client = get_client(db, query.get("client_id", ""))
    except OAuthError as error:
        raise BadRequest(f"{error.sentence} Go back to the application and begin again.") from error
    redirect_uri = query.get("redirect_uri", "")
    if not client.allows_redirect(redirect_uri):
        raise BadRequest("The application asks to be answered at an address that it did not register.")
    return client, redirect_uri


def _check_request(query: Query, client: OAuthClient, mode: str) -> dict[str, Any]:
    """Raises OAuthError."""
    rules = (
        (len(query) == len(query.pairs), "invalid_request", "A parameter is given twice."),
        (query.get("response_type") == "code", "unsupported_response_type", "The response type must be code."),
        (mode in _MODES, "invalid_request", "The response mode must be query or fragment."),
        (client.allows_grant(AUTHORIZATION_CODE), "unauthorized_client", "The client may not use this grant type."),
        (query.get("code_challenge_method") == "S256", "invalid_request", "code_challenge_method must be S256."),
        (43 <= len(query.get("code_challenge", "")) <= 128, "invalid_request", "code_challenge is missing."),
    )
    for holds, error, sentence in rules:
        if not holds:
            raise OAuthError(error, sentence)
    scope = parse_scope(query.get("scope", ""))
    return {
        "code_challenge": query["code_challenge"],
        "scope": scope.granted,
        "device_id": scope.device_id,
        "creates": "create" in query.get("prompt", "").split(" "),
    }


def _described(client: OAuthClient) -> dict[str, Any]:
    """What people are shown of a client."""
    shown = {key: client.metadata.get(key) for key in ("client_uri", "tos_uri", "policy_uri")}
    return {"client_name": client.name, **shown}
