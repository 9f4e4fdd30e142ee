"""What an endpoint is given: the homeserver's parts, and a request with the server that signed it."""

from collections.abc import Callable
from dataclasses import dataclass

from tabstead.configuration import Configuration
from tabstead.errors import Forbidden, Unsigned
from tabstead.federation.federation import Federation
from tabstead.http import JsonObject, Query, Request
from tabstead.media.thumbnails import Thumbnailer
from tabstead.protocol.identifiers import ServerName
from tabstead.protocol.request_auth import RequestSignature, SignedRequest, is_signed_by, parse_authorization
from tabstead.rooms.local_server import LocalServer
from tabstead.streams.typing_users import TypingUsers

_MAX_SIGNATURES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationContext:
    """The parts of a homeserver that endpoints work with."""

    configuration: Configuration
    federation: Federation
    typing_users: TypingUsers
    thumbnailer: Thumbnailer | None
    now_ms: Callable[[], int]

    @property
    def local_server(self) -> LocalServer:
        return self.federation.server


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationCall:
    """One request with the server that makes it."""

    context: FederationContext
    request: Request
    _origin: ServerName | None = None

    @property
    def origin(self) -> ServerName:
        """Who asks, on a route that demands a signature."""
        assert self._origin is not None, "the route demands no signature"
        return self._origin

    @property
    def federation(self) -> Federation:
        return self.context.federation

    @property
    def local_server(self) -> LocalServer:
        return self.context.local_server

    @property
    def query(self) -> Query:
        return self.request.query

    def parameter(self, name: str) -> str:
        """A parameter of the path, decoded."""
        return self.request.path_parameters[name]

    def body(self) -> JsonObject:
        """The body, which must be a JSON object."""
        return self.request.json_object()


async def authenticate(context: FederationContext, request: Request) -> ServerName:
    """The server that signed the request. Raises Unsigned, NotJson, BadJson; Forbidden of one not talked with."""
    local_name = context.local_server.name
    signatures = parse_authorization(request.headers.get("authorization", ""))
    if not signatures:
        raise Unsigned("This needs a signature of the server that asks.")
    if any(signature.destination not in (None, local_name) for signature in signatures):
        raise Unsigned(f"The request is not for {local_name}.")
    for signature in signatures:
        if not context.configuration.federation.allows(signature.origin):
            raise Forbidden(f"This server does not talk with {signature.origin}.")
    signed = SignedRequest(
        method=request.method,
        uri=f"{request.path}?{request.query_string}" if request.query_string else request.path,
        content=request.json_object().values_dict if request.body else None,
    )
    for signature in signatures[:_MAX_SIGNATURES]:
        if await _holds(context, signed, signature):
            context.federation.sending.hear(signature.origin)
            return signature.origin
    raise Unsigned(f"No signature of {signatures[0].origin} holds.")


async def _holds(context: FederationContext, signed: SignedRequest, signature: RequestSignature) -> bool:
    server = context.local_server
    if signature.origin == server.name:
        return False
    key = await context.federation.key_ring.find_request_key(signature.origin, signature.key_id)
    return key is not None and is_signed_by(signed, signature, server.name, key)
