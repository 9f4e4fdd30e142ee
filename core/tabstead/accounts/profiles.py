"""Profiles: what users tell of themselves, as fields of any JSON value.

`displayname` and `avatar_url` are copied into the user's member events, so a change of one of them is passed on to the
rooms that the user has joined. A whole profile has less than 64 KiB. (§ Profiles)
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from tabstead.errors import BadJson, BadRequest, InvalidParam
from tabstead.storage.database import Db
from tabstead.storage.profiles import (
    delete_profile_field,
    insert_profile_field,
    select_profile_field,
    select_profile_fields,
)

ROOM_FIELDS: Final = frozenset({"displayname", "avatar_url"})
"""What member events repeat."""

_MAX_PROFILE_BYTES: Final = 64 * 1024
_MAX_NAME_BYTES: Final = 255
_MAX_DISPLAY_NAME_CHARACTERS: Final = 256
_STRINGS: Final = ROOM_FIELDS | {"m.tz"}
# appendix "Common Namespaced Identifier Grammar"
_namespaced: Final = re.compile(r"[a-z][a-z0-9._-]*").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What member events repeat of a profile."""

    displayname: str | None = None
    avatar_url: str | None = None

    @property
    def fields(self) -> dict[str, str]:
        """Those that are set."""
        shown = {"displayname": self.displayname, "avatar_url": self.avatar_url}
        return {name: value for name, value in shown.items() if value is not None}


def find_profile(db: Db, user_id: str) -> Profile:
    """The user's name and picture; an empty profile for who has neither, or does not exist."""
    fields = select_profile_fields(db, user_id)
    return Profile(displayname=fields.get("displayname"), avatar_url=fields.get("avatar_url"))


def set_profile_field(db: Db, user_id: str, name: str, value: Any) -> bool:
    """Set a field; whether that changed it. An empty name or picture is none.

    Raises InvalidParam, BadJson, or BadRequest with M_KEY_TOO_LARGE or M_PROFILE_TOO_LARGE.
    """
    check_field_name(name)
    _check_value(name, value)
    if name in ROOM_FIELDS and value in ("", None):
        return delete_profile_field(db, user_id, name)
    if select_profile_field(db, user_id, name) == [value]:
        return False
    insert_profile_field(db, user_id, name, value)
    _check_size(select_profile_fields(db, user_id))
    return True


def remove_profile_field(db: Db, user_id: str, name: str) -> bool:
    """Remove a field; whether there was one. Raises InvalidParam, BadRequest."""
    check_field_name(name)
    return delete_profile_field(db, user_id, name)


def check_field_name(name: str) -> None:
    """Raises InvalidParam, or BadRequest with M_KEY_TOO_LARGE."""
    if len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME_BYTES:
        raise BadRequest(f"The name has more than {_MAX_NAME_BYTES} bytes.", errcode="M_KEY_TOO_LARGE")
    if name not in _STRINGS and _namespaced(name) is None:
        raise InvalidParam("This is not the name of a profile field.")


def _check_value(name: str, value: Any) -> None:
    if name not in _STRINGS:
        return
    if value is not None and not isinstance(value, str):
        raise BadJson(f"'{name}' must be a string.")
    if name == "displayname" and len(value or "") > _MAX_DISPLAY_NAME_CHARACTERS:
        raise InvalidParam(f"A display name has at most {_MAX_DISPLAY_NAME_CHARACTERS} characters.")
    if name == "avatar_url" and value and not value.startswith("mxc://"):
        raise InvalidParam("A picture is an mxc:// URI.")


def _check_size(fields: dict[str, Any]) -> None:
    size = len(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    if size >= _MAX_PROFILE_BYTES:
        raise BadRequest("The profile would be larger than 64 KiB.", errcode="M_PROFILE_TOO_LARGE")
