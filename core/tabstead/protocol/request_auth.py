"""How a server signs a request to another one: the `X-Matrix` scheme of the Authorization header.

Signed is the request as JSON: its method, its target as sent, who asks, who is asked, and the content if there is one.
(server-server API, "Request Authentication")
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import ServerName, is_server_name
from tabstead.protocol.signatures import SigningKey, VerifyKey, sign_json, verify_signed_json

SCHEME: Final = "X-Matrix"

_MAX_HEADER: Final = 4096
_scheme: Final = re.compile(rf"(?:^|,)\s*{SCHEME}\s+", re.IGNORECASE)
# RFC 9110: a token, or a quoted string. Older servers leave characters unquoted that a token has not, such as ":".
_parameter: Final = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))\s*(?:,|$)')


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSignature:
    """What one `X-Matrix` credential says."""

    origin: ServerName
    destination: str | None
    """None: an older server does not say whom it asks."""
    key_id: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as it is signed."""

    method: str
    uri: str
    """The target as sent: the path, percent-encoded, with the query."""
    content: Any = None
    """The body's JSON; None where there is no body."""

    def to_json(self, origin: str, destination: str) -> JsonDict:
        value = {"method": self.method, "uri": self.uri, "origin": origin, "destination": destination}
        return value if self.content is None else {**value, "content": self.content}


def encode_authorization(request: SignedRequest, origin: str, destination: str, key: SigningKey) -> str:
    """The Authorization header of a request."""
    signed = sign_json(request.to_json(origin, destination), origin, key)
    signature = signed["signatures"][origin][key.key_id]
    return f'{SCHEME} origin="{origin}",destination="{destination}",key="{key.key_id}",sig="{signature}"'


def parse_authorization(header: str) -> list[RequestSignature]:
    """The credentials of an Authorization header, in which repeated headers are joined by commas."""
    return list(_parse_credentials(header[:_MAX_HEADER]))


def is_signed_by(request: SignedRequest, signature: RequestSignature, server_name: str, key: VerifyKey) -> bool:
    """Whether the request, received by the server of this name, carries a valid signature by this key."""
    value = request.to_json(signature.origin, signature.destination or server_name)
    if signature.destination is None:
        del value["destination"]
    value["signatures"] = {signature.origin: {signature.key_id: signature.signature}}
    return verify_signed_json(value, signature.origin, key)


def _parse_credentials(header: str) -> Iterator[RequestSignature]:
    for credential in _scheme.split(header)[1:]:
        given = _parse_parameters(credential)
        origin, key_id, signature = given.get("origin"), given.get("key"), given.get("sig")
        if origin is None or key_id is None or signature is None or not is_server_name(origin):
            continue
        yield RequestSignature(
            origin=ServerName(origin), destination=given.get("destination"), key_id=key_id, signature=signature
        )


def _parse_parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _parameter.finditer(text):
        name, quoted, token = match.groups()
        found.setdefault(name.lower(), token if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
    return found
