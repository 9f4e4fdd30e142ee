"""What a client of the OAuth 2.0 API asks for: the whole Client-Server API, as one device. § Scope

Clients from before the specification's names use those of the proposal; what they asked for is what they are granted.
"""

import re
from dataclasses import dataclass
from typing import Final

from tabstead.errors import OAuthError

_API: Final = frozenset({"urn:matrix:client:api:*", "urn:matrix:org.matrix.msc2967.client:api:*"})
_DEVICES: Final = ("urn:matrix:client:device:", "urn:matrix:org.matrix.msc2967.client:device:")
_is_device_id = re.compile(r"[!#-\[\]-~]{1,255}").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    device_id: str
    granted: str
    """The scope tokens that were understood, with spaces between them."""


def parse_scope(text: str) -> Scope:
    """Raises OAuthError unless it is the whole API with exactly one device. Unknown tokens are not granted."""
    tokens = text.split(" ")
    devices = [token for token in tokens if token.startswith(_DEVICES)]
    api = [token for token in tokens if token in _API]
    # "There MUST be exactly one urn:matrix:client:device:<device_id> token".
    if not api or len(devices) != 1:
        raise OAuthError("invalid_scope", "The scope must be urn:matrix:client:api:* and one device.")
    device_id = devices[0].partition(":device:")[2]
    if not _is_device_id(device_id):
        raise OAuthError("invalid_scope", "The device ID must have 1 to 255 printable ASCII characters.")
    return Scope(device_id=device_id, granted=" ".join([*api, *devices]))
