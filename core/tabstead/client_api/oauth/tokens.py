"""The token endpoint, and giving tokens back. § Grant types, § Token revocation"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from tabstead.accounts.access import Grant, find_device_betrayed, find_token, refresh_tokens
from tabstead.accounts.devices import NewDevice, delete_devices, log_in
from tabstead.accounts.oauth_clients import AUTHORIZATION_CODE, DEVICE_CODE, REFRESH_TOKEN, OAuthClient, get_client
from tabstead.accounts.oauth_grants import AUTHORIZATION, poll_device_grant
from tabstead.accounts.oauth_scopes import parse_scope
from tabstead.accounts.tickets import take_ticket
from tabstead.client_api.call import Access, Call
from tabstead.client_api.oauth.metadata import check_enabled
from tabstead.client_api.rate_limits import LOGGING_IN
from tabstead.client_api.routes import Routes
from tabstead.client_api.web import addresses
from tabstead.errors import OAuthError, UnknownToken
from tabstead.http import Query, Response, json_response
from tabstead.storage.access_tokens import find_oauth_client_of_device
from tabstead.storage.database import Db

routes = Routes()

_NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache"}


@routes.write("POST", addresses.TOKEN, access=Access.NONE, limit=LOGGING_IN)
def post_token(call: Call, db: Db) -> Response:
    """POST /_matrix/client/oauth2/token. § Grant types."""
    check_enabled(call.context.configuration)
    form = parse_fields(call)
    grant_type = get_field(form, "grant_type")
    if grant_type not in _GRANTS:
        raise OAuthError("unsupported_grant_type", "This is not a grant type of this server's.")
    client = get_client(db, get_field(form, "client_id"))
    if not client.allows_grant(grant_type):
        raise OAuthError("unauthorized_client", "The client is not registered for this grant type.")
    return _GRANTS[grant_type](call, db, form, client)


@routes.write("POST", addresses.REVOKE, access=Access.NONE, limit=LOGGING_IN)
def post_revocation(call: Call, db: Db) -> Response:
    """POST /_matrix/client/oauth2/revoke. § Token revocation: the device ends. Whoever holds the token may do that."""
    check_enabled(call.context.configuration)
    pair = find_token(db, get_field(parse_fields(call), "token"))
    if pair is not None and pair.oauth_client_id is not None:
        delete_devices(db, pair.user_id, [pair.device_id])
    return json_response({}, headers=_NO_STORE)


def parse_fields(call: Call) -> Query:
    """The fields of a form. Raises OAuthError."""
    media_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "The body must be application/x-www-form-urlencoded.")
    try:
        return Query(call.request.body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise OAuthError("invalid_request", "The body must be in UTF-8.") from error


def get_field(form: Query, name: str) -> str:
    """A parameter that must be there, once. Raises OAuthError."""
    values = form.all(name)
    if len(values) != 1 or not values[0]:
        raise OAuthError("invalid_request", f"{name} must be given, once.")
    return values[0]


def _exchange_code(call: Call, db: Db, form: Query, client: OAuthClient) -> Response:
    """§ Authorisation code grant. A code is good for one attempt."""
    verifier = get_field(form, "code_verifier")
    authorized = take_ticket(db, AUTHORIZATION, get_field(form, "code"), call.now_ms)
    challenge = urlsafe_b64encode(sha256(verifier.encode("utf-8", "surrogatepass")).digest()).rstrip(b"=").decode()
    if (
        authorized is None
        or authorized["client_id"] != client.client_id
        or authorized["redirect_uri"] != get_field(form, "redirect_uri")
        or not hmac.compare_digest(authorized["code_challenge"], challenge)
    ):
        # kept, not raised: the code is used up
        return _error_response(OAuthError("invalid_grant", "The code is not valid, or not with these parameters."))
    return _grant_device(call, db, client, authorized)


def _exchange_device_code(call: Call, db: Db, form: Query, client: OAuthClient) -> Response:
    """§ Device authorisation grant."""
    try:
        authorized = poll_device_grant(db, get_field(form, "device_code"), client.client_id, call.now_ms)
    except OAuthError as error:
        return _error_response(error)
    return _grant_device(call, db, client, authorized)


def _grant_device(call: Call, db: Db, client: OAuthClient, authorized: Mapping[str, Any]) -> Response:
    scope = parse_scope(authorized["scope"])
    device = NewDevice(
        device_id=scope.device_id,
        display_name=client.name[:100],
        refreshable=True,
        address=call.request.client_address,
        oauth_client_id=client.client_id,
    )
    return _token_response(log_in(db, authorized["user_id"], device, call.now_ms), scope.granted)


def _refresh(call: Call, db: Db, form: Query, client: OAuthClient) -> Response:
    """§ Refresh token grant. An old refresh token that somebody still uses was stolen: its device ends."""
    refresh_token = get_field(form, "refresh_token")
    try:
        grant = refresh_tokens(db, refresh_token, call.now_ms, oauth_client_id=client.client_id)
    except UnknownToken:
        betrayed = find_device_betrayed(db, refresh_token)
        if betrayed is not None and find_oauth_client_of_device(db, *betrayed) is not None:
            delete_devices(db, betrayed[0], [betrayed[1]])
        return _error_response(OAuthError("invalid_grant", "The refresh token is not valid, or no longer."))
    return _token_response(grant, f"urn:matrix:client:api:* urn:matrix:client:device:{grant.device_id}")


def _token_response(grant: Grant, scope: str) -> Response:
    assert grant.expires_in_ms is not None, "with a refresh token, access tokens expire"
    granted = {
        "access_token": grant.access_token,
        "token_type": "Bearer",
        "expires_in": grant.expires_in_ms // 1000,
        "refresh_token": grant.refresh_token,
        "scope": scope,
    }
    return json_response(granted, headers=_NO_STORE)


def _error_response(error: OAuthError) -> Response:
    return json_response(error.to_json(), error.status, _NO_STORE)


_GRANTS: Final[Mapping[str, Callable[[Call, Db, Query, OAuthClient], Response]]] = {
    AUTHORIZATION_CODE: _exchange_code,
    REFRESH_TOKEN: _refresh,
    DEVICE_CODE: _exchange_device_code,
}
