"""Where people arrive: at the account page, or for single sign-on. § Account management, § Client login via SSO"""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from tabstead.client_api.call import Access, Call
from tabstead.client_api.oauth.metadata import check_enabled
from tabstead.client_api.rate_limits import LOGGING_IN
from tabstead.client_api.routes import Routes
from tabstead.client_api.web.addresses import ACCOUNT
from tabstead.client_api.web.forms import shows_errors, shows_errors_waiting
from tabstead.client_api.web.pages import redirect
from tabstead.client_api.web.provider_sign_in import begin_provider_sign_in, get_provider
from tabstead.client_api.web.sign_in import sign_in_address
from tabstead.client_api.web.visits import Visit, begin_visit
from tabstead.errors import InvalidParam
from tabstead.http import Response
from tabstead.storage.database import Db

routes = Routes()

_SSO: Final = "/_matrix/client/v3/login/sso/redirect"
_has_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:").match
_NEVER: Final = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source"})


@routes.write("GET", ACCOUNT, access=Access.NONE, limit=LOGGING_IN)
@shows_errors
def get_account(call: Call, db: Db) -> Response:
    """GET /_matrix/client/web/account. § Account management URL parameters."""
    check_enabled(call.context.configuration)
    aim = {"kind": "account", "action": call.query.get("action"), "device_id": call.query.get("device_id")}
    visit = begin_visit(db, aim, call.now_ms)
    return redirect(sign_in_address(call.context.configuration, visit), status=302)


@routes.waiting("GET", _SSO, access=Access.NONE, limit=LOGGING_IN)
@shows_errors_waiting
async def get_sso_redirect(call: Call) -> Response:
    """GET /_matrix/client/v3/login/sso/redirect. § Client login via SSO.

    To the only provider there is, or to our own page, where the person chooses.
    """
    providers = call.context.configuration.identity_providers
    visit = await _begin_sso(call)
    if len(providers) == 1:
        return await begin_provider_sign_in(call, providers[0].id, {"visit": visit.secret}, status=302)
    return redirect(sign_in_address(call.context.configuration, visit), status=302)


@routes.waiting("GET", f"{_SSO}/{{idpId}}", access=Access.NONE, limit=LOGGING_IN)
@shows_errors_waiting
async def get_sso_redirect_to_provider(call: Call) -> Response:
    """GET /_matrix/client/v3/login/sso/redirect/{idpId}. § Client login via SSO."""
    provider = get_provider(call.context.configuration, call.parameter("idpId"))
    visit = await _begin_sso(call)
    return await begin_provider_sign_in(call, provider.id, {"visit": visit.secret}, status=302)


async def _begin_sso(call: Call) -> Visit:
    """Raises MissingParam, InvalidParam."""
    url = call.query.string("redirectUrl")
    scheme = url.partition(":")[0].lower()
    if not _has_scheme(url) or scheme in _NEVER or any(character <= " " for character in url):
        raise InvalidParam("redirectUrl must be a URL that a browser can go to.")
    action = call.query.choice("action", ("login", "register"), "login")
    aim: dict[str, Any] = {
        "kind": "sso",
        "redirect_url": url,
        "client_name": urlsplit(url).netloc or f"{scheme}:",
        "creates": action == "register",
    }
    return await call.context.write(lambda db: begin_visit(db, aim, call.now_ms))
