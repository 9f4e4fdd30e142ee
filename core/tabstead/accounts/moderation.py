"""Locking and suspending accounts: what an administrator can do to one, short of deactivating it.

A locked account can do nothing but log out, and keeps its sessions. A suspended one reads, leaves and redacts what it
sent, and is silent otherwise. Administrators are out of each other's reach, and of their own.
(Client-Server API, § Account locking, § Account suspension, § Server Administration)
"""

from tabstead.errors import Forbidden, InvalidParam, NotFound, UserLocked, UserSuspended
from tabstead.protocol.identifiers import find_server_name_of, parse_user_id
from tabstead.storage.database import Db
from tabstead.storage.positions import next_position
from tabstead.storage.users import User, find_user, update_locked, update_suspended


def get_moderated_user(db: Db, server_name: str, user_id: str) -> User:
    """The account that an administrator wants to look at. Raises InvalidParam, Forbidden, NotFound."""
    if find_server_name_of(parse_user_id(user_id)) != server_name:
        raise InvalidParam("This is not one of this server's users.")
    user = find_user(db, user_id)
    if user is None or user.is_deactivated:
        raise NotFound("There is no such account.")
    if user.is_admin:
        raise Forbidden("Administrators can't be locked or suspended.")
    return user


def lock_user(db: Db, user: User, *, is_locked: bool) -> None:
    """Lock an account, or let it be used again. Whoever waits in its name looks up and learns of it."""
    update_locked(db, user.user_id, is_locked=is_locked)
    next_position(db)


def suspend_user(db: Db, user: User, *, is_suspended: bool) -> None:
    """Suspend an account, or let it speak again."""
    update_suspended(db, user.user_id, is_suspended=is_suspended)


def check_not_locked(db: Db, user_id: str) -> None:
    """Raises UserLocked."""
    user = find_user(db, user_id)
    if user is not None and user.is_locked:
        raise UserLocked


def check_not_suspended(db: Db, user_id: str) -> None:
    """Raises UserSuspended."""
    user = find_user(db, user_id)
    if user is not None and user.is_suspended:
        raise UserSuspended
