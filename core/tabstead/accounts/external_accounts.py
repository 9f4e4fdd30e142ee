"""Accounts of people who log in at another identity provider.

A person is who the provider's `sub` says, for good; the name of a new account is made of another claim, and a name that
is taken gets a number, since whoever has it here may be somebody else.
"""

from collections.abc import Mapping
from typing import Any, Final

from tabstead.accounts.profiles import set_profile_field
from tabstead.accounts.registration import create_user, generate_user_id
from tabstead.accounts.third_party_ids import EMAIL, add_email, canonical_email
from tabstead.configuration import IdentityProvider
from tabstead.errors import Forbidden, InvalidParam, UserDeactivated
from tabstead.protocol.identifiers import ServerName, UserID, build_user_id, is_registrable_localpart
from tabstead.storage.database import Db
from tabstead.storage.external_identities import ExternalIdentity, find_user_of_identity, insert_external_identity
from tabstead.storage.third_party_ids import find_user_of_third_party_id
from tabstead.storage.users import find_user

_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-./_")
_NUMBERS_TRIED: Final = 100


def find_or_create_account(
    db: Db, provider: IdentityProvider, claims: Mapping[str, Any], server_name: str, now_ms: int
) -> str:
    """The account of who has logged in at the provider. Raises Forbidden, UserDeactivated."""
    identity = ExternalIdentity(provider_id=provider.id, subject=claims["sub"])
    user_id = find_user_of_identity(db, identity)
    if user_id is not None:
        user = find_user(db, user_id)
        if user is None or user.is_deactivated:
            raise UserDeactivated("This account was deactivated.")
        return user_id
    if not provider.registers:
        raise Forbidden("You have no account on this server.")
    new_user_id = _choose_user_id(db, claims.get(provider.localpart_claim), server_name)
    create_user(db, new_user_id, None, now_ms=now_ms)
    insert_external_identity(db, identity, new_user_id)
    _take_profile(db, provider, claims, new_user_id, now_ms)
    return new_user_id


def map_localpart(name: str) -> str:
    """appendix "Mapping from other character sets": no upper case; other characters as their bytes in hexadecimal."""
    return "".join(
        character if character in _PLAIN else "".join(f"={byte:02x}" for byte in character.encode("utf-8", "replace"))
        for character in name.lower()
    )


def _choose_user_id(db: Db, name: object, server_name: str) -> UserID:
    localpart = map_localpart(name).lstrip("_") if isinstance(name, str) else ""
    for number in ("", *range(2, _NUMBERS_TRIED)):
        candidate = f"{localpart}{number}"
        if localpart and is_registrable_localpart(candidate, ServerName(server_name)):
            user_id = build_user_id(candidate, ServerName(server_name))
            if find_user(db, user_id) is None:
                return user_id
    return generate_user_id(db, server_name)


def _take_profile(db: Db, provider: IdentityProvider, claims: Mapping[str, Any], user_id: str, now_ms: int) -> None:
    display_name, email = claims.get(provider.display_name_claim), claims.get(provider.email_claim)
    if isinstance(display_name, str):
        set_profile_field(db, user_id, "displayname", display_name[:256])
    if not isinstance(email, str) or claims.get("email_verified") is not True:
        return
    try:
        address = canonical_email(email)
    except InvalidParam:
        return
    if find_user_of_third_party_id(db, EMAIL, address) is None:
        add_email(db, user_id, address, validated_ts=now_ms, now_ms=now_ms)
