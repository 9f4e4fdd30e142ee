"""The user directory: finding people by a part of their name or user ID. § User Directory

Found are those whom a user could meet anyway: who is in one of their rooms, or in a room that is public or readable by
everybody. Better matches come first: the whole name, then its beginning, the beginning of a word in it, any part of it.
"""

import re

from tabstead.protocol.identifiers import localpart_of
from tabstead.storage.database import Db
from tabstead.storage.user_directory import DirectoryUser, select_visible_users

_NO_MATCH = 4


def search_users(db: Db, user_id: str, term: str, limit: int) -> list[DirectoryUser]:
    """The best `limit` matches among the users that this user may find, upper and lower case being the same."""
    wanted = term.strip().casefold()
    ranked = [(_rank(user, wanted), user) for user in select_visible_users(db, user_id)]
    matches = [(rank, user) for rank, user in ranked if rank < _NO_MATCH]
    # "Ordered by rank and then whether or not profile info is available."
    matches.sort(key=lambda match: (match[0], match[1].displayname is None, match[1].user_id))
    return [user for _, user in matches[:limit]]


def _rank(user: DirectoryUser, wanted: str) -> int:
    names = [user.user_id, localpart_of(user.user_id), user.displayname or ""]
    return min(_rank_of_name(name.casefold(), wanted) for name in names)


def _rank_of_name(name: str, wanted: str) -> int:
    if not wanted or wanted not in name:
        return _NO_MATCH
    if name == wanted:
        return 0
    if name.startswith(wanted):
        return 1
    return 2 if re.search(rf"\b{re.escape(wanted)}", name) else 3
