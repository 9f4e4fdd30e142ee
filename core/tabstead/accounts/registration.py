"""New accounts: which names may be had, and making them.

A user ID is this server's and is given once; a deactivated user's name stays taken. A name is mapped to lower case,
since new user IDs have no upper case. (appendix "User Identifiers")
"""

import secrets
import string
from typing import Final

from tabstead.accounts.access import authenticate
from tabstead.errors import InvalidParam, InvalidUsername, UserInUse
from tabstead.protocol.identifiers import (
    ServerName,
    UserID,
    build_user_id,
    is_registrable_localpart,
    localpart_of,
)
from tabstead.storage.database import Db
from tabstead.storage.users import find_user, insert_user, update_guest

_GENERATED_LETTERS: Final = 12


def check_username(db: Db, username: str, server_name: str) -> UserID:
    """The user ID that a new user of this name would get. Raises InvalidUsername, UserInUse."""
    localpart = username.lower()
    if not is_registrable_localpart(localpart, ServerName(server_name)):
        raise InvalidUsername("A user name consists of the characters a-z, 0-9 and ._=-/+, and is not too long.")
    user_id = build_user_id(localpart, ServerName(server_name))
    if find_user(db, user_id) is not None:
        raise UserInUse("This user name is taken.")
    return user_id


def generate_user_id(db: Db, server_name: str) -> UserID:
    """A user ID that nobody has."""
    while True:
        localpart = "".join(secrets.choice(string.ascii_lowercase) for _ in range(_GENERATED_LETTERS))
        user_id = build_user_id(localpart, ServerName(server_name))
        if find_user(db, user_id) is None:
            return user_id


def check_guest(db: Db, guest_access_token: str, username: str | None, now_ms: int) -> UserID:
    """The user ID of a guest who wants to stay under the same name. Raises UnknownToken, InvalidParam, InvalidUsername.

    § Guest Access: "They are also required to specify the username parameter to the value of the local part."
    """
    guest = authenticate(db, guest_access_token, now_ms)
    if not guest.is_guest:
        raise InvalidParam("This is not a guest's access token.")
    if username != localpart_of(guest.user_id):
        raise InvalidUsername("A guest stays under the same user name.")
    return UserID(guest.user_id)


def upgrade_guest(db: Db, user_id: UserID, password_hash: str | None) -> None:
    """Make an ordinary account of a guest's, whose devices stay as they are."""
    update_guest(db, user_id, password_hash)


def create_user(
    db: Db,
    user_id: UserID,
    password_hash: str | None,
    *,
    now_ms: int,
    is_guest: bool = False,
    is_admin: bool = False,
) -> None:
    """Make the account of a user ID that was checked."""
    insert_user(db, user_id, password_hash, is_guest=is_guest, is_admin=is_admin, now_ms=now_ms)
