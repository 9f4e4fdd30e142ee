"""Whom a user ignores. (Client-Server API, § Ignoring users)"""

from tabstead.storage.account_data import find_account_data
from tabstead.storage.database import Db


def select_ignored_users(db: Db, user_id: str) -> frozenset[str]:
    """The user ids in the user's `m.ignored_user_list`."""
    content = find_account_data(db, user_id, "m.ignored_user_list")
    ignored = None if content is None else content.get("ignored_users")
    return frozenset(ignored) if isinstance(ignored, dict) else frozenset()
