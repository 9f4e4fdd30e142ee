"""Who is meant by an identifier. Client-Server API, § Identifier types."""

from tabstead.accounts.third_party_ids import MSISDN, canonical_address
from tabstead.errors import BadRequest
from tabstead.http import JsonObject
from tabstead.storage.database import Db
from tabstead.storage.third_party_ids import find_user_of_third_party_id


def find_identified_user(db: Db, source: JsonObject, server_name: str) -> str | None:
    """The user ID that an `identifier` names, or the older `user`, or `medium` and `address`; None for nobody's.

    Whether there is such a user is not looked at. Raises BadRequest for another type, MissingParam, BadJson.
    """
    identifier = source.find_object("identifier") or source
    kind = identifier.find_string("type") if identifier is not source else None
    if kind is None:
        kind = "m.id.thirdparty" if "medium" in identifier else "m.id.user"
    if kind == "m.id.user":
        return _full_user_id(identifier.find_string("user"), server_name)
    if kind == "m.id.thirdparty":
        medium = identifier.string("medium")
        address = canonical_address(medium, identifier.string("address"))
        return find_user_of_third_party_id(db, medium, address)
    if kind == "m.id.phone":
        return _find_by_phone(db, identifier)
    raise BadRequest(f"{kind[:80]} is not a kind of identifier.", errcode="M_UNKNOWN")


def _full_user_id(name: str | None, server_name: str) -> str | None:
    if not name:
        return None
    return name if name.startswith("@") else f"@{name}:{server_name}"


def _find_by_phone(db: Db, identifier: JsonObject) -> str | None:
    """Numbers are kept with their country's code; one in national form is nobody's, since none can be added here."""
    identifier.string("country")
    number = identifier.string("phone")
    return find_user_of_third_party_id(db, MSISDN, canonical_address(MSISDN, number))
