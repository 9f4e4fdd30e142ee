"""Logging in at an OpenID Connect provider: the authorization code flow with PKCE and a nonce.

The provider's addresses and keys are read when they are needed, each time anew. What its ID token says is believed when
the token came from the provider's own token endpoint, is signed with one of its keys, and is for this very login. Where
signatures can't be verified (in a browser), TLS to the token endpoint has to do, as OpenID Connect Core, section
3.1.3.7, allows; a provider without TLS is refused there.
"""

import hashlib
import json
import secrets
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from tabstead.configuration import IdentityProvider
from tabstead.errors import Forbidden, MatrixError, OutboundFailed
from tabstead.http import parse_json
from tabstead.outbound import Outbound, OutboundRequest

_CLOCK_SKEW_SECONDS: Final = 120
_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "PS384", "PS512", "EdDSA"]
_FORM: Final = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """What a login is begun with, and has to be finished with."""

    state: str
    nonce: str
    code_verifier: str
    redirect_uri: str


class ProviderFailed(MatrixError):
    """The provider can't be asked, or answers what it should not."""

    status = 502


def new_login_request(redirect_uri: str, state: str) -> LoginRequest:
    """With fresh secrets; the state comes from outside."""
    return LoginRequest(
        state=state,
        nonce=secrets.token_urlsafe(24),
        code_verifier=secrets.token_urlsafe(48),
        redirect_uri=redirect_uri,
    )


async def build_authorization_url(outbound: Outbound | None, provider: IdentityProvider, login: LoginRequest) -> str:
    """Where the browser has to go. Raises ProviderFailed."""
    discovered = await _discover(outbound, provider)
    challenge = urlsafe_b64encode(hashlib.sha256(login.code_verifier.encode()).digest()).rstrip(b"=").decode()
    query = urlencode(
        {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": login.redirect_uri,
            "scope": " ".join(provider.scopes),
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
    )
    endpoint = _get_url(discovered, "authorization_endpoint", provider)
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"


async def fetch_claims(
    outbound: Outbound | None, provider: IdentityProvider, login: LoginRequest, code: str, now_ms: int
) -> Claims:
    """Who has logged in: the claims of the ID token, with those of the userinfo endpoint where one is missing.

    Raises ProviderFailed, Forbidden.
    """
    discovered = await _discover(outbound, provider)
    tokens = await _redeem(outbound, provider, discovered, login, code)
    id_token = tokens.get("id_token")
    if not isinstance(id_token, str):
        raise ProviderFailed(f"{provider.name} gave no ID token.")
    claims = await _verify(outbound, provider, discovered, id_token)
    _check_claims(provider, claims, login.nonce, now_ms)
    wanted = {provider.localpart_claim, provider.display_name_claim}
    if wanted <= claims.keys() or "userinfo_endpoint" not in discovered:
        return claims
    return {**await _fetch_userinfo(outbound, provider, discovered, tokens, claims["sub"]), **claims}


async def _discover(outbound: Outbound | None, provider: IdentityProvider) -> Claims:
    url = f"{provider.issuer.removesuffix('/')}/.well-known/openid-configuration"
    discovered = await _ask(outbound, provider, OutboundRequest(url=url, max_redirects=3))
    if discovered.get("issuer") != provider.issuer:
        raise ProviderFailed(f"{provider.name} says that it is another provider.")
    return discovered


async def _redeem(
    outbound: Outbound | None, provider: IdentityProvider, discovered: Claims, login: LoginRequest, code: str
) -> Claims:
    """The tokens for a code."""
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": login.redirect_uri,
        "code_verifier": login.code_verifier,
    }
    headers = dict(_FORM)
    methods = discovered.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if provider.client_secret is not None and "client_secret_basic" in methods:
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"
        headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    else:
        fields["client_id"] = provider.client_id
        if provider.client_secret is not None:
            fields["client_secret"] = provider.client_secret
    url = _get_url(discovered, "token_endpoint", provider)
    return await _ask(
        outbound, provider, OutboundRequest(url=url, method="POST", headers=headers, body=urlencode(fields).encode())
    )


async def _verify(outbound: Outbound | None, provider: IdentityProvider, discovered: Claims, id_token: str) -> Claims:
    """The claims of an ID token whose signature holds. Raises Forbidden, ProviderFailed."""
    try:
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet
    except ImportError:
        return _read_unverified(provider, discovered, id_token)
    keys = await _ask(outbound, provider, OutboundRequest(url=_get_url(discovered, "jwks_uri", provider)))
    try:
        key_set = KeySet.import_key_set(keys)  # type: ignore[arg-type]
        return jwt.decode(id_token, key_set, algorithms=_ALGORITHMS).claims
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise Forbidden(f"The signature of {provider.name} does not hold.") from error


def _read_unverified(provider: IdentityProvider, discovered: Claims, id_token: str) -> Claims:
    if not str(discovered.get("token_endpoint")).startswith("https://"):
        raise ProviderFailed(f"{provider.name} can't be believed without TLS.")
    try:
        payload = id_token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError) as error:
        raise ProviderFailed(f"The ID token of {provider.name} can't be read.") from error
    if not isinstance(claims, dict):
        raise ProviderFailed(f"The ID token of {provider.name} can't be read.")
    return claims


def _check_claims(provider: IdentityProvider, claims: Claims, nonce: str, now_ms: int) -> None:
    """OpenID Connect Core, section 3.1.3.7. Raises Forbidden."""
    audience, expires, subject = claims.get("aud"), claims.get("exp"), claims.get("sub")
    audiences = audience if isinstance(audience, list) else [audience]
    holds = (
        claims.get("iss") == provider.issuer
        and provider.client_id in audiences
        and (len(audiences) == 1 or claims.get("azp") == provider.client_id)
        and isinstance(expires, int | float)
        and expires + _CLOCK_SKEW_SECONDS > now_ms / 1000
        and claims.get("nonce") == nonce
        and isinstance(subject, str)
        and subject != ""
    )
    if not holds:
        raise Forbidden(f"What {provider.name} says is not for this login.")


async def _fetch_userinfo(
    outbound: Outbound | None, provider: IdentityProvider, discovered: Claims, tokens: Claims, subject: str
) -> Claims:
    headers = {"authorization": f"Bearer {tokens.get('access_token')}", "accept": "application/json"}
    url = _get_url(discovered, "userinfo_endpoint", provider)
    said = await _ask(outbound, provider, OutboundRequest(url=url, headers=headers))
    if said.get("sub") != subject:
        raise Forbidden(f"{provider.name} tells of somebody else.")
    return said


async def _ask(outbound: Outbound | None, provider: IdentityProvider, request: OutboundRequest) -> dict[str, Any]:
    if outbound is None:
        raise ProviderFailed(f"This server can't ask {provider.name}.", status=503)
    try:
        answer = await outbound.send(request)
        said = parse_json(answer.body)
    except (OutboundFailed, MatrixError) as error:
        raise ProviderFailed(f"{provider.name} can't be reached, or not understood. Try again later.") from error
    if not answer.is_success or not isinstance(said, dict):
        raise ProviderFailed(f"{provider.name} refuses.")
    return said


def _get_url(discovered: Claims, name: str, provider: IdentityProvider) -> str:
    url = discovered.get(name)
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise ProviderFailed(f"{provider.name} does not say its {name}.")
    return url
