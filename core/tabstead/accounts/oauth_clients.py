"""Applications that use the OAuth 2.0 API: they register themselves, and prove who they are by their redirect URIs.

Equal metadata is the same client: its id is a hash of what was accepted, so registering again changes nothing.
(Client-Server API, § Client registration)
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from tabstead.errors import OAuthError
from tabstead.http import JsonObject
from tabstead.storage.database import Db
from tabstead.storage.oauth_clients import find_oauth_client, insert_oauth_client

AUTHORIZATION_CODE: Final = "authorization_code"
REFRESH_TOKEN: Final = "refresh_token"
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
GRANT_TYPES: Final = (AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE)

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MAX_METADATA_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    client_id: str
    metadata: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What people are shown."""
        return str(self.metadata.get("client_name") or urlsplit(self.metadata["client_uri"]).hostname)

    def allows_redirect(self, redirect_uri: str) -> bool:
        """Whether it is one of the registered ones; on the loopback interface with any port."""
        registered = self.metadata.get("redirect_uris", [])
        return redirect_uri in registered or _without_loopback_port(redirect_uri) in registered

    def allows_grant(self, grant_type: str) -> bool:
        return grant_type in self.metadata["grant_types"]


def register_client(db: Db, metadata: JsonObject, now_ms: int, *, allows_http: bool) -> OAuthClient:
    """The client with this metadata, registered now if it wasn't. Raises OAuthError, BadJson.

    `allows_http` lets web clients do without TLS: on a server that has none itself.
    """
    accepted = dict(_accept(metadata, "https" if not allows_http else "http"))
    text = json.dumps(accepted, sort_keys=True)
    if len(text) > _MAX_METADATA_BYTES:
        raise OAuthError("invalid_client_metadata", "The metadata is too long.")
    client_id = f"tsc_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    insert_oauth_client(db, client_id, accepted, now_ms)
    return OAuthClient(client_id=client_id, metadata=accepted)


def get_client(db: Db, client_id: str) -> OAuthClient:
    """Raises OAuthError."""
    metadata = find_oauth_client(db, client_id)
    if metadata is None:
        raise OAuthError("invalid_client", "This client is not registered here.", status=401)
    return OAuthClient(client_id=client_id, metadata=metadata)


def _accept(metadata: JsonObject, lowest_scheme: str) -> Iterator[tuple[str, Any]]:
    """What is kept of the metadata; values that aren't understood are ignored, as they should be."""
    client_uri = metadata.find_string("client_uri") or ""
    base = _check_web_uri("client_uri", client_uri, None, lowest_scheme)
    yield "client_uri", client_uri
    if (name := metadata.find_string("client_name")) is not None:
        yield "client_name", name
    for key in ("logo_uri", "tos_uri", "policy_uri"):
        if (uri := metadata.find_string(key)) is not None:
            _check_web_uri(key, uri, base, lowest_scheme)
            yield key, uri
    application_type = metadata.string("application_type", "web")
    if application_type not in {"web", "native"}:
        raise OAuthError("invalid_client_metadata", "application_type must be web or native.")
    yield "application_type", application_type
    redirect_uris = metadata.strings("redirect_uris", [])
    for uri in redirect_uris:
        _check_redirect_uri(uri, base, application_type, lowest_scheme)
    yield "redirect_uris", redirect_uris
    if metadata.string("token_endpoint_auth_method", "none") != "none":
        raise OAuthError("invalid_client_metadata", "token_endpoint_auth_method must be none.")
    yield "token_endpoint_auth_method", "none"
    grant_types = [kind for kind in metadata.strings("grant_types", [AUTHORIZATION_CODE]) if kind in GRANT_TYPES]
    if AUTHORIZATION_CODE in grant_types and not redirect_uris:
        raise OAuthError("invalid_redirect_uri", "The authorization code grant needs a redirect URI.")
    yield "grant_types", grant_types
    yield "response_types", [kind for kind in metadata.strings("response_types", ["code"]) if kind == "code"]


def _check_web_uri(name: str, uri: str, base: SplitResult | None, lowest_scheme: str) -> SplitResult:
    """A URI for browsers, at the client's host or below it. Raises OAuthError."""
    kind = "invalid_redirect_uri" if name == "redirect_uris" else "invalid_client_metadata"
    parts = _split(uri, kind)
    if parts.scheme not in {"https", lowest_scheme} or not parts.hostname:
        raise OAuthError(kind, f"{name} must be an https URL.")
    if parts.username is not None or parts.password is not None:
        raise OAuthError(kind, f"{name} must not have a user or a password.")
    if base is not None and not f".{parts.hostname}".endswith(f".{base.hostname}"):
        raise OAuthError(kind, f"{name} must be at the host of client_uri, or below it.")
    return parts


def _check_redirect_uri(uri: str, base: SplitResult, application_type: str, lowest_scheme: str) -> None:
    """§ Redirect URI validation. Raises OAuthError."""
    parts = _split(uri, "invalid_redirect_uri")
    if "#" in uri:
        raise OAuthError("invalid_redirect_uri", "A redirect URI has no fragment.")
    if application_type == "web" or parts.scheme == "https":
        _check_web_uri("redirect_uris", uri, base, lowest_scheme)
    elif parts.scheme == "http":
        if parts.hostname not in _LOOPBACK or _port(parts) is not None:
            raise OAuthError("invalid_redirect_uri", "http is for the loopback interface, without a port.")
    else:
        reversed_host = ".".join(reversed((base.hostname or "").split(".")))
        # "There MUST NOT be an authority component."
        if uri.startswith(f"{parts.scheme}://") or not f"{parts.scheme}.".startswith(f"{reversed_host}."):
            raise OAuthError("invalid_redirect_uri", f"A private-use scheme begins with {reversed_host}.")


def _split(uri: str, kind: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _port(parts)
    except ValueError as error:
        raise OAuthError(kind, "This is not a URI.") from error
    if any(character <= " " for character in uri):
        raise OAuthError(kind, "This is not a URI.")
    return parts


def _port(parts: SplitResult) -> int | None:
    return parts.port


def _without_loopback_port(uri: str) -> str:
    """The same URI as a native client registers it. "The homeserver MUST then accept any port number"."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return uri
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK or port is None:
        return uri
    return parts._replace(netloc=parts.netloc.removesuffix(f":{port}")).geturl()
