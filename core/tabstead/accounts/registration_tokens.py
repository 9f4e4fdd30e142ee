"""Tokens that let their bearers register. § Token-authenticated registration

They come from the configuration, good for any number of uses, and from administrators, who say how many and until when.
A token is looked at when its stage is completed, and used with the account that is made in the end.
"""

import re
import secrets
import string
from collections.abc import Container
from typing import Final

from tabstead.errors import Forbidden, InvalidParam
from tabstead.storage.database import Db
from tabstead.storage.registration_tokens import find_registration_token, update_used

MAX_TOKEN_LENGTH: Final = 64
_GENERATED_LENGTH: Final = 16
_LETTERS: Final = string.ascii_letters + string.digits
# appendix "Opaque Identifiers"
_is_opaque: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}").fullmatch


def is_registration_token(db: Db, token: str, configured: Container[str], now_ms: int) -> bool:
    """Whether the token may be used now."""
    if token in configured:
        return True
    known = find_registration_token(db, token)
    return known is not None and known.is_valid(now_ms)


def use_registration_token(db: Db, token: str, configured: Container[str], now_ms: int) -> None:
    """Count a use. Raises Forbidden when none is left."""
    if token in configured:
        return
    if not is_registration_token(db, token, configured, now_ms):
        raise Forbidden("This registration token was used up, or has expired.")
    update_used(db, token)


def generate_token(length: int = _GENERATED_LENGTH) -> str:
    """Random letters and digits. Raises InvalidParam for a length that no token has."""
    if not 0 < length <= MAX_TOKEN_LENGTH:
        raise InvalidParam(f"A token has 1 to {MAX_TOKEN_LENGTH} characters.")
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def check_token(token: str) -> str:
    """Raises InvalidParam for what can't be a token."""
    if not _is_opaque(token):
        raise InvalidParam(f"A token has 1 to {MAX_TOKEN_LENGTH} of the characters A-Z, a-z, 0-9 and ._~-.")
    return token
