"""The user directory: finding people by the words of their name or user ID. § User Directory

Found are those whom a user could meet anyway: who is in one of their rooms, or in a room that is public or readable by
everybody. What is searched for are beginnings of words, whatever their case and accents; who writes a whole user ID, or
the beginning of one, searches for that. Better matches come first: the whole name, then its beginning.
"""

from itertools import islice
from typing import Final

from tabstead.protocol.identifiers import localpart_of
from tabstead.protocol.words import split_term, split_words
from tabstead.rooms.summary import is_open_to_all
from tabstead.storage.database import Db
from tabstead.storage.memberships import select_memberships, share_room
from tabstead.storage.rooms import get_room
from tabstead.storage.user_directory import DirectoryUser, select_changed_names, update_user_words, walk_directory

_SLICE: Final = 500
_MAX_LOOKED_AT: Final = 2000
"""Of so many users whose names fit, the best that the searcher may find are the result."""


def is_directory_behind(db: Db) -> bool:
    """Whether there are names that are not in the directory yet."""
    return bool(select_changed_names(db, 1))


def bring_directory_up(db: Db) -> bool:
    """Take some of the new names in; whether there may be more."""
    news = select_changed_names(db, _SLICE)
    for user_id, displayname in news:
        update_user_words(db, user_id, [*split_words(localpart_of(user_id)), *split_words(displayname or "")])
    return len(news) == _SLICE


def search_users(db: Db, user_id: str, term: str, limit: int) -> list[DirectoryUser]:
    """The best `limit` matches among the users that this user may find."""
    term = term.strip()
    wanted = split_term(localpart_of(term) if term.startswith("@") else term)
    if not wanted:
        return []
    audience = _Audience(db, user_id)
    candidates = islice(walk_directory(db, wanted), _MAX_LOOKED_AT)
    found = [user for user in candidates if _fits(user, term) and audience.may_find(user.user_id)]
    # "Ordered by rank and then whether or not profile info is available."
    found.sort(key=lambda user: (_rank(user, term), user.displayname is None, user.user_id))
    return found[:limit]


class _Audience:
    """Whom a user may find; remembers which rooms are open."""

    def __init__(self, db: Db, user_id: str) -> None:
        self._db = db
        self._user_id = user_id
        self._open: dict[int, bool] = {}

    def may_find(self, other: str) -> bool:
        if other == self._user_id:
            return False
        if share_room(self._db, self._user_id, other):
            return True
        return any(self._is_open(row.room_nid) for row in select_memberships(self._db, other, ("join",)))

    def _is_open(self, room_nid: int) -> bool:
        if room_nid not in self._open:
            self._open[room_nid] = is_open_to_all(self._db, get_room(self._db, room_nid))
        return self._open[room_nid]


def _fits(user: DirectoryUser, term: str) -> bool:
    return not term.startswith("@") or user.user_id.casefold().startswith(term.casefold())


def _rank(user: DirectoryUser, term: str) -> int:
    """0: a name is the term; 1: it begins with it; 2: it has its words somewhere."""
    said = " ".join(split_words(term))
    names = [" ".join(split_words(name)) for name in (localpart_of(user.user_id), user.displayname or "")]
    if user.user_id == term or said in names:
        return 0
    return 1 if any(name.startswith(said) for name in names) else 2
