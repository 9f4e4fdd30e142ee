"""Identifiers: their types, and the grammar of the specification's appendix "Identifier Grammar".

`parse_` functions turn text from outside into a typed identifier or raise InvalidParam; `is_` functions only tell.
Two grammars of a user's localpart exist: what history may hold (anything but ":", NUL and surrogates, even nothing),
which every check on events uses, and the narrow one that a new account must fit (`is_registrable_localpart`).
An identifier, sigil and domain included, has at most 255 bytes of UTF-8.
"""

import re
from typing import Final, NewType, TypeAlias

from tabstead.errors import InvalidParam

UserID = NewType("UserID", str)
RoomID = NewType("RoomID", str)
EventID = NewType("EventID", str)
RoomAlias = NewType("RoomAlias", str)
ServerName = NewType("ServerName", str)
DeviceID = NewType("DeviceID", str)

StateTuple: TypeAlias = tuple[str, str]
"""The key of room state: an event type and a state key."""

MAX_IDENTIFIER_BYTES: Final = 255

_SERVER_NAME = r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z.-]{1,255})(?::[0-9]{1,5})?"
_LOCALPART = r"[^:\0\ud800-\udfff]"
_server_name = re.compile(_SERVER_NAME).fullmatch
_user_id = re.compile(f"@{_LOCALPART}*:{_SERVER_NAME}").fullmatch
_room_alias = re.compile(f"#{_LOCALPART}+:{_SERVER_NAME}").fullmatch
# With a domain up to room version 11, the create event's hash since.
_room_id = re.compile(f"!(?:{_LOCALPART}+:{_SERVER_NAME}|{_LOCALPART}+)").fullmatch
_event_id = re.compile(f"\\${_LOCALPART}+(?::{_SERVER_NAME})?").fullmatch
_registrable_localpart = re.compile(r"[a-z0-9._=/+-]+").fullmatch


def is_server_name(text: str) -> bool:
    return _server_name(text) is not None


def is_user_id(text: str) -> bool:
    """Whether it is a user ID, historical localparts included."""
    return _user_id(text) is not None and _fits(text)


def is_room_id(text: str) -> bool:
    """Whether it is a room ID of any room version."""
    return _room_id(text) is not None and _fits(text)


def is_room_alias(text: str) -> bool:
    return _room_alias(text) is not None and _fits(text)


def is_event_id(text: str) -> bool:
    """Whether it is an event ID of any room version."""
    return _event_id(text) is not None and _fits(text)


def is_registrable_localpart(localpart: str, server_name: ServerName) -> bool:
    """Whether a new account may have this localpart: `a-z 0-9 . _ = - / +`, and the whole user ID fits."""
    return _registrable_localpart(localpart) is not None and _fits(f"@{localpart}:{server_name}")


def parse_server_name(text: str) -> ServerName:
    if not is_server_name(text):
        raise InvalidParam(f"{_shown(text)} is not a server name.")
    return ServerName(text)


def parse_user_id(text: str) -> UserID:
    if not is_user_id(text):
        raise InvalidParam(f"{_shown(text)} is not a user ID.")
    return UserID(text)


def parse_room_id(text: str) -> RoomID:
    if not is_room_id(text):
        raise InvalidParam(f"{_shown(text)} is not a room ID.")
    return RoomID(text)


def parse_room_alias(text: str) -> RoomAlias:
    if not is_room_alias(text):
        raise InvalidParam(f"{_shown(text)} is not a room alias.")
    return RoomAlias(text)


def parse_event_id(text: str) -> EventID:
    if not is_event_id(text):
        raise InvalidParam(f"{_shown(text)} is not an event ID.")
    return EventID(text)


def build_user_id(localpart: str, server_name: ServerName) -> UserID:
    return parse_user_id(f"@{localpart}:{server_name}")


def localpart_of(identifier: str) -> str:
    """What stands between the sigil and the domain, or everything behind the sigil where there is no domain."""
    return identifier[1:].partition(":")[0]


def server_name_of(identifier: str) -> ServerName:
    """The domain of a user ID, an alias, or an older room or event ID. Raises InvalidParam where there is none."""
    server_name = find_server_name_of(identifier)
    if server_name is None:
        raise InvalidParam(f"{_shown(identifier)} names no server.")
    return server_name


def find_server_name_of(identifier: str) -> ServerName | None:
    """The domain, or None: room IDs since version 12 and event IDs since version 3 have none."""
    _, colon, domain = identifier.partition(":")
    return ServerName(domain) if colon else None


def _fits(text: str) -> bool:
    # A character has at most four bytes, so most identifiers need no encoding to be measured.
    if len(text) * 4 <= MAX_IDENTIFIER_BYTES:
        return True
    return len(text.encode("utf-8", "surrogatepass")) <= MAX_IDENTIFIER_BYTES


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 80 else text[:80] + "…")
