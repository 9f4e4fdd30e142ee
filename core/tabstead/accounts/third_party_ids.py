"""Third-party identifiers: email addresses that users have proved to be theirs. Nothing is asked of identity servers.

A validation begins with a client's secret and an address, and ends when somebody opens the link that was sent there and
confirms. Its id follows from purpose, secret and address, so that a repeated request finds it again; a further email
goes out only for a higher `send_attempt`. What was validated for one purpose is not valid for another. Who asks is not
told whether an address has an account here; the address's owner is, by the email. (§ Adding Account Administrative
Contact Information)
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tabstead.errors import BadRequest, InvalidParam
from tabstead.storage.database import Db
from tabstead.storage.third_party_ids import (
    EmailValidation,
    ThirdPartyId,
    delete_validation,
    find_user_of_third_party_id,
    find_validation,
    insert_third_party_id,
    insert_validation,
    update_validated,
)

EMAIL: Final = "email"
MSISDN: Final = "msisdn"

_LIVES_MS: Final = 24 * 60 * 60 * 1000
_MAX_ADDRESS_LENGTH: Final = 254  # RFC 5321
_is_address = re.compile(r"[^@\s<>()\[\],;:\\\"\x00-\x1f\x7f]+@[^@\s<>()\[\],;:\\\"\x00-\x1f\x7f]+").fullmatch
_is_client_secret = re.compile(r"[0-9a-zA-Z.=_-]{1,255}").fullmatch


class Purpose(StrEnum):
    """What an address is to be proved for."""

    REGISTER = "register"
    ADD = "add"
    RESET_PASSWORD = "password"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A validation that was begun, or was known. With a token, an email has to go out now."""

    session_id: str
    token: str | None = None
    earlier_attempt: int = 0
    """To go back to where the email can't be sent."""


def canonical_email(address: str) -> str:
    """An address as it is compared. Raises InvalidParam. (appendix "3PID Types")"""
    if len(address) > _MAX_ADDRESS_LENGTH or not _is_address(address):
        raise InvalidParam("This is not an email address.")
    return address.casefold()


def canonical_address(medium: str, address: str) -> str:
    """The same for any medium; of a phone number the digits count."""
    if medium == MSISDN:
        return "".join(digit for digit in address if digit.isascii() and digit.isdigit())
    return address.casefold()


def begin_validation(
    db: Db,
    purpose: Purpose,
    *,
    client_secret: str,
    address: str,
    send_attempt: int,
    next_link: str | None,
    now_ms: int,
) -> Begun:
    """Begin a validation, or find the known one. `address` is canonical. Raises InvalidParam."""
    if not _is_client_secret(client_secret):
        raise InvalidParam("A client secret has 1 to 255 of the characters A-Z, a-z, 0-9 and .=_-.")
    named = "\0".join((purpose, client_secret, address))
    session_id = hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    known = find_validation(db, session_id, now_ms)
    earlier_attempt = known.send_attempt if known is not None else 0
    if known is not None and (send_attempt <= known.send_attempt or known.validated_ts is not None):
        return Begun(session_id=session_id)
    token = secrets.token_urlsafe(32)
    begun = EmailValidation(
        session_id=session_id,
        purpose=purpose,
        client_secret=client_secret,
        address=address,
        send_attempt=send_attempt,
        token_hash=_hash(token),
        next_link=next_link,
        validated_ts=None,
    )
    insert_validation(db, begun, expires_ts=now_ms + _LIVES_MS, now_ms=now_ms)
    return Begun(session_id=session_id, token=token, earlier_attempt=earlier_attempt)


def take_back_attempt(db: Db, begun: Begun, now_ms: int) -> None:
    """The email couldn't be sent: the same attempt may be made again."""
    known = find_validation(db, begun.session_id, now_ms)
    if known is not None and known.validated_ts is None:
        earlier = replace(known, send_attempt=begun.earlier_attempt)
        insert_validation(db, earlier, expires_ts=now_ms + _LIVES_MS, now_ms=now_ms)


def find_validation_of_link(db: Db, session_id: str, token: str, now_ms: int) -> EmailValidation | None:
    """The validation that a link in an email belongs to."""
    validation = find_validation(db, session_id, now_ms)
    if validation is None or not hmac.compare_digest(validation.token_hash, _hash(token)):
        return None
    return validation


def confirm_link(db: Db, validation: EmailValidation, now_ms: int) -> None:
    """Whoever has the link has confirmed; once more changes nothing."""
    if validation.validated_ts is None:
        update_validated(db, validation.session_id, now_ms)


def get_validated(db: Db, purpose: Purpose, session_id: str, client_secret: str, now_ms: int) -> EmailValidation:
    """A completed validation. Raises BadRequest with M_THREEPID_AUTH_FAILED for any other."""
    validation = find_validation(db, session_id, now_ms)
    is_own = validation is not None and hmac.compare_digest(
        validation.client_secret.encode(), client_secret.encode("utf-8", "surrogatepass")
    )
    if validation is None or not is_own or validation.purpose != purpose or validation.validated_ts is None:
        raise BadRequest("This email address is not confirmed yet.", errcode="M_THREEPID_AUTH_FAILED")
    return validation


def add_email(db: Db, user_id: str, address: str, *, validated_ts: int, now_ms: int) -> None:
    """Make a validated address the user's. Raises BadRequest with M_THREEPID_IN_USE when it is somebody else's."""
    if find_user_of_third_party_id(db, EMAIL, address) not in {None, user_id}:
        raise BadRequest("This email address belongs to another account.", errcode="M_THREEPID_IN_USE")
    identifier = ThirdPartyId(
        medium=EMAIL, address=address, user_id=user_id, validated_ts=validated_ts, added_ts=now_ms
    )
    insert_third_party_id(db, identifier)


def add_validated_email(db: Db, user_id: str, session_id: str, client_secret: str, now_ms: int) -> None:
    """Make the address of a completed validation the user's. Raises BadRequest."""
    validation = get_validated(db, Purpose.ADD, session_id, client_secret, now_ms)
    assert validation.validated_ts is not None
    add_email(db, user_id, validation.address, validated_ts=validation.validated_ts, now_ms=now_ms)
    delete_validation(db, session_id)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
